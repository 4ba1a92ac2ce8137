"""A chain set before every condition, beside the images as they lie; rules by which reals are paired."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

import bench
from bench.errors import BenchError
from bench.protocol.condition import parse
from bench.protocol.suite import Suite
from bench.results.scores import load_run
from tests.conftest import picture

CHAIN = "resize(size=32,back=false)+jpeg(quality=90)"
CONDITIONS = ["clean", "jpeg(quality=50)", "fgsm(eps=4/255)"]


def suite(**changes):
    values = {"name": "s", "slices": ["generator"], "conditions": CONDITIONS}
    return Suite(**(values | changes))


def logits(run):
    scores = load_run(run.folder).scores
    return {column.condition: column.logits for column in scores.columns}


@pytest.fixture
def confounded(tmp_path):
    """Fakes are 40 x 48 PNG, reals 56 x 64 JPEG; 20 of each for two generators."""
    root = tmp_path / "confounded"
    for g, name in enumerate(("alpha", "beta")):
        for i in range(20):
            for kind in ("real", "fake"):
                fake = kind == "fake"
                path = root / name / kind / f"{i:02d}.{'png' if fake else 'jpg'}"
                path.parent.mkdir(parents=True, exist_ok=True)
                size = (40, 48) if fake else (56, 64)
                Image.fromarray(picture(100 * g + i, fake=fake, size=size)).save(path)
    return root


CORNER = """
from detectors import Detector, DetectorCard, InputSpec

class Corner(Detector):
    card = DetectorCard(name="corner", arch="toy", input=InputSpec(size=32, fit="crop"))

    def logits(self, batch):
        means = batch[:, :, :2, :2].mean(dim=(2, 3))
        return 40 * (means[:, 0] - means[:, 2])
