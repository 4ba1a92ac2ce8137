"""The tidy CSV of a board: one row a cell, the same bytes for the same rows everywhere."""

from __future__ import annotations

import math
import re
from typing import Any

import pandas as pd

from leaderboards.statistics.catalogue import count_columns
from leaderboards.tables.cells import TEXT_COLUMNS
from leaderboards.tables.extras import Extras
from leaderboards.tables.further.stopping import Stopping
from leaderboards.tables.notes import BoardNotes
from leaderboards.tables.slicing import POOLED

UNDEFINED = "n/a"
NOTE_COLUMNS = ("left_out_real", "left_out_fake", "warning")
# Of a board whose cells stopped at a target; n_real and n_fake are what was scored.
STOP_COLUMNS = ("available_real", "available_fake", "target", "stop")

# What a spreadsheet would run as a formula, also behind apostrophes that an earlier guard put there
# (so that guarding is one to one and ``unguard`` restores the name).
_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NEEDS_QUOTES = re.compile(r'[",\r\n]|^\s|\s$')


def render_csv(
    rows: pd.DataFrame, notes: BoardNotes | None = None, extras: Extras | None = None
) -> str:
    """Write the board's rows as CSV, each with the images it lacks and the warnings that hold for it.

    The columns ``left_out_real``, ``left_out_fake`` (images of the slice that cannot be used) and
    ``warning`` (codes, joined by "; ") stand at the end, where there are notes; behind them, where cells
    stopped at a target, the images there are, the target, and whether it was met.
    """
    del extras
    if notes is None:
        return render_rows(rows)
    rows = rows.assign(**_of_notes(rows, notes))
    return render_rows(rows if notes.until is None else rows.assign(**_stops(rows, notes.until)))


FORMATS = {"csv": render_csv}


def _of_notes(rows: pd.DataFrame, notes: BoardNotes) -> dict[str, list[int] | list[str]]:
    """What the notes say of each row: columns of ``NOTE_COLUMNS``, by name."""
    cuts = zip(rows["generator"], rows["domain"], strict=True)
    left_out = [left_out_of(notes, generator, domain) for generator, domain in cuts]
    warnings = [
        "; ".join(w.code for w in notes.warnings if w.detector in ("", detector))
        for detector in rows["detector"]
    ]
    columns = ([n_real for n_real, _ in left_out], [n_fake for _, n_fake in left_out], warnings)
    return dict(zip(NOTE_COLUMNS, columns, strict=True))


def _stops(rows: pd.DataFrame, until: Stopping) -> dict[str, list[int] | list[str]]:
    """Where each row's cell stopped: columns of ``STOP_COLUMNS``, by name."""
    cells = {(c.detector, c.condition, c.generator, c.domain): c for c in until.cells}
    names = ("detector", "condition", "generator", "domain")
    stopped = [cells[key] for key in zip(*(rows[name] for name in names), strict=True)]
    states: list[str] = [cell.state for cell in stopped]
    columns = (
        [cell.available_real for cell in stopped],
        [cell.available_fake for cell in stopped],
        [until.target] * len(stopped),
        states,
    )
    return dict(zip(STOP_COLUMNS, columns, strict=True))


def left_out_of(notes: BoardNotes, generator: str, domain: str) -> tuple[int, int]:
    """Count the real and the fake images that a slice would have, could they be used."""
    counts = [0, 0]
    sources = notes.pairing.get(generator)
    for kind in notes.left_out:
        if kind.label is None or domain not in (POOLED, kind.domain):
            continue
        is_paired = sources is None or kind.generator in sources
        if generator == POOLED or (kind.generator == generator if kind.label else is_paired):
            counts[kind.label] += kind.images
    return counts[0], counts[1]


def render_rows(rows: pd.DataFrame) -> str:
    """Write tidy rows as CSV: UTF-8 safe, LF line ends, undefined as "n/a".

    Metrics have at most seven significant digits; thresholds are exact, so that a decision can be
    repeated from the file. Text that a spreadsheet would run as a formula gets a leading apostrophe.
    """
    lines = [",".join(rows.columns)]
    whole = {*count_columns(), "strength", *NOTE_COLUMNS, *STOP_COLUMNS}
    texts = [
        [_cell(name, value, whole=name in whole) for value in rows[name]] for name in rows.columns
    ]
    lines += [",".join(cells) for cells in zip(*texts, strict=True)]
    return "\n".join(lines) + "\n"


def render_matrix(matrix: pd.DataFrame) -> str:
    """Write a small table of texts and rates as CSV, by the same rules."""
    lines = [",".join(quoted(guard(str(name))) for name in matrix.columns)]
    for row in matrix.itertuples(index=False):
        cells = (quoted(guard(v)) if isinstance(v, str) else number(float(v)) for v in row)
        lines.append(",".join(cells))
    return "\n".join(lines) + "\n"


def guard(text: str) -> str:
    """Mark text that a spreadsheet would run as a formula, one to one."""
    return "'" + text if _FORMULA.match(text) else text


def unguard(text: str) -> str:
    """Undo ``guard``: restore the text as it was."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def number(value: float, *, exact: bool = False) -> str:
    """Write a float by the board's one rule: seven significant digits, or all; nan as "n/a"."""
    if math.isnan(value):
        return UNDEFINED
    # Adding zero turns -0.0 into 0.0: one value, one spelling.
    return repr(float(value) + 0.0) if exact else format(float(value) + 0.0, ".7g")


def _cell(column: str, value: Any, *, whole: bool) -> str:
    if column in TEXT_COLUMNS or isinstance(value, str):
        # CSV readers stop at NUL, quoted or not.
        return quoted(guard(value.replace("\0", "\\x00")))
    if pd.isna(value):
        return UNDEFINED
    if whole:
        return str(int(value))
    return number(float(value), exact=column == "threshold")


def quoted(text: str) -> str:
    """Write a CSV field, in quotes where it needs them."""
    return '"' + text.replace('"', '""') + '"' if _NEEDS_QUOTES.search(text) else text
