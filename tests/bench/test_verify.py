"""A board is what its scores give, or each file and number that is not is named."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

import bench
from bench.protocol.suite import Suite
from bench.results.baseline import update
from bench.results.verification.verify import verify
from bench.store.seal import sealed
from tests.conftest import TOY, picture

PUBLISHED = Path(__file__).parents[2] / "leaderboards" / "published"
SUITE = Suite(name="mini", slices=["generator"], conditions=["clean", "jpeg(quality=50)"], split="")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run's folder with a board, and a baseline made of it."""
    root = tmp_path_factory.mktemp("verify")
    for name in ("alpha", "beta"):
        for kind in ("real", "fake"):
            (root / "images" / name / kind).mkdir(parents=True)
            for i in range(6):
                pixels = picture(i + 50 * (name == "beta"), fake=kind == "fake")
                Image.fromarray(pixels).save(root / "images" / name / kind / f"{i}.png")
    (root / "images" / "alpha" / "fake" / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (root / "toy.py").write_text(TOY)
    bench.run(f"{root}/toy.py:Toy", suite=SUITE, data=root / "images", out=root / "run")
    with (
        pytest.MonkeyPatch.context() as patch
    ):  # made once, before any test forgets that it is in CI
        patch.delenv("CI", raising=False)
        patch.delenv("GITHUB_ACTIONS", raising=False)
        update(root / "run", root / "base", "first")
    return root


@pytest.fixture
def run(finished, tmp_path):
    shutil.copytree(finished / "run", tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def base(finished, tmp_path):
    shutil.copytree(finished / "base", tmp_path / "base")
    return tmp_path / "base"


def states(result):
    return {check.name: check.state for check in result.files if check.state != "same"}


def shard(run, condition="clean"):
    units = pq.read_table(run / "units.parquet").to_pylist()
    name = next(unit["fingerprint"] for unit in units if unit["condition"] == condition)
    return run / "store" / name[:2] / f"{name}.parquet"


def test_a_board_is_what_its_scores_give(run, cli):
    code, out, err = cli("verify", run)
    assert (code, err) == (0, "verify: same\n")
    assert out.count(" same\n") == len(verify(run).files) >= 6
    assert not states(verify(run))


def test_each_number_that_was_changed_is_named(run, cli):
    path = run / "leaderboard.csv"
    head, first, *rest = path.read_text().splitlines(keepends=True)
    cells = first.split(",")
    at = head.split(",").index("auc")
    was, cells[at] = cells[at], "0.987654"
    path.write_text(head + ",".join(cells) + "".join(rest))
    code, out, _ = cli("verify", run, "--json")
    document = json.loads(out)
    assert (code, document["verdict"]) == (13, "different")
    (file,) = [f for f in document["files"] if f["state"] != "same"]
    (difference,) = file["differences"]
    assert file["name"] == "leaderboard.csv"
    assert difference["where"].endswith("/ auc")
    assert (difference["shipped"], difference["computed"]) == ("0.987654", was)
    code, out, err = cli("verify", run)
    assert (code, "1 numbers differ" in out) == (13, True)
    assert f"0.987654, computed {was}" in err


def test_rows_that_were_taken_or_added_are_named(run):
    path = run / "leaderboard.csv"
    lines = path.read_text().splitlines(keepends=True)
    for text in (lines[:-1], [*lines, lines[-1].replace("beta", "gamma")]):
        path.write_text("".join(text))
        (check,) = [c for c in verify(run).files if c.state != "same"]
        (difference,) = check.differences
        assert {difference.shipped, difference.computed} == {"", "a row"}


CHANGES = {
    "a word": lambda run: (run / "leaderboard.md").write_text(
        (run / "leaderboard.md").read_text().replace("unweighted", "weighted")
    ),
    "another board's file": lambda run: (run / "severity.csv").write_text("a,b\n"),
    "no table": lambda run: (run / "leaderboard.csv").unlink(),
    "no text": lambda run: (run / "leaderboard.md").write_bytes(b"\xff\xfe"),
    "the images": lambda run: (run / "manifest.parquet").write_bytes(b"PAR1"),
    "the request": lambda run: (run / "run.json").write_text("{}"),
    "the list of bad images": lambda run: (run / "bad_images.csv").write_text("path,reason\n"),
    "a shard": lambda run: shard(run).write_bytes(shard(run).read_bytes()[:-9]),
    "failures": lambda run: (run / "failures.json").write_text("[1]"),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_whatever_was_changed_is_different(run, kind):
    CHANGES[kind](run)
    result = verify(run)
    assert (result.word, result.exit_code) == ("different", 13)
    assert len(states(result)) == 1


@pytest.mark.parametrize("name", ["manifest.parquet", "units.parquet"])
def test_a_file_of_the_record_that_is_gone_is_absent_by_name(run, cli, name):
    (run / name).unlink()
    code, out, _ = cli("verify", run)
    assert code == 13
    assert states(verify(run)) == {name: "absent"}
    assert f"{name}" in out
    code, _, err = cli("board", run)
    assert code == 2
    assert f"{name} is missing, and run.json tells of it: run the command" in err


def test_nothing_that_bench_wrote_is_read_by_threads_of_pyarrow(run, base, monkeypatch):
    """They may still read while the interpreter ends, which then aborts after its answer."""

    def scan(*_, **__):
        raise AssertionError("pq.read_table scans with threads")

    monkeypatch.setattr(pq, "read_table", scan)
    for place in (run, base):
        assert verify(place).word == "same"


def test_scores_that_are_not_there_leave_it_open_and_the_others_are_still_held(run):
    shard(run, "jpeg(quality=50)").unlink()
    assert (verify(run).word, verify(run).exit_code) == ("cannot be told", 11)
    assert "1 units of scores" in verify(run).lacking
    path = run / "leaderboard.csv"
    path.write_text(path.read_text().replace(",clean,", ",clear,"))
    assert verify(run).word == "different"


def test_a_run_without_a_board_and_a_board_without_a_run_cannot_be_told(run, tmp_path, cli):
    board = tmp_path / "board"
    board.mkdir()
    shutil.copy(run / "leaderboard.csv", board)
    for name in ("leaderboard.md", "leaderboard.csv"):
        (run / name).unlink()
    for place in (run, board):
        assert verify(place).word == "cannot be told"
    (board / "leaderboard.csv").unlink()
    code, _, err = cli("verify", board)
    assert code == 2
    assert "holds no run, no baseline and no board" in err


def test_a_baseline_is_what_its_scores_give(base):
    assert verify(base).word == verify(base / "baseline.json").word == "same"
    path = base / "baseline.json"
    document = json.loads(path.read_text())
    document["cells"][0]["auc"] = 0.25
    path.write_text(json.dumps(document))
    assert states(verify(base)) == {"baseline.json": "damaged"}
    path.write_text(json.dumps(sealed(document)))  # somebody who knows the format
    (check,) = verify(base).files
    assert [d.where.rpartition(" / ")[2] for d in check.differences] == ["auc"]
    assert check.differences[0].shipped == "0.25"


def test_digests_are_sha256sums_own_and_are_held(run, cli):
    code, out, _ = cli("verify", run, "--digests")
    assert code == 0
    (run / "SHA256SUMS").write_text(out)
    names = {line[66:] for line in out.splitlines()}
    assert names >= {"run.json", "manifest.parquet", "leaderboard.csv", "bad_images.csv"}
    assert str(shard(run).relative_to(run)) in names
    done = subprocess.run(
        ["sha256sum", "--strict", "--quiet", "-c", "SHA256SUMS"], cwd=run, check=False
    )
    assert done.returncode == 0
    assert verify(run).word == "same"
    (run / "failures.json").write_text("[ ]\n")  # the same board, and not the same file
    assert states(verify(run)) == {"failures.json": "different"}
    for text, name in (("", "SHA256SUMS"), ("x\n", "SHA256SUMS"), (f"{'0' * 64}  ../x\n", "../x")):
        (run / "SHA256SUMS").write_text(text)
        assert states(verify(run))[name] in ("different", "damaged", "absent")


def test_digests_of_a_baseline(base, cli):
    _, out, _ = cli("verify", base, "--digests")
    assert len(out.splitlines()) == 2
    (base / "SHA256SUMS").write_text(out)
    assert verify(base).word == "same"
    assert cli("verify", base, "--digests", "--json")[0] == 2


@pytest.mark.parametrize("name", ["cross-generator", "smoke", "train-on-one"])
def test_published_numbers_are_those_of_the_published_scores(name):
    result = verify(PUBLISHED / name)
    tables = [check for check in result.files if check.name in ("leaderboard.csv", "baseline.json")]
    assert tables, result
    assert not result.lacking
    for check in result.files:
        assert check.name == "leaderboard.md" or not check.differences, check
        assert check.state not in ("damaged", "absent"), check
