"""Two texts of one file held against each other: a table number by number, all else line by line."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator
from itertools import zip_longest
from typing import Final

from bench.results.verification.verdict import Difference, FileCheck, from_differences

KEY: Final = ("detector", "dataset", "generator", "domain", "condition")
Cell = tuple[str, ...]


def check_text(
    name: str, shipped: str, computed: str, unscored: Collection[Cell] = ()
) -> FileCheck:
    """Hold a file of a board against the same file made of the scores.

    Args:
        name: Name of the file.
        shipped: What it holds.
        computed: What it should hold.
        unscored: Values of ``KEY`` of cells whose scores are not all there: nothing is said of them.
    """
    if shipped == computed:
        return FileCheck(name, "same")
    tables = _cells(shipped), _cells(computed)
    if tables[0] is None or tables[1] is None:
        return from_differences(name, _lines(shipped, computed), "lines")
    check = from_differences(name, _numbers(tables[0], tables[1], unscored), "numbers")
    if check.differences or unscored:
        return check
    return FileCheck(name, "different", "every number agrees; order, columns or spelling do not")


def _cells(text: str) -> dict[Cell, dict[str, str]] | None:
    """Read a tidy table by cell; None where it is none, or names a cell twice."""
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    except csv.Error:
        return None
    if not rows or not set(KEY) <= rows[0].keys():
        return None
    cells = {tuple(str(row[key]) for key in KEY): row for row in rows}
    return cells if len(cells) == len(rows) else None


def _numbers(
    shipped: dict[Cell, dict[str, str]],
    computed: dict[Cell, dict[str, str]],
    unscored: Collection[Cell],
) -> Iterator[Difference]:
    for cell in dict.fromkeys((*computed, *shipped)):
        if cell in unscored:
            continue
        before, after = shipped.get(cell), computed.get(cell)
        where = " / ".join(cell)
        if before is None or after is None:
            yield Difference(where, "a row" if before else "", "a row" if after else "")
            continue
        # A column that one of them lacks is another version's, and no number of this one.
        for column in before.keys() & after.keys() - set(KEY):
            if before[column] != after[column]:
                yield Difference(f"{where} / {column}", before[column], after[column])


def _lines(shipped: str, computed: str) -> Iterator[Difference]:
    pairs = zip_longest(shipped.split("\n"), computed.split("\n"), fillvalue="")
    for number, (before, after) in enumerate(pairs, 1):
        if before != after:
            yield Difference(f"line {number}", before, after)
