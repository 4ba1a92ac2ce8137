r"""A board as LaTeX booktabs: value and interval, the best in bold within its rank group.

The text needs only ``\usepackage{booktabs}`` and compiles with every engine; no table is wider than the
page of ``article``.
"""

from __future__ import annotations

import math
import string
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import pandas as pd

from leaderboards.render.latex_layout import (
    COLUMN_GAP,
    MOST_LINES,
    SCRIPT,
    pack,
    split_lines,
    stacked,
    text_width,
)
from leaderboards.render.text import UNDEFINED, rate, visible
from leaderboards.statistics.catalogue import metric_of
from leaderboards.tables.cells import CLEAN
from leaderboards.tables.extras import Extras
from leaderboards.tables.means import board_basis, board_mean, main_rows, slice_name
from leaderboards.tables.notes import BoardNotes

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"{\ttfamily\char34}",
    # Braces keep two of a kind from becoming one sign.
    "'": "{'}",
    "`": "{`}",
    "-": "{-}",
    # A bracket after a line break would be read as its optional argument.
    "[": r"{[}",
    "]": r"{]}",
    "*": r"{*}",
}

# Letters beyond ASCII that every LaTeX sets, beside those that are one of its own with an accent.
_LETTERS: Final = frozenset("æÆøØßœŒłŁ")
# Widths of names before they go on on the next line, in pt.
_LABEL, _HEAD = 105.0, 72.0
_MARKS = {"seen": r"$^{\dagger}$", "unknown": r"$^{?}$"}


def escape_latex(text: str) -> str:
    """Escape text so that LaTeX prints it as it is; controls are spelt out.

    A letter that pdfLaTeX lacks stands there by its number; engines that know it print the letter.
    """
    return "".join(_escaped(char) for char in visible(text)) or "(empty)"


def _escaped(char: str) -> str:
    if char.isascii():
        return _ESCAPES.get(char, char)
    if char in _LETTERS or unicodedata.normalize("NFD", char)[0] in string.ascii_letters:
        return char
    return rf"\detectorbenchchar{{U+{ord(char):04X}}}{{{char}}}"


class _Cell(NamedTuple):
    """One cell: what LaTeX reads, and how wide that is in pt."""

    text: str
    width: float


class _Grid(NamedTuple):
    """A table to be cut: names of its rows and columns, and a cell for each pair; the mean comes last."""

    corner: str
    rows: Sequence[str]
    columns: Sequence[str]
    cells: Sequence[Sequence[_Cell]]

    def transposed(self, corner: str) -> _Grid:
        return _Grid(corner, self.columns, self.rows, list(zip(*self.cells, strict=True)))

    @property
    def label_width(self) -> float:
        lines = [line for row in (self.corner, *self.rows) for line in stacked(row, _LABEL)]
        return max(text_width(line) for line in lines)

    def blocks(self) -> list[list[int]]:
        """Cut the columns so that every block fits the page."""
        return pack([self._width(i) for i in range(len(self.columns))], self.label_width)

    def _width(self, column: int) -> float:
        head = max(text_width(line) for line in stacked(self.columns[column], _HEAD))
        return max(head, *(row[column].width for row in self.cells))


def render_latex(
    rows: pd.DataFrame, notes: BoardNotes, extras: Extras | None, metric: str = "auc"
) -> str:
    """Write clean results with the board's mean, cut into as many tables as fit the page.

    Rows are detectors and columns slices, or the other way round where that needs fewer tables.

    Args:
        rows: Rows of the board.
        notes: Protocol behind the board.
        extras: Further tables of the board; without ranks nothing is bold but the single best.
        metric: A metric of the board that has an interval, or one without.

    Raises:
        ValueError: A metric the board does not hold.
    """
    if metric not in rows.columns or rows[metric].dtype.kind not in "fi":
        known = [name for name in rows.columns if f"{name}_lo" in rows.columns]
        raise ValueError(f"the board has no metric {metric!r}, but {', '.join(known)}")
    grid = _grid(rows, extras, metric)
    turned = grid.transposed("Slice")
    grid = turned if len(turned.blocks()) < len(grid.blocks()) else grid
    floats = list(_floats(grid))
    lines = [*_facts(notes), *_fallback(grid)]
    label = f"tab:{_label(notes.suite)}-{_label(metric)}"
    for number, tabulars in enumerate(floats, start=1):
        part = f" Part {number} of {len(floats)}." if len(floats) > 1 else ""
        caption = _caption(grid, rows, notes, metric) if number == 1 else _title(notes, metric)
        lines += [
            r"\begin{table}",
            rf"  \centering\small\setlength{{\tabcolsep}}{{{COLUMN_GAP / 2:g}pt}}",
            rf"  \caption{{{caption}{part}}}",
            rf"  \label{{{label}{f'-{number}' if number > 1 else ''}}}",
            *[line for tabular in tabulars for line in tabular],
            r"\end{table}",
        ]
    data = [f"% {visible(line)}" for line in notes.data_card]
    return "\n".join([*lines, *data]) + "\n"


