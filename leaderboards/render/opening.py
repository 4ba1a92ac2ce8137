"""The first screen of a board: warnings, what was asked, the headline, and what matters of it."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from leaderboards.render.findings import count, findings, headline_interval, question, unit_of
from leaderboards.render.text import (
    UNDEFINED,
    defined_columns,
    escape,
    rate,
    section,
    table,
    with_interval,
    wrapped,
)
from leaderboards.statistics.catalogue import headline_metrics
from leaderboards.tables.extras import Extras
from leaderboards.tables.means import cut_rows, main_cut, split_columns
from leaderboards.tables.notes import BoardNotes, Caution

# Detectors that fit the first screen; the others stand in the table of means.
MOST_DETECTORS = 12
# Warnings whose advice fits it too.
_MOST_ADVICE = 3
# Columns of the headline that say how many slices a mean of it is over.
_SIZES = {"unseen": "n_unseen", "seen": "n_seen", "all": "n_slices"}


def opening(
    rows: pd.DataFrame, notes: BoardNotes, extras: Extras | None, summaries: pd.DataFrame
) -> list[str]:
    """Write what stands under the title, at most one screen of it.

    Args:
        rows: Rows of the board.
        notes: Protocol behind it.
        extras: Its further tables, where there are any.
        summaries: What ``headline`` makes of the rows.
    """
    if rows.empty:
        return _warnings(notes.warnings)
    asked = question(rows, extras, notes.n_images, escape)
    if notes.equaliser:
        asked += f" Before any condition, every image goes through {escape(notes.equaliser)}."
    lines = [*_warnings(notes.warnings), *wrapped(asked), ""]
    lines += _headline(rows, extras, summaries.to_dict("records"))
    for number, text in enumerate(findings(rows, extras, escape, summaries), start=1):
        lines += wrapped(text, indent="   ", first=f"{number}. ")
    return [*lines, ""]


def caution_lines(cautions: Sequence[Caution]) -> list[str]:
    """Write cautions as quoted paragraphs, to stand above whatever they spoil."""
    lines: list[str] = []
    for caution in cautions:
        lines += [f"> **{escape(caution.title)}.** {escape(caution.advice)}", ""]
    return lines


def _warnings(cautions: Sequence[Caution]) -> list[str]:
    """Write every warning; with many of them, what to do follows in a section of its own."""
    if len(cautions) <= _MOST_ADVICE:
        lines = []
        for caution in cautions:
            head = f"> **{escape(caution.title)}.**"
            lines += [head, *wrapped(escape(caution.advice), indent="> "), ""]
        return lines
    return [*(f"> - **{escape(caution.title)}.**" for caution in cautions), ""]


def advice(cautions: Sequence[Caution]) -> list[str]:
    """Write the section that says what to do about warnings too many for the first screen."""
    if len(cautions) <= _MOST_ADVICE:
        return []
    return ["## Warnings: what to do", "", *caution_lines(cautions)]


def means_section(rows: pd.DataFrame, headlines: pd.DataFrame) -> list[str]:
    """Write every mean of the headline's metrics, for every detector."""
    metrics, summaries = headline_metrics(), headlines.to_dict("records")
    parts = _parts(summaries)
    has_conditions = any(row["n_conditions"] for row in summaries)
    header = ["Detector", *(f"{metric.title} {part}" for metric in metrics for part in parts)]
    if has_conditions:
        header += [f"Mean {metric.phrase} drop" for metric in metrics]
    body = []
    for row in summaries:
        cells = [escape(row["detector"])]
        cells += [
            metric.show(row[f"{metric.name}_{part}"]) if row[_SIZES[part]] else "none"
            for metric in metrics
            for part in parts
        ]
        if has_conditions:
            cells += [rate(row[f"mean_{metric.name}_drop"]) for metric in metrics]
        body.append([*cells, f"{row['n_not_ok']} of {row['n_cells']} cells"])
    note = [
        f"Clean images; unweighted means over each detector's unseen and seen {unit_of(rows)}s.",
        "",
    ]
    return section("Means, clean", [*header, "Not scored"], body, note=note)


def _parts(summaries: Sequence[Mapping[Hashable, Any]]) -> list[str]:
    """Choose which means to show: of no part that nobody has a slice of."""
    parts = [part for part in ("unseen", "seen") if any(row[_SIZES[part]] for row in summaries)]
    # A detector with no unseen slice is ranked by its mean over all: show that only where it is.
    return [*parts, "all"] if any(row["n_unseen"] == 0 for row in summaries) else parts


def _headline(
    rows: pd.DataFrame, extras: Extras | None, summaries: Sequence[Mapping[Hashable, Any]]
) -> list[str]:
    shown, parts = summaries[:MOST_DETECTORS], _parts(summaries)
    accuracy = "unseen" if "unseen" in parts else "all"
    columns = [*((part, "auc") for part in parts), (accuracy, "accuracy")]
    metrics = {metric.name: metric for metric in headline_metrics()}
    has_conditions = any(row["n_conditions"] for row in summaries)
    body = []
    for row in shown:
        cells = [escape(row["detector"])]
        for part, name in columns:
            if not row[_SIZES[part]]:
                cells.append("none")
                continue
            text = metrics[name].show(row[f"{name}_{part}"])
            if name == "auc" and part == ("unseen" if row["n_unseen"] else "all"):
                interval = headline_interval(extras, row["detector"])
                text = with_interval(row[f"auc_{part}"], *interval)
            cells.append(text)
        worst = f"{escape(row['worst'])} ({rate(row['worst_auc'])})" if row["worst"] else UNDEFINED
        cells.append(worst)
        if has_conditions:
            cells.append(rate(row["mean_auc_drop"]))
        body.append(cells)
    header = ["Detector", *(f"{metrics[name].title} {part}" for part, name in columns)]
    header += [f"Worst {_worst_kind(rows)} (AUC)", *(["AUC drop"] if has_conditions else [])]
    titles, cells_left, empty = defined_columns(header, body)
    remark = " ".join(_remarks(rows, summaries, empty, has_drop="AUC drop" in titles))
    return [*table(titles, cells_left), *wrapped(remark), ""]


def _remarks(
    rows: pd.DataFrame,
    summaries: Sequence[Mapping[Hashable, Any]],
    empty: Sequence[str],
    *,
    has_drop: bool,
) -> Iterator[str]:
    """Say what the headline is about, and what is not in it."""
    yield (
        f"Clean images; unweighted means over each detector's {unit_of(rows)}s, best first; brackets hold "
        "95% intervals."
    )
    if has_drop:
        yield "AUC drop: mean over the other conditions."
    if empty:
        yield f"Not shown, n/a for every detector: {', '.join(empty)}."
    if (more := len(summaries) - MOST_DETECTORS) > 0:
        yield f"{count(more, 'further detector')} in the table of means below."
    n_bad = int((rows["status"] != "ok").sum())
    yield (
        f"**{n_bad} of {len(rows)} cells have no result: [which and why](#cells-not-scored).**"
        if n_bad
        else f"All {len(rows)} cells are scored."
    )


def _worst_kind(rows: pd.DataFrame) -> str:
    kind = str(main_cut(rows))
    if kind == "domain":
        kind = next(iter(split_columns(cut_rows(rows, "domain")))).replace("_", " ")
    return "slice" if kind in ("pooled", "generator and domain") else escape(kind)
