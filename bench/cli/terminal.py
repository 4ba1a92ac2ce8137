"""A board for the window of a terminal: warnings, the headline with bars, what breaks each detector."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.cli.output import put, say, writable_output
from bench.results.formats import DEFAULT, renderers
from bench.support.plain import one_line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from bench.results.board import Report

TABLE: Final = "table"
_BAR = 10
# Below these widths the headline has no bar, and no more than one number.
_FOR_BARS, _FOR_NUMBERS = 72, 54
# Sure part, interval and rest of a bar: told apart without colour, and where only ASCII is shown.
_BLOCKS, _ASCII = ("█", "▒", "·"), ("#", "=", ".")


def print_board(report: Report, run: Path, form: str = "") -> None:
    """Print a board, its warnings first.

    Args:
        report: The board and what must be known beside it.
        run: The run's folder, as a person would type it.
        form: ``table``, or a format of whole boards; "" takes the table on a terminal and Markdown
            where another program reads.
    """
    form = form or (TABLE if sys.stdout.isatty() else DEFAULT)
    board = report.board
    in_table = {caution.sentence for caution in board.notes.warnings} if form == TABLE else set()
    for remark in report.remarks:
        if remark not in in_table:
            say(remark)
    if form == TABLE:
        with writable_output():
            console = _console()
            for part in _parts(report, run, console):
                console.print(part)
            sys.stdout.flush()
    else:
        put(renderers("FORMATS")[form](board.rows, board.notes, board.extras))


def bar(value: float, lo: float, hi: float, *, ascii_only: bool, width: int = _BAR) -> str:
    """Draw a value between 0 and 1: solid up to the interval, shaded within it, dotted beyond.

    Args:
        value: The value; nan draws nothing.
        lo: Lower end of its interval; nan where there is none.
        hi: Upper end.
        ascii_only: Whether only ASCII may be shown.
        width: Characters.

    Example:
        >>> bar(0.5, 0.25, 0.75, ascii_only=True, width=8)
        '##====..'
    """
    if math.isnan(value):
        return ""
    sure, open_ = (value, value) if math.isnan(lo) else (lo, hi)
    first, last = round(sure * width), round(open_ * width)
    solid, shaded, rest = _ASCII if ascii_only else _BLOCKS
    return solid * first + shaded * (last - first) + rest * (width - last)


def _console() -> Console:
    from rich.console import Console

    # COLUMNS and NO_COLOR are rich's own to read; where nothing says the width it is 80.
    return Console(file=sys.stdout, markup=False, highlight=False, emoji=False)


def _parts(report: Report, run: Path, console: Console) -> Iterator[RenderableType]:
    from rich.text import Text

    from leaderboards.render.findings import findings, question

    rows, notes, extras = report.board.rows, report.board.notes, report.board.extras

    def spell(name: str) -> str:
        return _spelt(name, console)

    for caution in notes.warnings:
        title = Text(spell(caution.title) + ". ", style="bold")
        yield title.append(spell(caution.advice), style="not bold")
    if "oracle" in set(rows["threshold_policy"]):
        yield Text(
            "ORACLE threshold, fitted on the scored images: verdicts are upper bounds.",
            style="bold",
        )
    yield Text(question(rows, extras, notes.n_images, spell) + f" Suite {spell(notes.suite)}.")
    yield Text()
    yield _headline(report, console)
    yield Text()
    weaknesses = _weaknesses(report, console)
    if weaknesses is not None:
        yield weaknesses
        yield Text()
    for number, text in enumerate(findings(rows, extras, spell), start=1):
        yield Text(f"{number}. {text}")
    yield Text()
    n_bad = int((rows["status"] != "ok").sum())
    if n_bad:
        yield Text(f"{n_bad} of {len(rows)} cells have no result.", style="bold")
    folder = spell(str(run))
    yield Text(f"All of it: bench board {folder} --format md; figures: bench report {folder}")


def _headline(report: Report, console: Console) -> Table:
    """Lay out the means of every detector, best first, as far as the window is wide."""
    from leaderboards.render.findings import headline_interval
    from leaderboards.render.text import with_interval
    from leaderboards.tables.means import headline

    rows, extras = report.board.rows, report.board.extras
    summaries = headline(rows).to_dict("records")
    has_unseen = any(row["n_unseen"] for row in summaries)
    has_seen = any(row["n_seen"] for row in summaries)
    wide, medium = console.width >= _FOR_BARS, console.width >= _FOR_NUMBERS
    leading = "AUC unseen" if has_unseen else "AUC, all"
    table = _table(console, "Detector")
    table.add_column(leading, no_wrap=medium, overflow="fold")
    if wide:
        table.add_column("0 to 1", no_wrap=True)
    if medium and has_seen:
        table.add_column("AUC seen", justify="right")
    if medium:
        table.add_column("Accuracy", justify="right")
    for row in summaries:
        part = "unseen" if row["n_unseen"] else "all"
        value = float(row[f"auc_{part}"])
        lo, hi = headline_interval(extras, row["detector"])
        text = with_interval(value, lo, hi) + (" (all)" if has_unseen and part == "all" else "")
        cells = [_spelt(row["detector"], console), text]
        if wide:
            cells.append(bar(value, lo, hi, ascii_only=console.options.ascii_only))
        if medium and has_seen:
            cells.append(_number(row["auc_seen"]) if row["n_seen"] else "-")
        if medium:
            cells.append(_number(row[f"accuracy_{part}"]))
        table.add_row(*_texts(cells))
    return table


def _weaknesses(report: Report, console: Console) -> Table | None:
    """Lay out where each detector is weakest; None where it could be told of nobody."""
    from leaderboards.render.findings import unit_of
    from leaderboards.render.text import rate
    from leaderboards.tables.cells import CLEAN, RAW
    from leaderboards.tables.means import by_condition, headline

    rows = report.board.rows
    means = by_condition(rows)
    means = means[~means["condition"].isin([CLEAN, RAW]) & means["auc"].notna()]
    several = rows.drop_duplicates(["generator", "domain"]).shape[0] > 1
    if means.empty and not several:
        return None
    table = _table(console, "Detector", f"Weakest {unit_of(rows)} (AUC)")
    if len(means):
        table.add_column("Worst condition (mean AUC)", overflow="fold")
    for row in headline(rows).to_dict("records"):
        worst = f"{_spelt(row['worst'], console)} ({rate(row['worst_auc'])})"
        cells = [_spelt(row["detector"], console), worst if row["worst"] else "n/a"]
        if len(means):
            own = means[means["detector"] == row["detector"]]
            last = own.sort_values("auc", kind="stable").iloc[:1].to_dict("records")
            cells += [
                f"{_spelt(found['condition'], console)} ({rate(found['auc'])})" for found in last
            ] or ["n/a"]
        table.add_row(*_texts(cells))
    return table


def _table(console: Console, *titles: str) -> Table:
    from rich.box import ASCII2, SIMPLE_HEAD
    from rich.table import Table

    table = Table(
        box=ASCII2 if console.options.ascii_only else SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )
    for title in titles:
        table.add_column(title, overflow="fold")
    return table


def _texts(cells: list[str]) -> list[Any]:
    from rich.text import Text

    return [Text(cell) for cell in cells]


def _number(value: float) -> str:
    return "n/a" if math.isnan(value) else f"{float(value):.3f}"


def _spelt(name: str, console: Console) -> str:
    """Spell a foreign name so that it steers no terminal and can be written on this one."""
    return one_line(name).encode(console.encoding, "backslashreplace").decode(console.encoding)