def _grid(rows: pd.DataFrame, extras: Extras | None, metric: str) -> _Grid:
    cells = main_rows(rows)
    clean = cells[cells["condition"] == CLEAN]
    cuts = list(dict.fromkeys(zip(clean["generator"], clean["domain"], strict=True)))
    detectors = list(dict.fromkeys(clean["detector"]))
    by_name = {
        (row["detector"], row["generator"], row["domain"]): row for row in clean.to_dict("records")
    }
    means = {detector: board_mean(rows, detector, metric) for detector in detectors}
    best = _best(means, extras, metric)
    body = []
    for detector in detectors:
        mean = _show(metric)(means[detector])
        width = text_width(mean) * 1.2  # bold, and its mark
        if not math.isnan(means[detector]) and board_basis(rows, detector).name == "all":
            mean += r"$^{\ast}$"
        last = _Cell(rf"\textbf{{{mean}}}" if detector in best else mean, width)
        body.append([*(_cell(by_name[detector, *cut], metric) for cut in cuts), last])
    # As they are printed: what is invisible in a name has a width too.
    names, titles = (
        [visible(name) or "(empty)" for name in some]
        for some in (detectors, [slice_name(*cut) for cut in cuts])
    )
    return _Grid("Detector", names, [*titles, "Mean"], body)


def _floats(grid: _Grid) -> Iterator[list[list[str]]]:
    """Deal the table out to floats, each a list of tabulars that fit one page together."""
    heights = [len(stacked(name, _LABEL)) for name in grid.rows]
    chunks = split_lines(heights)
    waiting: list[list[str]] = []
    used = 0
    for columns in grid.blocks():
        for chunk in chunks:
            lines = sum(heights[i] for i in chunk) + 3
            if waiting and used + lines > MOST_LINES + 3:
                yield waiting
                waiting, used = [], 0
            waiting.append(_tabular(grid, chunk, columns, is_first=not waiting))
            used += lines
    yield waiting


def _tabular(
    grid: _Grid, rows: Sequence[int], columns: Sequence[int], *, is_first: bool
) -> list[str]:
    head = [
        _stack(grid.corner, _LABEL, "l"),
        *(_stack(grid.columns[j], _HEAD, "r") for j in columns),
    ]
    body = []
    for i in rows:
        if i == len(grid.rows) - 1 and grid.corner != "Detector":  # the mean
            body.append(r"    \midrule")
        cells = [_stack(grid.rows[i], _LABEL, "l"), *(grid.cells[i][j].text for j in columns)]
        body.append(rf"    {' & '.join(cells)} \\")
    return [
        *([] if is_first else [r"  \par\medskip"]),
        rf"  \begin{{tabular}}{{l{'r' * len(columns)}}}",
        r"    \toprule",
        rf"    {' & '.join(head)} \\",
        r"    \midrule",
        *body,
        r"    \bottomrule",
        r"  \end{tabular}",
    ]


def _stack(name: str, limit: float, side: str) -> str:
    """Set a name on as many lines as it needs."""
    lines = [escape_latex(line) for line in stacked(name, limit)]
    inner = r"\\".join(lines)
    return inner if len(lines) == 1 else rf"\shortstack[{side}]{{{inner}}}"