"""


def test_every_condition_is_behind_the_chain_and_raw_is_the_image_as_it_lies(
    confounded, toy, tmp_path
):
    run = bench.run(
        toy(), suite(equalise=CHAIN), data=confounded, out=tmp_path / "e", store=tmp_path / "store"
    )
    behind = [CHAIN, f"{CHAIN}+jpeg(quality=50)", f"{CHAIN}+fgsm(eps=4/255)"]
    by_hand = bench.run(toy(), suite(conditions=behind), data=confounded, out=tmp_path / "h")
    ours, theirs = logits(run), logits(by_hand)
    assert list(ours) == ["clean", "raw", "jpeg(quality=50)", "fgsm(eps=4/255)"]
    assert np.array_equal(ours["raw"], theirs["clean"])
    for name, spelled in zip(CONDITIONS[:2], behind[:2], strict=True):
        assert np.array_equal(ours[name], theirs[spelled])
    assert not np.array_equal(ours["raw"], ours["clean"])
    # The raw images are scored once, whether or not anything is equalised.
    plain = bench.run(toy(), suite(), data=confounded, out=tmp_path / "p", store=tmp_path / "store")
    assert np.array_equal(logits(plain)["clean"], ours["raw"])
    assert not np.array_equal(logits(plain)["jpeg(quality=50)"], ours["jpeg(quality=50)"])


def test_the_board_shows_raw_and_equalised_with_their_paired_difference(confounded, tmp_path):
    (tmp_path / "corner.py").write_text(CORNER)
    corner = f"{tmp_path / 'corner.py'}:Corner"
    run = bench.run(corner, suite(equalise=CHAIN), data=confounded, out=tmp_path / "e")
    text = run.board.to_markdown()
    assert "## Equalised: AUC, raw and equalised" in text
    assert CHAIN in text
    assert text.index("## Equalised") < text.index("## By generator")
    table = run.board.extras.equalised
    assert list(table["slice"]) == ["", "alpha", "beta"]
    scores = load_run(run.folder).scores
    by_name, cuts = logits(run), {cut.generator: cut for cut in scores.slices()}
    rng = np.random.default_rng(0)
    for row in table.to_dict("records")[1:]:
        rows, labels = cuts[row["slice"]].rows, cuts[row["slice"]].labels
        raw, after = by_name["raw"][rows], by_name["clean"][rows]
        assert row["raw"] == pytest.approx(roc_auc_score(labels, raw))
        assert row["equalised"] == pytest.approx(roc_auc_score(labels, after))
        assert row["difference"] == pytest.approx(row["equalised"] - row["raw"])
        # An independent bootstrap, images drawn in pairs and by class.
        draws = []
        for _ in range(600):
            picked = np.concatenate(
                [rng.choice(np.flatnonzero(labels == c), (labels == c).sum()) for c in (0, 1)]
            )
            draws.append(
                roc_auc_score(labels[picked], after[picked])
                - roc_auc_score(labels[picked], raw[picked])
            )
        half = (row["difference_hi"] - row["difference_lo"]) / 2
        assert half == pytest.approx(1.96 * np.std(draws), rel=0.35, abs=0.02)
    assert "equalised" in json.loads(run.board.to_json())
    cells = list(csv.DictReader(io.StringIO(run.board.to_csv())))
    assert {row["condition"] for row in cells} == {"clean", "raw", *CONDITIONS}


def test_raw_is_no_condition_that_a_drop_is_averaged_over(confounded, toy, tmp_path):
    run = bench.run(toy(), suite(equalise=CHAIN), data=confounded, out=tmp_path / "e")
    assert run.board.headline()["n_conditions"].iloc[0] == 2


@pytest.mark.parametrize(
    ("chain", "words"),
    [
        ("fgsm(eps=1/255)", "not of attacks"),
        ("clean", "changes nothing"),
        ("raw", "leave it out"),
        ("resize(size=32,back=true)", "leave it out"),
        ("jpg(quality=90)", "jpeg"),
    ],
)
def test_a_chain_that_equalises_nothing_is_refused(chain, words):
    with pytest.raises(BenchError, match=words):
        suite().with_equaliser(chain)
    with pytest.raises(BenchError, match=words):
        suite(equalise=chain)
    with pytest.raises(BenchError):
        parse("raw")


def test_another_chain_is_another_request_and_config_toml_repeats_it(
    cli, confounded, toy, tmp_path
):
    ask = ["run", "-d", toy(), "--suite", "smoke", "--data", confounded, "--quiet"]
    assert cli(*ask, "--equalise", CHAIN, "--pairing", "own", "--out", "out")[0] == 0
    first = (tmp_path / "out" / "leaderboard.csv").read_bytes()
    code, _, err = cli(*ask, "--out", "out")
    assert (code, "equalise" in err) == (2, True)
    assert cli("run", "--config", tmp_path / "out" / "config.toml", "--quiet")[0] == 0
    assert (tmp_path / "out" / "leaderboard.csv").read_bytes() == first
    assert cli(*ask, "--pairing", "theirs", "--out", "o")[0] == 2


def test_scores_of_an_equalised_run_come_back_as_the_same_board(cli, confounded, toy, tmp_path):
    ask = [
        "--suite",
        "smoke",
        "--data",
        confounded,
        "--equalise",
        CHAIN,
        "--pairing",
        "shared",
        "-q",
    ]
    assert cli("run", "-d", toy(), *ask, "--out", "out")[0] == 0
    assert cli("scores", "export", "out", "-o", "scores.csv")[0] == 0
    assert cli("scores", "import", "scores.csv", *ask, "--out", "back")[0] == 0
    ours, back = (
        list(csv.DictReader((tmp_path / name / "leaderboard.csv").open()))
        for name in ("out", "back")
    )
    for name in ("condition", "auc", "accuracy", "n_real", "attack_success"):
        assert [row[name] for row in back] == [row[name] for row in ours]
    assert "AUC raw" in (tmp_path / "back" / "leaderboard.md").read_text()


def test_shared_reals_stand_against_every_generator(confounded, toy, tmp_path):
    shared = bench.run(toy(), suite(pairing="shared"), data=confounded, out=tmp_path / "s")
    rows = shared.board.rows[shared.board.rows["condition"] == "clean"]
    assert list(rows["n_real"]) == [40, 40]
    scores, by_name = load_run(shared.folder).scores, logits(shared)
    label, name = scores.samples["label"].to_numpy(), scores.samples["generator"].to_numpy()
    for row in rows.to_dict("records"):
        kept = (label == 0) | (name == row["generator"])
        assert row["auc"] == pytest.approx(roc_auc_score(label[kept], by_name["clean"][kept]))
    own = bench.run(toy(), suite(pairing="own"), data=confounded, out=tmp_path / "o")
    assert list(own.board.rows["n_real"].iloc[:2]) == [20, 20]


def test_matched_reals_share_their_source_with_a_fake(tree, toy, tmp_path):
    lines = ["path,label,generator,group"]
    for i in range(12):
        lines.append(f"images/alpha/fake/{i:02d}.png,1,alpha,photo{i if i < 8 else ''}")
        lines.append(f"images/alpha/real/{i:02d}.png,0,camera,photo{i}")
        lines.append(f"images/beta/fake/{i:02d}.png,1,beta,photo{i + 4}")
        lines.append(f"images/beta/real/{i:02d}.png,0,camera,")
    table = tmp_path / "pairs.csv"
    table.write_text("\n".join(lines))
    run = bench.run(toy(), suite(pairing="matched"), data=table, out=tmp_path / "m")
    clean = run.board.rows[run.board.rows["condition"] == "clean"].set_index("generator")
    assert dict(clean["n_real"]) == {"alpha": 8, "beta": 8}
    assert dict(clean["n_fake"]) == {"alpha": 12, "beta": 12}
    lines[1:] = [line.rpartition(",")[0] + "," for line in lines[1:]]
    table.write_text("\n".join(lines))
    with pytest.raises(BenchError, match="group"):
        bench.run(toy(), suite(pairing="matched"), data=table, out=tmp_path / "n")


def test_auc_is_shown_against_each_real_source(tree, toy, tmp_path):
    lines = ["path,label,generator"]
    for i in range(12):
        lines.append(f"images/alpha/fake/{i:02d}.png,1,alpha")
        lines.append(f"images/beta/fake/{i:02d}.png,1,beta")
        lines.append(f"images/alpha/real/{i:02d}.png,0,phones")
        lines.append(f"images/beta/real/{i:02d}.png,0,cameras")
    table = tmp_path / "sources.csv"
    table.write_text("\n".join(lines))
    run = bench.run(toy(), suite(), data=table, out=tmp_path / "m")
    assert "## AUC against each real source, clean" in run.board.to_markdown()
    scores, clean = load_run(run.folder).scores, logits(run)["clean"]
    name = scores.samples["generator"].to_numpy()
    # Nothing but beta is unseen, so that the headline's fakes are beta's.
    for row in run.board.extras.source_auc.to_dict("records"):
        kept = np.isin(name, [row["source"], "beta"])
        labels = scores.samples["label"].to_numpy()[kept]
        assert row["auc"] == pytest.approx(roc_auc_score(labels, clean[kept]))
        assert row["auc_lo"] <= row["auc"] <= row["auc_hi"]
