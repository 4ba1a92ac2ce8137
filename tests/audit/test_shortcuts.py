"""A confound is found and named; a set without one is left alone."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from bench.audit.features import Baseline, Feature, baselines
from bench.audit.findings import shortcut_findings
from bench.audit.shortcuts import Images, deal_folds, shortcuts


def files(n, seed=0):
    """Facts of n files of a homogeneous set: sizes, qualities and formats vary, and mean nothing."""
    rng = np.random.default_rng(seed)
    jpeg = rng.random(n) < 0.7
    side = rng.choice([256, 512, 640, 1024], n)
    return {
        "format": np.where(jpeg, "JPEG", "PNG"),
        "width": side,
        "height": np.where(rng.random(n) < 0.5, side, side * 3 // 4),
        "bytes": (side**2 * rng.uniform(0.1, 0.4, n)).astype(int),
        "mode": np.where(rng.random(n) < 0.95, "RGB", "L").astype(object),
        "jpeg_quality": np.where(jpeg, rng.choice([75, 85, 90, 95], n), np.nan),
        "jpeg_subsampling": np.where(jpeg, rng.choice(["4:2:0", "4:4:4"], n), ""),
        "jpeg_tables": np.where(jpeg, rng.choice(["a", "b", "c"], n), ""),
        "jpeg_progressive": jpeg & (rng.random(n) < 0.2),
        "exif": rng.random(n) < 0.3,
        "icc": rng.random(n) < 0.3,
        "xmp": rng.random(n) < 0.1,
        "text": rng.random(n) < 0.1,
        "camera": rng.random(n) < 0.2,
        "generator_software": np.full(n, ""),
        "editing_software": np.where(rng.random(n) < 0.1, "Photoshop", ""),
        "says_generated": np.zeros(n, bool),
        "credentials": np.zeros(n, bool),
    }


def images(label, generator=None, bundle=None):
    label = np.asarray(label)
    names = np.where(label == 1, "alpha" if generator is None else generator, "photo").astype(
        object
    )
    bundle = np.arange(len(label)) if bundle is None else np.asarray(bundle)
    pairing = dict.fromkeys(set(names[label == 1].tolist()), ("photo",))
    return Images(label, names, bundle, pairing)


def by_name(results):
    return {shortcut.name: shortcut for shortcut in results}


@pytest.mark.parametrize(
    ("column", "fake", "named"),
    [
        ("format", "PNG", "format"),
        ("width", 512, "size"),
        ("jpeg_quality", 96.0, "JPEG quality"),
        ("jpeg_tables", "d", "JPEG tables"),
        ("mode", "RGBA", "colour mode"),
        ("exif", False, "EXIF, ICC, XMP, text"),
    ],
)
def test_a_confound_is_found_and_named(column, fake, named):
    label = np.repeat([0, 1], 150)
    facts = files(300)
    if column == "exif":
        facts["exif"][:150], facts["icc"][:], facts["xmp"][:], facts["text"][:] = True, 0, 0, 0
    facts[column][label == 1] = fake
    results = shortcuts(baselines(pa.table(facts)), images(label))
    alone = by_name(results)[f"metadata: {named}"]
    assert alone.auc.warns
    assert by_name(results)["metadata"].auc.value > 0.85
    (finding, *_) = shortcut_findings(results)
    assert named in finding.caution.title
    assert finding.caution.code == "shortcut: metadata"


def test_honest_sets_are_left_alone():
    """Two classes dealt by chance: at most one audit in twenty may warn, and hardly any does."""
    warned = 0
    for seed in range(12):
        facts = pa.table(files(120, seed))
        label = np.random.default_rng(seed).permutation(np.repeat([0, 1], 60))
        warned += any(s.warns for s in shortcuts(baselines(facts), images(label)))
    assert warned <= 1


def test_one_spoilt_generator_of_many_is_found():
    label = np.repeat([0, 1], 200)
    generator = np.concatenate([np.full(200, ""), np.repeat(["a", "b", "c", "d"], 50)])
    facts = files(400)
    facts["width"][generator == "d"] = facts["height"][generator == "d"] = 999
    metadata = by_name(shortcuts(baselines(pa.table(facts)), images(label, generator)))["metadata"]
    warned = {part.generator for part in metadata.generators if part.auc.warns}
    assert warned == {"d"}
    held_out = {part.generator: part.accuracy.value for part in metadata.generators}
    # Nobody who never saw it knows its size: what separates one generator is no rule for another.
    assert held_out["d"] < 0.7
    assert all(part.held_out for part in metadata.generators)


def test_a_shortcut_that_all_generators_share_holds_for_one_that_was_not_seen():
    label = np.repeat([0, 1], 120)
    generator = np.concatenate([np.full(120, ""), np.repeat(["a", "b", "c"], 40)])
    facts = files(240)
    facts["format"][:] = np.where(label == 1, "PNG", "JPEG")
    metadata = by_name(shortcuts(baselines(pa.table(facts)), images(label, generator)))["metadata"]
    assert min(part.accuracy.value for part in metadata.generators) > 0.95


def test_groups_are_never_parted():
    bundle = np.repeat(np.arange(30), 4)
    label = np.tile([0, 1], 60)
    folds = deal_folds(images(label, bundle=bundle))
    assert all(len(set(folds[bundle == b].tolist())) == 1 for b in range(30))
    assert len(set(folds.tolist())) == 5


def test_a_fact_of_the_group_tells_nothing_of_others():
    """A value that is the group's own would be learnt by heart, were groups parted."""
    rng = np.random.default_rng(0)
    bundle = np.repeat(np.arange(60), 5)
    label = np.repeat(rng.permutation(np.repeat([0, 1], 30)), 5)
    facts = files(300)
    facts["width"] = facts["height"] = rng.permutation(60)[bundle] + 100
    size = by_name(shortcuts(baselines(pa.table(facts)), images(label, bundle=bundle)))[
        "metadata: size"
    ]
    assert not size.auc.warns


def test_the_auc_is_scikit_learns_of_predictions_out_of_fold():
    rng = np.random.default_rng(3)
    label = rng.permutation(np.repeat([0, 1], 100))
    column = label * 1.0 + rng.normal(0, 1.5, 200)
    feature = Feature("a column", column[:, None])
    (whole,) = shortcuts([Baseline("border", (feature,))], images(label))
    assert whole.auc.value == pytest.approx(roc_auc_score(label, column), abs=0.12)
    assert whole.auc.lo < whole.auc.value < whole.auc.hi
    assert whole.auc.judged_lo < whole.auc.lo
    again = shortcuts([Baseline("border", (feature,))], images(label))
    assert again == [whole]


def test_too_few_images_are_no_number():
    facts = pa.table(files(3))
    for shortcut in shortcuts(baselines(facts), images([0, 1, 1])):
        assert np.isnan(shortcut.auc.value)
        assert shortcut.reason
        assert not shortcut.warns
