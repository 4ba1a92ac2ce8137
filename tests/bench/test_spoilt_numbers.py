"""What makes numbers unusable stands above them, in every format; images are counted once, by content."""

from __future__ import annotations

import csv
import io
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import bench
from bench.protocol.suite import Suite
from bench.results.board import report
from bench.results.comparison import compare
from bench.results.confounds import cautions, class_loss, duplicate_lines, guess
from bench.results.export import export, model_card
from bench.results.pairing import load_scores
from leaderboards.tables.measures.repeats import repeats_of
from leaderboards.tables.notes import LeftOut

SUITE = Suite(name="s", slices=["generator", "pooled"], conditions=["clean"])


def as_jpeg(folder):
    for path in sorted(folder.glob("*.png")):
        Image.open(path).save(path.with_suffix(".jpg"), quality=95)
        path.unlink()


def resized(folder):
    for path in sorted(folder.glob("*.png")):
        Image.open(path).resize((64, 64)).save(path)


def jpeg_reals(tree):
    for name in ("alpha", "beta"):
        as_jpeg(tree / name / "real")


def jpeg_reals_of_one_generator(tree):
    as_jpeg(tree / "beta" / "real")


def larger_fakes(tree):
    for name in ("alpha", "beta"):
        resized(tree / name / "fake")


def one_image_in_both_classes(tree):
    shutil.copy(tree / "alpha" / "real" / "00.png", tree / "beta" / "fake" / "00.png")


def empty_fakes(tree):
    for name in ("alpha", "beta"):
        for i in range(7):
            (tree / name / "fake" / f"{i:02d}.png").write_bytes(b"")


FAULTS = {
    "file format tells real from fake": (jpeg_reals, "file format alone tells real from fake"),
    "image size tells real from fake": (larger_fakes, "image size alone tells real from fake"),
    "same bytes in both classes": (one_image_in_both_classes, "2 files (1 different images)"),
    "classes lose images unequally": (empty_fakes, "0 real (0.0%) and 14 fake (58.3%)"),
}


def also_told(code):
    """What the audit before the run says of the same fault, after it: files give the classes away."""
    by_files = code in ("file format tells real from fake", "image size tells real from fake")
    return ["shortcut: metadata", "shortcut: bytes per pixel"] if by_files else []


@pytest.mark.parametrize("code", FAULTS)
def test_a_fault_of_the_data_stands_above_every_number_in_every_format(
    code, tree, toy, tmp_path, cli
):
    spoil, words = FAULTS[code]
    spoil(tree)
    (tmp_path / "s.toml").write_text(
        'name = "s"\nslices = ["generator", "pooled"]\nconditions = ["clean"]\n'
    )
    args = ("run", "-d", toy(), "--data", tree, "--suite", "s.toml", "-q", "--out")
    exit_code, out, err = cli(*args, "first")
    incomplete = code == "classes lose images unequally"
    assert exit_code == (12 if incomplete else 0)
    assert out.index(words) < out.index("| Detector")
    assert words in err.splitlines()[0]
    rows = list(csv.DictReader(io.StringIO((tmp_path / "first" / "leaderboard.csv").read_text())))
    codes = [code, *also_told(code)]
    assert {row["warning"] for row in rows} == {"; ".join(codes)}
    document = json.loads(report(tmp_path / "first").board.to_json())
    assert [warning["code"] for warning in document["warnings"]] == codes
    latex = export(tmp_path / "first", "latex").texts["latex"]
    caption = next(line for line in latex.splitlines() if r"\caption" in line)
    assert r"\textbf{WARNING: " in caption
    assert any(line.startswith("% WARNING: ") for line in latex.splitlines())
    card = model_card(tmp_path / "first", "hf", None, None).texts
    assert words in card[".eval_results/detector-bench.yaml"]
    # Boards rebuilt, comparisons and gates go by the same list.
    exit_code, _, err = cli("board", "first")
    assert exit_code == 0
    assert words in err.splitlines()[0]
    cli(*args, "second")
    for command in (
        ("gate", "second", "--baseline", "first", "--out", "g"),
        ("compare", "first", "second"),
    ):
        _, out, err = cli(*command)
        assert words in err.splitlines()[0]
        assert out.index(words) < out.index("| ")
    gate = json.loads((tmp_path / "g" / "gate.json").read_text())
    assert [warning["code"] for warning in gate["warnings"]] == codes
    # A baseline made of such scores says so to whoever is held against it.
    cli("baseline", "update", "first", "--to", "base", "--reason", "first")
    assert [c.code for c in load_scores(tmp_path / "base").cautions] == codes


