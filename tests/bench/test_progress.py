"""What a person sees while a run goes on, what stays of it in the folder, and terminals that know little."""

from __future__ import annotations

import io
import re
import sys

import pytest
import typer.main
from PIL import Image

import bench
from bench.cli import main as entry
from bench.cli import output
from bench.cli.main import app
from bench.protocol.suite import Suite
from bench.runs.folder import log
from bench.runs.folder.log import LOG_NAME, RunLog
from bench.support.progress import Silent

STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ "
SUITE = Suite(name="two", slices=["generator"], conditions=["clean", "jpeg(quality=75)"])


class Counter(Silent):
    def __init__(self):
        self.totals, self.steps, self.places = [], [], []

    def start(self, task, total):
        self.totals.append(total)
        self.steps.append(0)

    def advance(self, steps=1):
        self.steps[-1] += steps

    def at(self, place):
        self.places.append(place)


def test_progress_names_what_it_is_at_and_counts_what_is_left(tree, toy, tmp_path):
    seen = Counter()
    run = {"suite": SUITE, "data": tree, "store": tmp_path / "store"}
    bench.run([toy(), toy("Raises")], progress=seen, out=tmp_path / "a", **run)
    assert set(seen.places) == {
        f"{name} under {condition}"
        for name in ("Toy", "Raises")
        for condition in ("clean", "jpeg(quality=75)")
    }
    # A cell that fails is no longer waited for: the bar ends full.
    assert seen.totals[-1] == seen.steps[-1] == 48 * 2 * 2
    again = Counter()
    bench.run(toy(), progress=again, out=tmp_path / "b", **run)
    assert again.totals[-1] == again.steps[-1] == 0  # all of it is stored


def test_a_run_leaves_a_log_with_times_and_without_the_environment(
    cli, tree, toy, tmp_path, monkeypatch
):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "swordfish")
    args = (
        "run",
        "-d",
        toy(),
        "-d",
        toy("Raises"),
        "--data",
        tree,
        "--suite",
        "smoke",
        "--out",
        "out",
    )
    assert cli(*args, "-q")[0] == 12
    text = (tmp_path / "out" / LOG_NAME).read_text()
    assert all(re.match(STAMP, line) for line in text.splitlines())
    for words in (
        "start ",
        "recognised as",
        "scoring: ",
        "Raises under clean: failed",
        "end     finished",
    ):
        assert words in text
    assert "swordfish" not in text
    before = (tmp_path / "out" / "leaderboard.csv").read_bytes()
    cli(*args, "-q")
    assert (tmp_path / "out" / LOG_NAME).read_text().startswith(text)
    assert (tmp_path / "out" / "leaderboard.csv").read_bytes() == before


def test_a_log_stays_small_and_says_how_a_run_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(log, "MOST_BYTES", 1000)
    (tmp_path / LOG_NAME).write_text("".join(f"old line {i}\n" for i in range(200)))
    kept = RunLog(Silent())
    kept.keep(tmp_path)
    for i in range(5):
        kept.note(f"line {i}\nof two")
    with pytest.raises(ZeroDivisionError), kept.ending():
        _ = 1 // 0
    text = (tmp_path / LOG_NAME).read_text()
    assert text.startswith("(older lines are cut)\nold line 1")
    assert "note    line 4 of two\n" in text
    assert text.endswith("end     ZeroDivisionError: integer division or modulo by zero\n")
    for i in range(100):
        kept.note(f"line {i}")
    assert (tmp_path / LOG_NAME).stat().st_size < 2000


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path):
    (tmp_path / LOG_NAME).mkdir()
    kept = RunLog(Silent())
    kept.keep(tmp_path)
    kept.note("unheard")


def test_quiet_says_nothing_and_verbose_says_when(cli, tree, toy, monkeypatch):
    args = ("run", "-d", toy(), "--data", tree, "--suite", "cross-generator", "--no-audit")
    assert cli(*args, "--quiet", "--out", "a")[2] == ""
    monkeypatch.setattr(output, "VERBOSE_EVERY", 0.0)
    code, _, err = cli(*args, "--verbose", "--out", "b")
    assert code == 0
    assert re.search(r"^\d\d:\d\d:\d\d images: recognised as", err, re.MULTILINE)
    assert re.search(r"scoring: 48 of 48, Toy under clean, about 0 s left", err)
    assert cli(*args, "--verbose", "--quiet")[0] == 2


def test_quiet_keeps_errors_and_warnings_and_no_remark(cli, tree, toy):
    data = ("--data", tree, "--suite", "cross-generator", "--no-audit", "--quiet")
    code, _, err = cli("run", "-d", toy(), "-d", toy("Raises"), *data, "--out", "a")
    assert code == 12
    assert err == "2 cells have no result: see the board's footnotes\n"
    (tree / "alpha" / "fake" / "00.png").write_bytes(b"no picture")
    code, _, err = cli("run", "-d", toy(), *data, "--out", "a", "--force")
    assert code == 0
    replaced, lost, left_out = err.splitlines()
    assert "held another request" in replaced
    assert lost.startswith("WARNING: the classes lose images unequally")
    assert left_out.startswith("left out for every detector alike: 1 images")
    code, out, err = cli("run", "-d", "nobody", *data)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_is_not_utf_8_is_no_error(cli, tree, toy, monkeypatch, encoding):
    (tree / "beta").rename(tree / "Müller-画")
    for path in (tree / "alpha" / "fake").iterdir():
        Image.open(path).save(path.with_name(f"é画{path.name}"))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    common = ("-d", toy(), "--data", tree, "--suite", "cross-generator", "--out", "a")
    assert cli("run", *common)[0] == 0
    for args in (["board", "a"], ["board", "a", "-f", "table"], ["board", "a", "--json"],
                 ["export", "a", "-f", "latex"], ["export", "a", "-f", "csv"], ["data", "index", tree],
                 ["predict", tree / "alpha" / "fake", "-d", toy()], ["scores", "export", "a"],
                 ["ls", "suites"], ["--help"], ["run", "--help"]):  # fmt: skip
        assert cli(*args)[0] == 0, args
    assert cli("board", "Müller-画")[0] == 2


def test_every_help_page_is_ascii_so_that_any_terminal_shows_it():
    root = typer.main.get_command(app)

    def pages(command, path):
        yield path, command.get_help(typer.Context(command, info_name=path))
        for name, inner in getattr(command, "commands", {}).items():
            yield from pages(inner, f"{path} {name}")

    for path, text in pages(root, "bench"):
        assert text.isascii(), path
    assert entry.EPILOG.isascii()
