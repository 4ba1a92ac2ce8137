"""Paired differences as a Markdown or CSV table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from leaderboards.render.csv import guard, number, quoted
from leaderboards.render.text import UNDEFINED, escape, rate, table
from leaderboards.statistics.paired_cells import Tested
from leaderboards.tables.slicing import POOLED

CSV_COLUMNS = ("reference", "detector", "generator", "domain", "condition", "metric", "n_real", "n_fake",
               "reference_value", "value", "difference", "difference_lo", "difference_hi", "p", "p_holm",
               "p_bh", "threshold_policy")  # fmt: skip


class Row(NamedTuple):
    """One difference, other minus reference, with its p value adjusted in two ways.

    Attributes:
        reference: Name of the detector that the other is held against.
        test: The paired test.
        holm: P value after Holm's correction.
        bh: P value after Benjamini and Hochberg's correction.
    """

    reference: str
    test: Tested
    holm: float
    bh: float


def compare_table(rows: Sequence[Row]) -> list[str]:
    """Write a Markdown table; a star marks what stays significant after Holm's correction at 5%."""
    header = ["Detector", "Against", "Slice", "Condition", "Reference", "Other",
              "Difference [95% interval]", "p", "p (Holm)", "p (BH)"]  # fmt: skip
    body = []
    for row in rows:
        detector, generator, domain, condition = row.test.name
        cut = generator if domain in ("", POOLED) else f"{generator} / {domain}"
        lo, hi = row.test.difference.interval()
        gap = row.test.difference.value
        change = UNDEFINED if math.isnan(gap) else f"{gap:+.4f} [{lo:+.4f}, {hi:+.4f}]"
        star = " \\*" if row.holm < 0.05 else ""
        body.append(
            [
                escape(detector), escape(row.reference), escape(cut), escape(condition or "all"),
                rate(row.test.values[0]), rate(row.test.values[1]), change + star,
                _p(row.test.p), _p(row.holm), _p(row.bh),
            ]
        )  # fmt: skip
    return table(header, body, left=4)


def compare_csv(rows: Sequence[Row], metric: str, policy: str) -> str:
    """Write CSV, one row a difference; names guarded as in the board's CSV, undefined as "n/a"."""
    lines = [",".join(CSV_COLUMNS)]
    for row in rows:
        detector, generator, domain, condition = row.test.name
        names = (row.reference, detector, generator, domain, condition, metric)
        lo, hi = row.test.difference.interval()
        values = (*row.test.values, row.test.difference.value, lo, hi, row.test.p, row.holm, row.bh)
        cells = [quoted(guard(name.replace("\0", "\\x00"))) for name in names]
        cells += [str(n) for n in row.test.counts]
        lines.append(
            ",".join([*cells, *(number(value) for value in values), quoted(guard(policy))])
        )
    return "\n".join(lines) + "\n"


def _p(p: float) -> str:
    return UNDEFINED if math.isnan(p) else f"{p:.2g}"