def test_sound_data_gives_no_warning_and_no_new_line(tree, toy, tmp_path):
    run = bench.run(toy(), suite=SUITE, data=tree, out=tmp_path / "out")
    text = run.board.to_markdown()
    assert "WARNING" not in text
    assert "Left out" not in text
    assert "Duplicates" not in text
    rows = list(csv.DictReader(io.StringIO(run.board.to_csv())))
    assert {(r["left_out_real"], r["left_out_fake"], r["warning"]) for r in rows} == {
        ("0", "0", "")
    }
    assert run.report.remarks == ()


def test_a_format_that_spoils_one_generator_is_told_too(tree, toy, tmp_path):
    jpeg_reals_of_one_generator(tree)
    for name in ("gamma", "delta", "epsilon", "zeta", "eta"):
        shutil.copytree(tree / "alpha", tree / name)
    run = bench.run(toy(), suite=SUITE, data=tree, out=tmp_path / "out")
    top = run.board.to_markdown().partition("| Detector")[0]
    assert "file format alone tells real from fake" in top
    assert "in 1 generators (beta)" in top


FLAKY = """
import torch
from detectors import Detector, DetectorCard, InputSpec

class Flaky(Detector):
    card = DetectorCard(name="n", arch="n", input=InputSpec(size=32, fit="crop"))
    def logits(self, batch):
        return torch.arange(len(batch)) - len(batch) / 2 + batch.mean(dim=(1, 2, 3))
"""


@pytest.mark.parametrize(
    ("code", "words"),
    [("untrained", "has random weights"), ("not deterministic", "is not deterministic")],
)
def test_what_spoils_one_detector_stands_above_the_headline_and_in_its_rows(
    code, words, tree, toy, tmp_path
):
    (tmp_path / "flaky.py").write_text(FLAKY)
    name = "googlenet" if code == "untrained" else f"{tmp_path / 'flaky.py'}:Flaky"
    run = bench.run(
        [name, toy()],
        suite=SUITE,
        data=tree,
        out=tmp_path / "out",
        allow_untrained=code == "untrained",
    )
    rows = list(csv.DictReader(io.StringIO(run.board.to_csv())))
    assert {row["warning"] for row in rows if row["detector"] == "Toy"} == {""}
    assert {row["warning"] for row in rows if row["detector"] != "Toy"} == {code}
    assert words in run.board.to_markdown().partition("| Detector")[0]
    assert words in run.report.remarks[0]
    latex = export(tmp_path / "out", "latex").texts["latex"]
    assert words in next(line for line in latex.splitlines() if r"\caption" in line)


def test_a_limited_run_is_the_first_warning_everywhere(tree, toy, tmp_path):
    jpeg_reals(tree)
    run = bench.run(toy(), suite=SUITE, data=tree, out=tmp_path / "out", limit=40)
    codes = [warning.code for warning in run.board.notes.warnings]
    # What the short audit says of the same files stands behind.
    assert codes == [
        "limited run",
        "file format tells real from fake",
        "shortcut: metadata",
        "shortcut: bytes per pixel",
    ]
    assert run.report.remarks[0].startswith("LIMITED RUN: 40 of 48 images")
    rows = list(csv.DictReader(io.StringIO(run.board.to_csv())))
    assert {row["warning"] for row in rows} == {"; ".join(codes)}


def image_facts(real, fake):
    """Samples of one generator with (format, width, height, sha256) a real and a fake."""
    rows = [(0, "photo", *facts) for facts in real] + [(1, "sd14", *facts) for facts in fake]
    columns = ["label", "generator", "format", "width", "height", "sha256"]
    return pd.DataFrame(rows, columns=columns)


@pytest.mark.parametrize(
    ("real", "fake", "is_told"),
    [
        ([(500, 375)] * 20, [(512, 512)] * 20, True),
        ([(500 + i, 300 + i) for i in range(20)], [(512, 512)] * 20, True),
        ([(500 + i, 300 + i) for i in range(20)], [(900 + i, 800) for i in range(20)], False),
        ([(64, 64)] * 20, [(64, 64)] * 20, False),
        ([(64, 64), (32, 32)] * 10, [(64, 64), (32, 32)] * 10, False),
        ([(64, 64)] * 3, [(32, 32), (64, 64), (64, 64)], False),
    ],
)
def test_size_is_told_where_it_tells_the_classes_apart(real, fake, is_told):
    samples = image_facts([("PNG", *s, "") for s in real], [("PNG", *s, "") for s in fake])
    codes = [caution.code for caution in cautions(samples, {"sd14": ("photo",)}, ())]
    assert codes == (["image size tells real from fake"] if is_told else [])


