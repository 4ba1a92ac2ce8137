"""Small boards built from a few seeded scores."""

import numpy as np
import pandas as pd
import pytest

from leaderboards import Board, BoardNotes, ScoreColumn, SeenBy, cell_rows, extras, slices


@pytest.fixture
def frame():
    """Samples from (generator, domain, label, count) groups, in the order given."""

    def build(*groups):
        rows = [
            {
                "sample_id": f"{generator}/{domain}/{label}/{i}",
                "label": label,
                "generator": generator,
                "domain": domain,
                "split": "test",
                "group": "",
            }
            for generator, domain, label, count in groups
            for i in range(count)
        ]
        return pd.DataFrame(rows, dtype=object).astype({"label": "int64"})

    return build


@pytest.fixture
def scores():
    """A score column whose fakes lie ``shift`` above its reals.

    The noise is arithmetic, not drawn: the golden board must not hang on a library's generator.
    """

    def build(samples, detector="net", condition="clean", shift=1.0, seed=0, **more):
        labels = samples["label"].to_numpy()
        noise = (np.arange(len(samples)) * (61 + 2 * seed) % 97) / 97 * 4 - 2
        logits = (noise + shift * (labels - 0.5)).astype(np.float32)
        return ScoreColumn(detector=detector, condition=condition, logits=logits, **more)

    return build


@pytest.fixture
def pocket(frame):
    return frame(
        ("photo", "", 0, 30), ("sd14", "", 1, 20), ("glide", "", 1, 20), ("vae", "", 1, 20)
    )


@pytest.fixture
def pairing():
    return {"sd14": ("photo",), "glide": ("photo",), "vae": ("photo",)}


@pytest.fixture
def pocket_columns(pocket, scores):
    """Two detectors, clean, one corruption and one attack that "cnn" does not admit."""
    n = len(pocket)
    size = np.full(n, 8 / 255, dtype=np.float32)
    dead = np.full(n, np.nan, dtype=np.float32)
    return [
        scores(pocket, "resnet50", "clean", 3.0, 1),
        scores(pocket, "resnet50", "jpeg(quality=75)", 2.0, 2),
        scores(pocket, "resnet50", "pgd(eps=8/255)", -1.0, 3, linf=size),
        scores(pocket, "cnn", "clean", 2.0, 4),
        scores(pocket, "cnn", "jpeg(quality=75)", 1.0, 5),
        ScoreColumn(
            detector="cnn",
            condition="pgd(eps=8/255)",
            logits=dead,
            status="not attackable",
            reason="the gradient is zero for 60 of 60 images",
        ),
    ]


@pytest.fixture
def pocket_rows(pocket, pairing, pocket_columns):
    cuts = slices(pocket, pairing) + slices(pocket, pairing, ())
    seen = {"resnet50": SeenBy(frozenset({"sd14"})), "cnn": SeenBy(known=False)}
    return cell_rows(pocket, cuts, pocket_columns, seen, "pocket")


@pytest.fixture
def pocket_extras(pocket, pairing, pocket_columns, pocket_rows):
    seen = {"resnet50": SeenBy(frozenset({"sd14"})), "cnn": SeenBy(known=False)}
    return extras(pocket, slices(pocket, pairing), pocket_columns, pocket_rows, seen)


@pytest.fixture
def pocket_board(pocket_rows, pairing, pocket_extras):
    notes = BoardNotes(
        suite="full",
        dataset="pocket",
        layout="generic",
        pairing=pairing,
        n_images=90,
        bad_images=2,
        tool_version="0.1.0",
        versions={"torch": "2.4", "pillow": "11.0"},
        weights={"resnet50": "ab12cd34", "cnn": "ef56ab78"},
        training={"resnet50": "pocket train: sd14"},
        conditions={"jpeg(quality=75)": 'jpeg(quality=75,subsampling="4:2:0")'},
        extra=("Tiles are 64 px.",),
    )
    return Board(pocket_rows, notes, pocket_extras)