def _fallback(grid: _Grid) -> list[str]:
    """Define how a letter that the engine may lack is printed, where a name has one."""
    names = "".join([*grid.rows, *grid.columns])
    if r"\detectorbenchchar" not in escape_latex(names):
        return []
    return [r"\providecommand{\detectorbenchchar}[2]{\ifdefined\Umathchar #2\else #1\fi}"]


METRIC_FORMATS = {"latex": render_latex}


def _best(means: dict[str, float], extras: Extras | None, metric: str) -> set[str]:
    """All that no test tells apart from the best; ranks are about AUC."""
    defined = {name: value for name, value in means.items() if not math.isnan(value)}
    if not defined:
        return set()
    if extras is not None and metric == "auc":
        return {name for name in defined if extras.ranks.get(name) == 1}
    record = metric_of(metric)
    largest_is_best = record is None or record.larger_is_better
    best = max(defined.values()) if largest_is_best else min(defined.values())
    return {name for name, value in defined.items() if value == best}


def _show(column: str) -> Callable[[float], str]:
    record = metric_of(column)
    return rate if record is None else record.show


def _cell(row: Mapping[Any, Any], metric: str) -> _Cell:
    if row["status"] != "ok":
        status = str(row["status"])
        return _Cell(_stack(status, _HEAD, "r"), min(text_width(status), _HEAD))
    value, lo, hi = (
        float(str(row.get(name, "nan"))) for name in (metric, f"{metric}_lo", f"{metric}_hi")
    )
    if math.isnan(value):
        return _Cell(UNDEFINED, text_width(UNDEFINED))
    show = _show(metric)
    mark = _MARKS.get(str(row["seen"]), "")
    width = text_width(show(value)) + (5.0 if mark else 0.0)
    if math.isnan(lo):
        return _Cell(show(value) + mark, width)
    interval = f"[{show(lo)}, {show(hi)}]"
    text = rf"{show(value)} {{\scriptsize{interval}}}{mark}"
    return _Cell(text, width + text_width(" ") + text_width(interval, SCRIPT))


def _facts(notes: BoardNotes) -> list[str]:
    """Write the protocol as comments."""
    # One line of comment a fact: a line break in a name would end the comment.
    facts = [
        f"suite {notes.suite}, data {notes.dataset}, {notes.n_images} images, seed {notes.seed}",
        f"threshold: {notes.threshold_policy}",
        *(f"weights of {name}: {digest}" for name, digest in notes.weights.items()),
        *(caution.sentence for caution in notes.cautions),
        f"made by detector-bench {notes.tool_version}",
    ]
    return [f"% {visible(fact)}" for fact in facts]


def _title(notes: BoardNotes, metric: str) -> str:
    record = metric_of(metric)
    title = record.phrase if record and metric == record.name else metric.replace("_", " ")
    return (
        f"{escape_latex(title)} on clean images of {escape_latex(notes.dataset)}, suite "
        f"{escape_latex(notes.suite)}."
    )


def _caption(grid: _Grid, rows: pd.DataFrame, notes: BoardNotes, metric: str) -> str:
    record = metric_of(metric)
    needs_threshold = record is None or record.needs_threshold
    caption = _title(notes, metric)[:-1]
    caption += ", with 95\\% intervals."
    marks = "".join(cell.text for row in grid.cells for cell in row)
    if r"\dagger" in marks:
        caption += r" $\dagger$: in the training data."
    caption += " Mean: over slices that are not, as on the board"
    caption += r"; $\ast$: over all, as none is unseen." if r"\ast" in marks else "."
    if r"\textbf" in marks:
        caption += " Bold: not significantly apart from the best."
    if _MARKS["unknown"] in marks:
        caption += " ?: nobody knows whether it was in the training data."
    if needs_threshold and "oracle" in set(rows["threshold_policy"]):
        caption += " ORACLE threshold, fitted on the scored images."
    if notes.limit is not None:
        caption += f" LIMITED RUN: {notes.n_images} images."
    for caution in notes.cautions:
        caption += rf" \textbf{{{escape_latex(caution.title)}.}}"
    return caption


def _label(text: str) -> str:
    return "".join(char if char.isascii() and char.isalnum() else "-" for char in text)
