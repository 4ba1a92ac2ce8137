"""A published detector's figures beside ours, as a page and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from leaderboards.render.text import escape, table


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One figure, ours and the paper's.

    Attributes:
        generator: Generator of the fakes, as the data names it; "" for the unweighted mean.
        metric: Name of the metric.
        ours: Our figure; ``None`` where it is undefined.
        paper: The paper's figure; ``None`` where it gives none.
        low: Lower end of our figure's 95% interval; ``None`` where there is none.
        high: Upper end of the same interval.
    """

    generator: str
    metric: str
    ours: float | None
    paper: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A published detector on a test set, beside its paper.

    Attributes:
        detector: Name of the detector.
        reference: Paper that published it.
        test_set: Test set whose figures are compared with; "" where the paper gives none for the data.
        rows: Figures a generator, then their mean.
        absent: Generators of the paper's table that the data lack.
        cautions: Why our figures must not be taken at face value, a paragraph each.
        remarks: Weights, input and departures, a sentence each.
        sources: Where the paper's figures stand.
    """

    detector: str
    reference: str
    test_set: str
    rows: tuple[PublishedRow, ...]
    absent: tuple[str, ...]
    cautions: tuple[str, ...]
    remarks: tuple[str, ...]
    sources: tuple[str, ...]


def to_markdown(comparison: Comparison) -> str:
    """Write the comparison as a page; what makes a number unusable stands above it."""
    lines = [f"# {escape(comparison.detector)}: {escape(comparison.reference)}", ""]
    for caution in comparison.cautions:
        lines += [f"**{escape(caution)}**", ""]
    lines += table(
        ["generator", "metric", "ours", "paper", "difference"],
        [
            [
                escape(row.generator or "mean"),
                row.metric,
                _with_interval(row),
                "" if row.paper is None else f"{row.paper:.4f}",
                _difference(row),
            ]
            for row in comparison.rows
        ],
        left=2,
    )
    lines += [f"- {escape(line)}" for line in (*_about_figures(comparison), *comparison.remarks)]
    return "\n".join(lines) + "\n"


def to_json(comparison: Comparison) -> dict[str, Any]:
    """Give the comparison as plain values; an undefined metric is ``None``."""
    return {
        "detector": comparison.detector,
        "reference": comparison.reference,
        "test_set": comparison.test_set,
        "sources": list(comparison.sources),
        "absent": list(comparison.absent),
        "cautions": list(comparison.cautions),
        "remarks": list(comparison.remarks),
        "figures": [
            {
                "generator": row.generator,
                "metric": row.metric,
                "ours": row.ours,
                "paper": row.paper,
                "low": row.low,
                "high": row.high,
            }
            for row in comparison.rows
        ],
    }


def _about_figures(comparison: Comparison) -> list[str]:
    if not comparison.test_set:
        return ["Paper: no figure is known here for any of these generators."]
    lines = [f"Paper: figures on {comparison.test_set}, from {'; '.join(comparison.sources)}."]
    if comparison.absent:
        lines.append(
            f"The data lack {', '.join(comparison.absent)}: the mean is over the others, and not beside "
            "the paper's."
        )
    return lines


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.4f}"


def _with_interval(row: PublishedRow) -> str:
    if row.ours is None or row.low is None or row.high is None:
        return _number(row.ours)
    return f"{row.ours:.4f} [{row.low:.4f}, {row.high:.4f}]"


def _difference(row: PublishedRow) -> str:
    if row.ours is None or row.paper is None:
        return ""
    return f"{row.ours - row.paper:+.4f}"
