"""The report's tables: what stands in a cell, what it is sorted by, and what rows are filtered by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pandas as pd

from bench.results.figures.drawing import Shown
from bench.results.html.answer import worst_condition
from leaderboards.plots.evidence import Evidence
from leaderboards.render.text import UNDEFINED, rate, with_interval
from leaderboards.tables.cells import CLEAN
from leaderboards.tables.condition_means import OTHERS
from leaderboards.tables.means import cut_rows, failures, headline
from leaderboards.tables.slicing import POOLED

_CUTS: Final = ("generator", "generator and domain", "domain", "pooled")


@dataclass(frozen=True, slots=True)
class Bar:
    """A value in [0, 1] with its interval, to be drawn beside its number.

    Attributes:
        value: How far the bar goes.
        lo: Lower end of the whisker; None where there is none.
        hi: Upper end of the whisker; None where there is none.
    """

    value: float
    lo: float | None = None
    hi: float | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: What is read.
        key: What the column is sorted by; a number, or "" for what has none.
        bar: A bar beside the text; None for none.
    """

    text: str
    key: str = ""
    bar: Bar | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table that can be sorted and filtered.

    Attributes:
        name: Part of its id: letters and hyphens.
        caption: What it shows, in a sentence.
        columns: Titles of the columns, the first one that of the row's head.
        rows: Cells of every row.
        numeric: Positions of the columns that hold numbers.
        filters: Title to position of the columns whose values are offered as filters.
    """

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    numeric: tuple[int, ...] = ()
    filters: dict[str, int] = field(default_factory=dict)

    def choices(self, position: int) -> list[str]:
        """List the values of a column, in order of first appearance."""
        return list(dict.fromkeys(row[position].text for row in self.rows))


def measured(value: Any, lo: Any = math.nan, hi: Any = math.nan, *, bar: bool = False) -> Cell:
    """Make a cell of a number with its interval; "n/a" where it is undefined."""
    number, low, high = (float("nan") if pd.isna(v) else float(v) for v in (value, lo, hi))
    if math.isnan(number):
        return Cell(UNDEFINED)
    ends = (None, None) if math.isnan(low) or math.isnan(high) else (low, high)
    return Cell(with_interval(number, low, high), repr(number), Bar(number, *ends) if bar else None)


def counted(value: Any) -> Cell:
    """Make a cell of a whole number."""
    return Cell(UNDEFINED) if pd.isna(value) else Cell(str(int(value)), str(int(value)))


def headline_table(shown: Shown) -> Table:
    """Sum up each detector in one row, best first, with bars and intervals."""
    evidence = shown.evidence
    clean = evidence.means[evidence.means["condition"] == CLEAN].set_index("detector")
    ranks = evidence.extras.ranks if evidence.extras is not None else {}
    rows = []
    for row in headline(evidence.rows).to_dict("records"):
        name = row["detector"]
        mean = clean.loc[name] if name in clean.index else {}
        auc, accuracy = (
            measured(*(mean.get(f"{m}{part}", math.nan) for part in ("", "_lo", "_hi")), bar=True)
            for m in ("auc", "accuracy")
        )
        basis = f"{int(mean.get('n_slices', 0))} {mean.get('basis', '')}"
        rank = ranks.get(name, 0)
        worst = f"{row['worst']} ({rate(row['worst_auc'])})" if row["worst"] else UNDEFINED
        rows.append(
            (
                Cell(name),
                Cell(str(rank), str(rank)) if rank else Cell(UNDEFINED),
                auc,
                accuracy,
                Cell(basis),
                Cell(worst),
                Cell(worst_condition(evidence, name) or UNDEFINED),
                Cell(f"{row['n_not_ok']} of {row['n_cells']}", str(row["n_not_ok"])),
            )
        )
    return Table(
        name="headline",
        caption="Detectors, best first: clean images, unweighted means over the slices named, 95 % intervals",
        columns=(
            "Detector", "Rank", "AUC", "Accuracy", "Mean over", "Worst slice (AUC)",
            "Worst condition (AUC)", "Cells not scored",
        ),
        rows=rows,
        numeric=(1, 2, 3, 7),
    )  # fmt: skip


def condition_table(evidence: Evidence) -> Table:
    """Give the mean of every detector under every condition, and what it loses there."""
    rows = [
        (
            Cell(row["detector"]),
            Cell(row["condition"]),
            Cell(f"{row['n_slices']} {row['basis']}"),
            measured(row["auc"], row["auc_lo"], row["auc_hi"], bar=True),
            measured(row["auc_drop"], row["auc_drop_lo"], row["auc_drop_hi"]),
            measured(row["accuracy"], row["accuracy_lo"], row["accuracy_hi"], bar=True),
            measured(row["accuracy_drop"], row["accuracy_drop_lo"], row["accuracy_drop_hi"]),
        )
        for row in evidence.means.to_dict("records")
    ]
    return Table(
        name="conditions",
        caption="By condition: means with 95 % intervals; a drop is clean minus condition, positive is worse",
        columns=(
            "Detector", "Condition", "Mean over", "AUC", "AUC drop", "Accuracy", "Accuracy drop",
        ),
        rows=rows,
        numeric=(3, 4, 5, 6),
        filters={"Detector": 0, "Condition": 1},
    )  # fmt: skip


def cell_table(evidence: Evidence, most: int) -> Table:
    """Give every cell of the board; of more than ``most``, those of clean images first, then in order."""
    frame = pd.concat([cut_rows(evidence.rows, kind) for kind in _CUTS])
    total = len(frame)
    if total > most:
        first = frame["condition"] == CLEAN
        frame = pd.concat([frame[first], frame[~first]]).head(most)
    rows = [
        (
            Cell(row["detector"]),
            Cell("all" if row["generator"] == POOLED else row["generator"]),
            Cell("all" if row["domain"] == POOLED else row["domain"]),
            Cell(row["condition"]),
            Cell(row["seen"]),
            Cell(row["status"]),
            counted(row["n_real"]),
            counted(row["n_fake"]),
            measured(row["auc"], row["auc_lo"], row["auc_hi"], bar=True),
            measured(row["accuracy"], row["accuracy_lo"], row["accuracy_hi"]),
            measured(row["attack_success"]),
        )
        for row in frame.to_dict("records")
    ]
    cut = f"; {total - most} more stand in leaderboard.csv" if total > most else ""
    return Table(
        name="cells",
        caption=f"Every cell, with 95 % intervals{cut}",
        columns=(
            "Detector", "Generator", "Domain", "Condition", "Trained on it", "Status", "Real", "Fake",
            "AUC", "Accuracy", "Attack success",
        ),
        rows=rows,
        numeric=(6, 7, 8, 9, 10),
        filters={"Detector": 0, "Generator": 1, "Domain": 2, "Condition": 3},
    )  # fmt: skip


def shortcut_table(evidence: Evidence) -> Table:
    """Say how far the files alone tell real from fake."""
    rows = [
        (
            Cell(row.name),
            measured(*(math.nan if v is None else v for v in (row.auc, row.lo, row.hi)), bar=True),
            Cell("warns" if row.warns else "no warning"),
            Cell(row.generator or UNDEFINED),
            measured(row.generator_auc),
            measured(row.accuracy),
            counted(row.n_real),
            counted(row.n_fake),
        )
        for row in evidence.notes.shortcuts
    ]
    return Table(
        name="shortcuts",
        caption="Audit: how well facts of the files tell real from fake, out of fold, without any picture",
        columns=(
            "Without the picture", "AUC", "Verdict", "Best told apart", "Its AUC",
            "Accuracy, generator unseen", "Real", "Fake",
        ),
        rows=rows,
        numeric=(1, 4, 5, 6, 7),
    )  # fmt: skip


def check_table(evidence: Evidence) -> Table:
    """List the honesty checks of every attack; those that failed stand first."""
    words = {True: "passed", False: "FAILED", None: "informs"}
    order = {False: 0, None: 1, True: 2}
    checks = sorted(evidence.notes.checks, key=lambda check: order[check.passed])
    return Table(
        name="checks",
        caption="Attack checks: whether to believe an attack; those that failed stand first",
        columns=("Detector", "Condition", "Check", "Result", "Measured"),
        rows=[
            (
                Cell(c.detector), Cell(c.condition), Cell(c.name), Cell(words[c.passed]), Cell(c.detail),
            )
            for c in checks
        ],
        filters={"Detector": 0, "Condition": 1, "Result": 3},
    )  # fmt: skip


def failure_table(evidence: Evidence) -> Table:
    """List the cells that have no number, with the reason."""
    rows = failures(evidence.rows).to_dict("records")
    names = ("detector", "generator", "domain", "condition", "status", "reason")
    return Table(
        name="failures",
        caption="Cells without a number, and why",
        columns=("Detector", "Generator", "Domain", "Condition", "Status", "Reason"),
        rows=[tuple(Cell(str(row[name])) for name in names) for row in rows[:500]],
        filters={"Detector": 0, "Condition": 3, "Status": 4},
    )


def plain_table(
    name: str, caption: str, columns: tuple[str, ...], rows: Sequence[Sequence[str]]
) -> Table:
    """Make a table of texts."""
    return Table(
        name=name, caption=caption, columns=columns, rows=[tuple(map(Cell, row)) for row in rows]
    )


def figure_table(name: str, rows: pd.DataFrame, caption: str = "") -> Table:
    """Give the numbers of a figure, for those who cannot or will not look at it."""
    numeric = [i for i, c in enumerate(rows.columns) if rows[c].dtype.kind in "fiu"]
    body = []
    for row in rows.itertuples(index=False):
        body.append(
            tuple(
                (Cell(UNDEFINED) if pd.isna(v) else Cell(f"{v:.4g}", repr(float(v))))
                if i in numeric
                else Cell("mean over conditions" if v == OTHERS else str(v))
                for i, v in enumerate(row)
            )
        )
    return Table(
        name=f"numbers-{name}",
        caption=caption or f"The numbers of the figure {name}",
        columns=tuple(str(c).replace("_", " ") for c in rows.columns),
        rows=body,
        numeric=tuple(numeric),
    )