def test_chance_is_no_confound():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 30)
    sizes = [pd.Series(rng.integers(0, 4, 60)) for _ in range(300)]
    assert sum(guess(values, labels) >= 0.6 for values in sizes) < 20


def test_what_is_left_out_is_one_number_in_every_place(tree, toy, tmp_path, cli):
    good = (tree / "alpha" / "fake" / "00.png").read_bytes()
    (tree / "alpha" / "fake" / "00.png").write_bytes(b"<html>not an image</html>")
    (tree / "alpha" / "real" / "03.png").write_bytes(b"")
    (tree / "beta" / "real" / "01.png").write_bytes(good[: len(good) // 2])
    (tree / "beta" / "fake" / "07.png").write_bytes(good[:-20] + bytes(20))
    exit_code, out, err = cli(
        "run", "-d", toy(), "--data", tree, "--suite", "cross-generator", "--out", "out"
    )
    assert exit_code == 0
    listed = list(csv.DictReader((tmp_path / "out" / "bad_images.csv").open()))
    n = len(listed)
    assert n in (3, 4)  # damage inside the pixels may show only when they are decoded
    kinds = f"2 real (alpha/real 1, beta/real 1); {n - 2} fake (alpha 1" + (
        ", beta 1)" if n == 4 else ")"
    )
    assert f"- Bad images, left out for every detector alike: {n}." in out
    assert f"- Left out: {kinds}." in out
    assert f"left out for every detector alike: {n} images: {kinds}" in err
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "leaderboard.csv").read_text())))
    cells = {row["generator"]: (row["left_out_real"], row["left_out_fake"]) for row in rows}
    assert cells["alpha"] == ("1", "1")
    assert cells["beta"] == ("1", str(n - 3))
    notes = json.loads(report(tmp_path / "out").board.to_json())["notes"]
    assert notes["bad_images"] == n == sum(kind["images"] for kind in notes["left_out"])
    cli("run", "-d", toy(), "--data", tree, "--suite", "cross-generator", "--out", "again", "-q")
    _, out, _ = cli("gate", "again", "--baseline", "out")
    assert f"left out for every detector alike: {kinds}" in out.replace("\\", "")


def test_images_of_another_split_are_not_counted(tree, toy, tmp_path):
    for split in ("test", "val"):
        for name in ("alpha", "beta"):
            shutil.copytree(tree / name, tmp_path / "d" / split / name)
    (tmp_path / "d" / "val" / "alpha" / "fake" / "00.png").write_bytes(b"")
    (tmp_path / "d" / "test" / "beta" / "fake" / "00.png").write_bytes(b"")
    suite = SUITE.with_threshold("calibrate(split=val, by=balanced-accuracy)")
    run = bench.run(toy(), suite=suite, data=tmp_path / "d", out=tmp_path / "out")
    assert run.board.notes.bad_images == 1
    (listed,) = csv.DictReader((tmp_path / "out" / "bad_images.csv").open())
    assert listed["path"] == "test/beta/fake/00.png"


@pytest.mark.parametrize(
    ("kept", "lost", "told", "incomplete"),
    [
        ((1000, 1000), (0, 0), False, False),
        ((1000, 1000), (5, 5), False, False),
        ((4, 9), (5, 0), True, True),
        ((99, 98), (1, 2), False, False),
        ((20, 19), (0, 1), True, False),
        ((900, 1000), (100, 0), True, True),
        ((100_000, 100_000), (0, 40), True, False),
    ],
)
def test_classes_that_lose_unequally_are_told(kept, lost, told, incomplete):
    samples = pd.DataFrame({"label": np.repeat([0, 1], kept)})
    left_out = [
        LeftOut(label=label, generator="g", domain="", images=n)
        for label, n in enumerate(lost)
        if n
    ]
    loss = class_loss(
        samples, [*left_out, LeftOut(label=None, generator="", domain="", images=900)]
    )
    assert (loss.is_unequal, loss.is_incomplete) == (told, incomplete)


COPIES = """
import torch
from detectors import Detector, DetectorCard, InputSpec

class Even(Detector):
    card = DetectorCard(name="n", arch="n", input=InputSpec(size=32, fit="crop"))
    def logits(self, batch):
        means = batch.mean(dim=(2, 3))
        return 40 * (means[:, 0] - means[:, 2])

class Odd(Even):
    def logits(self, batch):
        return super().logits(batch[:, :, ::2, ::2])
"""


