r"""A board as LaTeX booktabs: value and interval, the best in bold within its rank group.

The text needs only ``\usepackage{booktabs}`` and, for names beyond ASCII, a Unicode-aware engine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

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

_MARKS = {"seen": r"$^{\dagger}$", "unknown": r"$^{?}$"}


def escape_latex(text: str) -> str:
    """Escape text so that LaTeX prints it as it is; controls are spelt out."""
    return "".join(_ESCAPES.get(char, char) for char in visible(text)) or "(empty)"


def render_latex(
    rows: pd.DataFrame, notes: BoardNotes, extras: Extras | None, metric: str = "auc"
) -> str:
    """Write one table of clean results: a row a detector, a column a slice, and the board's mean.

    Args:
        rows: Rows of the board.
        notes: Protocol behind the board.
        extras: Further tables of the board; without ranks nothing is bold but the single best.
        metric: A metric of the board that has an interval, or one without.

    Raises:
        ValueError: A metric the board does not hold.
    """
    if metric not in rows.columns or rows[metric].dtype.kind not in "fi":
        raise ValueError(f"the board has no metric {metric!r}")
    cells = main_rows(rows)
    clean = cells[cells["condition"] == CLEAN]
    cuts = list(dict.fromkeys(zip(clean["generator"], clean["domain"], strict=True)))
    detectors = list(dict.fromkeys(clean["detector"]))
    by_name = {
        (row["detector"], row["generator"], row["domain"]): row for row in clean.to_dict("records")
    }
    means = {detector: board_mean(rows, detector, metric) for detector in detectors}
    best = _best(means, extras, metric)
    body: list[str] = []
    for detector in detectors:
        texts = [_cell(by_name[detector, *cut], metric) for cut in cuts]
        mean = _show(metric)(means[detector])
        if not math.isnan(means[detector]) and board_basis(rows, detector).name == "all":
            mean += r"$^{\ast}$"
        texts.append(rf"\textbf{{{mean}}}" if detector in best else mean)
        body.append(rf"{escape_latex(detector)} & {' & '.join(texts)} \\")
    titles = [escape_latex(slice_name(*cut)) for cut in cuts]
    data = [f"% {visible(line)}" for line in notes.data_card]
    return "\n".join([*_document(rows, notes, metric, titles, body), *data]) + "\n"


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


def _cell(row: dict[Any, Any], metric: str) -> str:
    if row["status"] != "ok":
        return escape_latex(str(row["status"]))
    value, lo, hi = (
        float(str(row.get(name, "nan"))) for name in (metric, f"{metric}_lo", f"{metric}_hi")
    )
    if math.isnan(value):
        return UNDEFINED
    show = _show(metric)
    interval = "" if math.isnan(lo) else rf" {{\scriptsize[{show(lo)}, {show(hi)}]}}"
    mark = _MARKS.get(str(row["seen"]), "")
    return f"{show(value)}{interval}{mark}"


def _document(
    rows: pd.DataFrame, notes: BoardNotes, metric: str, titles: Sequence[str], body: Sequence[str]
) -> list[str]:
    record = metric_of(metric)
    needs_threshold = record is None or record.needs_threshold
    is_oracle = needs_threshold and "oracle" in set(rows["threshold_policy"])
    # One line of comment a fact: a line break in a name would end the comment.
    facts = [
        f"suite {notes.suite}, data {notes.dataset}, {notes.n_images} images, seed {notes.seed}",
        f"threshold: {notes.threshold_policy}",
        *(f"weights of {name}: {digest}" for name, digest in notes.weights.items()),
        *(caution.sentence for caution in notes.cautions),
        f"made by detector-bench {notes.tool_version}",
    ]
    title = record.phrase if record and metric == record.name else metric.replace("_", " ")
    caption = (
        f"{escape_latex(title)} on clean images of {escape_latex(notes.dataset)}, suite "
        f"{escape_latex(notes.suite)}, with 95\\% intervals. $\\dagger$: in the training data. "
        "Mean: over slices that are not, as on the board; $\\ast$: over all, as none is unseen. "
        "Bold: not significantly apart from the best."
    )
    if "unknown" in set(rows["seen"]):
        caption += " ?: nobody knows whether it was in the training data."
    if is_oracle:
        caption += " ORACLE threshold, fitted on the scored images."
    if notes.limit is not None:
        caption += f" LIMITED RUN: {notes.n_images} images."
    for caution in notes.cautions:
        caption += rf" \textbf{{{escape_latex(caution.title)}.}}"
    columns = "l" + "r" * (len(titles) + 1)
    return [
        *(f"% {visible(fact)}" for fact in facts),
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{caption}}}",
        rf"  \label{{tab:{_label(notes.suite)}-{_label(metric)}}}",
        rf"  \begin{{tabular}}{{{columns}}}",
        r"    \toprule",
        rf"    Detector & {' & '.join(titles)} & Mean \\",
        r"    \midrule",
        *(f"    {line}" for line in body),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]


def _label(text: str) -> str:
    return "".join(char if char.isascii() and char.isalnum() else "-" for char in text)
