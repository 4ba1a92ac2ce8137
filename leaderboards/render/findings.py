"""The three things that matter of a board, in sentences that claim no more than its numbers do."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pandas as pd

from leaderboards.render.text import rate, visible, with_interval
from leaderboards.statistics.intervals import NAN, Interval
from leaderboards.tables.cells import CLEAN, RAW
from leaderboards.tables.extras import Extras
from leaderboards.tables.means import board_basis, board_mean, by_condition, headline, main_cut

Spell = Callable[[str], str]
_MOST_NAMES = 3


def question(rows: pd.DataFrame, extras: Extras | None, n_images: int, spell: Spell) -> str:
    """Say what the board was asked.

    Args:
        rows: Rows of the board.
        extras: Its further tables, where there are any.
        n_images: Number of images scored, for a board without further tables.
        spell: How a foreign name is written.
    """
    n_detectors = rows["detector"].nunique()
    generators = rows.loc[rows["generator"] != "all", "generator"].nunique()
    others = set(rows["condition"]) - {CLEAN, RAW}
    under = f" and under {count(len(others), 'other condition')}" if others else ""
    of = f" of {count(generators, 'generator')}" if generators else ""
    pooled = extras.pooled.iloc[:1].to_dict("records") if extras is not None else []
    sizes = (
        f"{pooled[0]['n_real']} real and {pooled[0]['n_fake']} AI-generated images"
        if pooled
        else f"{n_images} images"
    )
    return (
        f"How well {'does' if n_detectors == 1 else 'do'} {count(n_detectors, 'detector')} tell AI-generated "
        f"images{of} from real ones on {spell(str(rows['dataset'].iloc[0]))}, clean{under}? {sizes}."
    )


def findings(
    rows: pd.DataFrame,
    extras: Extras | None,
    spell: Spell = visible,
    summaries: pd.DataFrame | None = None,
) -> list[str]:
    """Say who is best on what it was not trained on, where it fails, and what breaks it.

    Args:
        rows: Rows of the board.
        extras: Its further tables: without them nothing is said of significance.
        spell: How a foreign name is written.
        summaries: What ``headline`` makes of the rows, where that is at hand.

    Returns:
        At most three paragraphs; a single one where no detector has a mean AUC.
    """
    summaries = headline(rows) if summaries is None else summaries
    first = summaries.iloc[0]
    if math.isnan(_leading(first)):
        return [
            "No detector can be called best: none has a mean AUC on clean images that is wholly scored "
            "and defined."
        ]
    parts = [_best(rows, summaries, extras, spell), _weakest(rows, first, spell)]
    parts.append(_breaks(rows, first, spell) or _errors(rows, first, extras, spell))
    return [part for part in parts if part]


def headline_interval(extras: Extras | None, detector: str) -> Interval:
    """Give the 95% interval of a detector's headline AUC; nan where nobody computed it."""
    nothing = Interval(NAN, NAN)
    return nothing if extras is None else extras.intervals.get(detector, nothing)


def unit_of(rows: pd.DataFrame) -> str:
    """Name what the headline averages over."""
    kind = str(main_cut(rows))
    return kind if kind in ("generator", "domain") else "slice"


def count(n: int, noun: str) -> str:
    """Write a number with its noun.

    Example:
        >>> count(1, "detector"), count(3, "detector")
        ('1 detector', '3 detectors')
    """
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _leading(summary: pd.Series[Any]) -> float:
    return float(summary["auc_unseen"] if summary["n_unseen"] else summary["auc_all"])


def _best(rows: pd.DataFrame, summaries: pd.DataFrame, extras: Extras | None, spell: Spell) -> str:
    first, unit = summaries.iloc[0], unit_of(rows)
    name = str(first["detector"])
    interval = headline_interval(extras, name)
    value = with_interval(_leading(first), *interval)
    doubt = (
        " It is not shown to be better than guessing, which is 0.5." if interval.lo <= 0.5 else ""
    )
    if not first["n_unseen"]:
        who = "it" if len(summaries) == 1 else "any detector"
        n = int(first["n_slices"])
        over = f"all {n} {unit}s" if n > 1 else f"the one {unit} there is"
        return (
            f"Nobody can say how they do on unseen {unit}s: no {unit} here is known to be unseen by {who}. "
            f"{spell(name)} has the highest mean AUC over {over}: {value}.{doubt}"
        )
    over = f"{unit}s it was not trained on ({int(first['n_unseen'])})"
    if len(summaries) == 1:
        return f"{spell(name)} reaches a mean AUC of {value} on {over}.{doubt}"
    tied, ahead = _ranked(name, extras)
    if ahead and not tied and interval.lo > 0.5:
        return (
            f"{spell(name)} is best on {over}: mean AUC {value}; every other ranked detector is "
            "significantly below it."
        )
    said = f"; no paired test tells it apart from {_names(tied, spell)}" if tied else ""
    return f"{spell(name)} has the highest mean AUC on {over}: {value}{said}.{doubt}"