@pytest.fixture
def copied(tree, tmp_path):
    """Two detectors on generators that share their photographs: as one set of files, and as copies."""
    (tmp_path / "nets.py").write_text(COPIES)
    for path in (tree / "beta" / "fake").glob("*.png"):  # both generators alike: only reals decide
        shutil.copy(tree / "alpha" / "fake" / path.name, path)
        Image.open(path).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(path)

    def run(out, data):
        names = [f"{tmp_path / 'nets.py'}:{name}" for name in ("Even", "Odd")]
        return bench.run(names, suite=SUITE, data=data, out=tmp_path / out)

    shared = tmp_path / "shared"
    shutil.copytree(tree / "alpha" / "real", shared / "real")
    for name in ("alpha", "beta"):
        shutil.copytree(tree / name / "fake", shared / "fake" / name)
    copies = tmp_path / "copies"
    for name in ("alpha", "beta"):
        shutil.copytree(shared / "real", copies / name / "real")
        shutil.copytree(shared / "fake" / name, copies / name / "fake")
    return run("one", shared), run("many", copies)


def test_a_photograph_copied_under_each_generator_is_one_photograph(copied, tmp_path):
    one, many = copied

    def tests_of(out):
        contrasts = compare([tmp_path / out]).contrasts
        return {c.test.name[1]: (c.test.difference.value, c.test.p) for c in contrasts}

    shared, copies = tests_of("one"), tests_of("many")
    assert shared.keys() == copies.keys()
    for name, (value, p) in shared.items():
        assert copies[name][0] == pytest.approx(value, abs=1e-12)
        # Student's t for clusters instead of the normal; taken as independent, p is far smaller.
        assert copies[name][1] == pytest.approx(p, rel=0.1), name
    # The board's own means: every image once, with the same interval.
    for column in ("n_real", "n_fake", "auc", "auc_lo", "auc_hi", "accuracy_lo", "accuracy_hi"):
        pooled = [run.board.extras.pooled[column] for run in (one, many)]
        np.testing.assert_allclose(*(p.to_numpy(dtype=float) for p in pooled))
        cells = [r.board.rows[r.board.rows["generator"] == "all"][column] for r in (one, many)]
        np.testing.assert_allclose(*(c.to_numpy(dtype=float) for c in cells))
    told = "Duplicates: 12 files repeat another of their class byte for byte (12 real, 0 fake)."
    assert told in many.board.to_markdown()
    assert any(remark.startswith(told) for remark in many.report.remarks)
    assert "Duplicates" not in one.board.to_markdown()
    assert any(note.startswith(told) for note in compare([tmp_path / "many"]).notes)


def test_duplicates_are_counted_within_a_class_and_unhashed_files_are_like_no_other():
    samples = pd.DataFrame({"label": [0, 0, 0, 1, 1, 1], "sha256": ["a", "a", "", "", "b", "a"]})
    (line,) = duplicate_lines(repeats_of(samples))
    assert line.startswith("Duplicates: 1 files")
    assert duplicate_lines(repeats_of(samples.iloc[2:])) == []


def test_the_observed_false_positive_rate_is_held_against_the_one_asked(tree, toy, tmp_path):
    for split in ("test", "val"):
        for name in ("alpha", "beta"):
            shutil.copytree(tree / name, tmp_path / "d" / split / name)
    for name in ("alpha", "beta"):  # photographs of another kind: redder than those calibrated on
        for path in (tmp_path / "d" / "test" / name / "real").glob("*.png"):
            pixels = np.asarray(Image.open(path)).astype(int)
            pixels[..., 0] += 40
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)
    run = bench.run(
        toy(),
        suite=SUITE.with_threshold("fpr(0.1, split=val)"),
        data=tmp_path / "d",
        out=tmp_path / "out",
    )
    text = run.board.to_markdown()
    pooled = run.board.rows[run.board.rows["generator"] == "all"].iloc[0]
    observed = pooled["fp"] / pooled["n_real"]
    assert f"Toy: false-positive rate asked 0.1, observed {observed:.3f} " in text.replace("\\", "")
    assert "does not keep its rate on these images" in text
    sound = bench.run(toy(), suite=SUITE, data=tree, out=tmp_path / "zero")
    assert "rate asked" not in sound.board.to_markdown()
