"""A board in a terminal's window: what it shows, that it fits, and that only people get it."""

from __future__ import annotations

import io
import sys

import numpy as np
import pandas as pd
import pytest

from bench.cli.terminal import bar, print_board
from bench.results.board import Report
from leaderboards import Board, BoardNotes, ScoreColumn, SeenBy, cell_rows, extras, slices
from leaderboards.tables.notes import Caution

EVIL = "\x1b[31mred\n::error::x ##[y 画像"


class Screen(io.TextIOWrapper):
    """A terminal of one encoding."""

    def __init__(self, encoding):
        super().__init__(io.BytesIO(), encoding=encoding, errors="strict", newline="\n")

    def isatty(self):
        return True

    def shown(self):
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)


@pytest.fixture(scope="module")
def report():
    names = {"photo": 0, "sd14": 1, EVIL: 1}
    samples = pd.DataFrame(
        [
            {
                "sample_id": f"{name}/{i}",
                "label": label,
                "generator": name,
                "domain": "",
                "group": "",
            }
            for name, label in names.items()
            for i in range(30)
        ]
    )
    labels, rng = samples["label"].to_numpy(), np.random.default_rng(0)
    columns = [
        ScoreColumn(detector=name, condition=condition,
                    logits=(rng.normal(size=labels.size) + shift * labels).astype("f4"))
        for name, power in (("strong", 3.0), (f"weak {EVIL}", 0.5))
        for condition, shift in (("clean", power), ("jpeg(quality=30)", power / 3))
    ]  # fmt: skip
    cuts = slices(samples, {"sd14": ("photo",), EVIL: ("photo",)})
    seen = {name: SeenBy(frozenset({"sd14"})) for name in ("strong", f"weak {EVIL}")}
    rows = cell_rows(samples, cuts, columns, seen, "data")
    warning = Caution(code="c", title="WARNING: spoilt " + EVIL, advice="Mend it.")
    notes = BoardNotes(suite="s", dataset="data", n_images=90, cautions=(warning,))
    board = Board(rows, notes, extras(samples, cuts, columns, rows, seen))
    return Report(board, (), 0, (warning.sentence, "a remark"))


def shown(report, monkeypatch, *, columns=80, encoding="utf-8", form="", run="runs/s"):
    screen = Screen(encoding)
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    print_board(report, run, form)
    return screen.shown()


def plain(text):
    """Text without the few sequences that make it bold, which are ours."""
    return text.replace("\x1b[1m", "").replace("\x1b[0m", "")


@pytest.mark.parametrize("columns", [40, 60, 80, 132])
def test_it_fits_the_window_and_says_the_warning_first(report, monkeypatch, capsys, columns):
    text = plain(shown(report, monkeypatch, columns=columns))
    lines = text.splitlines()
    from rich.cells import cell_len

    assert max(cell_len(line) for line in lines) <= columns
    assert lines[0].startswith("WARNING: spoilt")
    assert "strong" in text
    # The warning stands in the table, and is not told a second time.
    assert capsys.readouterr().err == "a remark\n"


def test_it_says_what_the_board_says(report, monkeypatch):
    text = plain(shown(report, monkeypatch, columns=120))
    first = report.board.headline().iloc[0]
    lo, hi = report.board.extras.intervals["strong"]
    row = next(line for line in text.splitlines() if line.startswith("strong"))
    assert row.split()[1:4] == [f"{first['auc_unseen']:.3f}", f"[{lo:.3f},", f"{hi:.3f}]"]
    assert bar(first["auc_unseen"], lo, hi, ascii_only=False, width=10) in row
    assert row.split()[-2:] == [f"{first['auc_seen']:.3f}", f"{first['accuracy_unseen']:.3f}"]
    table = report.board.by_condition()
    jpeg = table[(table["detector"] == "strong") & (table["condition"] != "clean")].iloc[0]
    assert f"jpeg(quality=30) ({float(jpeg['auc']):.3f})" in text


def test_no_name_steers_the_terminal(report, monkeypatch):
    text = plain(shown(report, monkeypatch, columns=200))
    assert all(char == "\n" or char.isprintable() for char in text)
    assert "\\x1b[31mred\\n::error::x #\\x23[y 画像" in text


def test_where_only_ascii_is_shown_all_is_ascii(report, monkeypatch):
    text = plain(shown(report, monkeypatch, encoding="ascii"))
    assert text.isascii()
    assert "#" in text
    assert "\\u753b" in text


def test_a_bar_is_solid_up_to_its_interval():
    assert bar(1.0, 1.0, 1.0, ascii_only=True, width=10) == "##########"
    assert bar(0.5, 0.2, 0.9, ascii_only=True, width=10) == "##=======."
    assert bar(0.5, float("nan"), float("nan"), ascii_only=True, width=10) == "#####....."
    assert bar(0.0, 0.0, 0.0, ascii_only=False, width=4) == "····"
    assert bar(float("nan"), 0.0, 1.0, ascii_only=True) == ""


def test_a_program_gets_markdown_and_a_person_the_table(cli, tree, toy, monkeypatch):
    out = cli("run", "-d", toy(), "--data", tree, "--suite", "smoke", "--limit", "8", "-o", "r")[1]
    assert out.startswith("# Leaderboard")
    code, table, err = cli("board", "r", "--format", "table")
    assert (code, table.startswith("LIMITED RUN"), "LIMITED RUN" in err) == (0, True, False)
    assert "## " not in table
    assert cli("board", "r")[1] == cli("board", "r", "--format", "md")[1] == out
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda self: True, raising=False)
    assert plain(cli("board", "r")[1]).startswith("LIMITED RUN")
    assert cli("board", "r", "--format", "csv")[1].startswith("detector,")


def test_a_board_that_did_its_work_exits_with_0(cli, tree, toy):
    args = ("run", "-d", toy("Raises"), "--data", tree, "--suite", "smoke", "-o", "r")
    assert cli(*args)[0] == 12
    for command in (("board", "r"), ("export", "r", "-f", "latex"), ("board", "r", "-f", "table")):
        code, out, err = cli(*command)
        assert (code, bool(out)) == (0, True)
        assert "cells have no result" in err