def _ranked(name: str, extras: Extras | None) -> tuple[list[str], bool]:
    """Name who shares a detector's rank, and say whether anybody stands below it."""
    ranks = extras.ranks if extras is not None else {}
    mine = ranks.get(name, 0)
    tied = [other for other, rank in ranks.items() if other != name and rank == mine and mine]
    return tied, any(rank > mine for rank in ranks.values()) and mine > 0


def _weakest(rows: pd.DataFrame, first: pd.Series[Any], spell: Spell) -> str:
    if not first["worst"] or first["n_slices"] < 2:
        return ""
    unit, worst = unit_of(rows), f"{spell(str(first['worst']))} (AUC {rate(first['worst_auc'])})"
    name = spell(str(first["detector"]))
    if first["n_unseen"] and first["n_seen"] and not math.isnan(first["auc_seen"]):
        return (
            f"On {unit}s of its training data {name} reaches {rate(first['auc_seen'])}, on new ones "
            f"{rate(first['auc_unseen'])}; its weakest is {worst}."
        )
    return f"The weakest {unit} of {name} is {worst}."


def _breaks(rows: pd.DataFrame, first: pd.Series[Any], spell: Spell) -> str:
    """Say which condition lowers the mean AUC most; "" where there is none but clean."""
    means = by_condition(rows)
    means = means[(means["detector"] == first["detector"]) & ~means["condition"].isin([CLEAN, RAW])]
    if means.empty:
        return ""
    scored = means[means["auc"].notna()]
    n_open = len(means) - len(scored)
    left = f" {count(n_open, 'condition')} without a number may be worse." if n_open else ""
    if scored.empty:
        return f"What breaks it is not known: none of its {count(len(means), 'condition')} has a mean AUC."
    worst = scored.iloc[int(scored["auc"].to_numpy().argmin())]
    condition, value, drop = spell(str(worst["condition"])), rate(worst["auc"]), worst["auc_drop"]
    if drop <= 0:
        return f"No condition lowers its mean AUC; the lowest is {value}, under {condition}.{left}"
    return f"What breaks it most is {condition}: mean AUC {value}, a drop of {rate(drop)}.{left}"


def _errors(rows: pd.DataFrame, first: pd.Series[Any], extras: Extras | None, spell: Spell) -> str:
    """Say how often its verdicts are wrong, and what it makes of the controls."""
    name = str(first["detector"])
    false = 1 - board_mean(rows, name, "real_accuracy")
    missed = 1 - board_mean(rows, name, "fake_accuracy")
    if math.isnan(false) or math.isnan(missed):
        return ""
    oracle = " (ORACLE threshold)" if "oracle" in set(rows["threshold_policy"]) else ""
    controls = "; ".join(_controls(name, extras, spell))
    unseen = board_basis(rows, name).name == "unseen"
    start = "On what it has not seen, at" if unseen else "At"
    return (
        f"{start} its threshold{oracle} it calls {_percent(false)} of the real images AI-generated and "
        f"misses {_percent(missed)} of the AI-generated ones"
        + (f"; {controls}." if controls else ".")
    )


def _controls(name: str, extras: Extras | None, spell: Spell) -> Iterator[str]:
    if extras is None:
        return
    own = extras.sources[(extras.sources["detector"] == name) & extras.sources["control"]]
    for row in own.to_dict("records"):
        if not math.isnan(row["fpr"]):
            yield f"of the real control {spell(row['source'])} it calls {_percent(row['fpr'])} AI-generated"


def _names(names: Sequence[str], spell: Spell) -> str:
    listed = [spell(name) for name in names[:_MOST_NAMES]]
    more = len(names) - len(listed)
    if more:
        return f"{', '.join(listed)} and {more} more"
    return " and ".join([*([", ".join(listed[:-1])] if listed[1:] else []), listed[-1]])


def _percent(share: float) -> str:
    return f"{100 * share + 0.0:.1f} %"
