"""What was asked and what came of it, in a few sentences that claim no more than the numbers do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from bench.results.figures.drawing import Shown
from leaderboards.plots.evidence import Evidence
from leaderboards.render.text import rate, with_interval
from leaderboards.tables.cells import CLEAN, RAW
from leaderboards.tables.condition_means import OTHERS
from leaderboards.tables.means import headline, main_cut


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The first screen in words.

    Attributes:
        question: What was asked: detectors, data, conditions, sizes.
        best: Which detector is best on generators it was not trained on, with its interval; or why nobody
            can say.
        certainty: How sure that is.
        weakness: What breaks the best detector.
        detector: Name of the best detector; "" where there is none.
    """

    question: str
    best: str
    certainty: str
    weakness: str
    detector: str = ""


def answer(shown: Shown) -> Answer:
    """Put question and answer of a run into words."""
    evidence = shown.evidence
    question = _question(shown)
    summaries = headline(evidence.rows)
    first = summaries.iloc[0]
    name = str(first["detector"])
    row = _mean(evidence, name, CLEAN)
    if row is None or math.isnan(row["auc"]):
        why = f"{int(first['n_not_ok'])} of {int(first['n_cells'])} cells of {name} have no result"
        return Answer(
            question=question,
            best="No detector can be called best: none has a mean AUC on clean images that is wholly scored.",
            certainty=f"See the cells that are not scored; {why}.",
            weakness="",
        )
    return Answer(
        question=question,
        best=_best(evidence, summaries, row),
        certainty=" ".join(_certainty(evidence, name, row)),
        weakness=_weakness(evidence, name),
        detector=name,
    )


def _best(evidence: Evidence, summaries: pd.DataFrame, row: pd.Series) -> str:
    """Say which detector comes first, on what, and with which interval; "best" only where that is shown."""
    name, kind, n = str(row["detector"]), _unit(evidence), int(row["n_slices"])
    value = f"{with_interval(row['auc'], row['auc_lo'], row['auc_hi'])} (95 % interval)"
    is_only = len(summaries) == 1
    if not summaries["n_unseen"].iloc[0]:
        why = (
            f"no detector with unseen {kind}s is wholly scored"
            if summaries["n_unseen"].any()
            else f"no {kind} here is known to be unseen by {'it' if is_only else 'any detector'}"
        )
        asked = f"how {name} does" if is_only else "which detector is best"
        has = "Its mean AUC is" if is_only else f"{name} has the highest mean AUC:"
        over = f"all {n} {kind}s" if n > 1 else f"the one {kind} there is"
        return f"Nobody can say {asked} on unseen {kind}s: {why}. {has} {value} over {over}."
    others = _tied(evidence, name)
    over = f"over {_count(n, f'unseen {kind}')}"
    ground = f"on {kind}s it was not trained on"
    if is_only:
        return f"{name} reaches a mean AUC of {value} {ground}, {over}."
    if not others and row["auc_lo"] > 0.5:
        return f"{name} is best {ground}: mean AUC {value} {over}."
    shared = f"; {_count(len(others), 'other')} cannot be told apart from it" if others else ""
    return f"{name} has the highest mean AUC {ground}: {value} {over}{shared}."


def _question(shown: Shown) -> str:
    spec, evidence = shown.run.spec, shown.evidence
    conditions = [c.spelled for c in spec.conditions if c.spelled not in (CLEAN, RAW)]
    n = len(evidence.detectors)
    everything = evidence.pooled()
    under = f", and under {_count(len(conditions), 'other condition')}" if conditions else ""
    return (
        f"How well {'does' if n == 1 else 'do'} {_count(n, 'detector')} tell AI-generated images of "
        f"{_count(len(everything.generators), 'generator')} from real ones, on {spec.dataset}, clean{under}? "
        f"{len(everything.real_rows)} real and {len(everything.fake_rows)} AI-generated images; suite "
        f"{spec.suite.name}."
    )


def _certainty(evidence: Evidence, name: str, row: pd.Series) -> list[str]:
    """Say how sure the first place is: against guessing, against the others, and on how much it rests."""
    said = []
    if not row["auc_lo"] > 0.5:
        said.append("It is not shown to be better than guessing, which is 0.5.")
    ranks = evidence.extras.ranks if evidence.extras is not None else {}
    mine = ranks.get(name, 0)
    tied = _tied(evidence, name)
    if tied:
        said.append(
            f"No paired test tells it apart from {_names(tied)} (rank {mine} together; 5 %, Holm-adjusted)."
        )
    elif mine and sum(1 for rank in ranks.values() if rank) > 1:
        said.append("Every other ranked detector is significantly below it (5 %, Holm-adjusted).")
    bases = evidence.means[evidence.means["condition"] == CLEAN]
    if bases["n_slices"].nunique() > 1 or bases["basis"].nunique() > 1:
        said.append(
            "Each detector is averaged over what it has not seen, so not all over the same."
        )
    unranked = [d for d in evidence.detectors if ranks and not ranks.get(d)]
    if unranked:
        said.append(f"Without a rank, for want of scores: {_names(unranked)}.")
    units = int(row["n_independent"])
    if units < int(row["n_real"]) + int(row["n_fake"]):
        said.append(f"The interval rests on {_count(units, 'independent photograph or prompt')}.")
    return said


def _tied(evidence: Evidence, name: str) -> list[str]:
    """Name the detectors that share the rank of one."""
    ranks = evidence.extras.ranks if evidence.extras is not None else {}
    mine = ranks.get(name, 0)
    return [d for d in evidence.detectors if d != name and mine and ranks.get(d) == mine]


def _weakness(evidence: Evidence, name: str) -> str:
    beside = evidence.means[
        (evidence.means["detector"] == name)
        & ~evidence.means["condition"].isin([CLEAN, RAW, OTHERS])
    ]
    if beside.empty:
        return "What breaks it was not asked: the run has no condition but clean."
    scored = beside[beside["auc"].notna()]
    n_open = len(beside) - len(scored)
    left = f" {_count(n_open, 'condition')} without a number may be worse." if n_open else ""
    if scored.empty:
        return f"What breaks it is not known: none of its {len(beside)} conditions has a mean AUC."
    worst = scored.iloc[int(scored["auc"].to_numpy().argmin())]
    value = with_interval(worst["auc"], worst["auc_lo"], worst["auc_hi"])
    if worst["auc_drop"] <= 0:
        return f"No condition lowers its mean AUC; the lowest is {value}, under {worst['condition']}.{left}"
    drop = with_interval(worst["auc_drop"], worst["auc_drop_lo"], worst["auc_drop_hi"])
    sure = "" if worst["auc_drop_lo"] > 0 else ", which may be chance"
    return f"What breaks it most: {worst['condition']}, mean AUC {value}, a drop of {drop}{sure}.{left}"


def _mean(evidence: Evidence, detector: str, condition: str) -> pd.Series | None:
    means = evidence.means
    rows = means[(means["detector"] == detector) & (means["condition"] == condition)]
    return None if rows.empty else rows.iloc[0]


def worst_condition(evidence: Evidence, detector: str) -> str:
    """Name a detector's condition of lowest mean AUC, with the value; "" where there is none."""
    rows = evidence.means[evidence.means["detector"] == detector]
    rows = rows[~rows["condition"].isin([CLEAN, RAW, OTHERS]) & rows["auc"].notna()]
    if rows.empty:
        return ""
    worst = rows.iloc[int(rows["auc"].to_numpy().argmin())]
    return f"{worst['condition']} ({rate(worst['auc'])})"


def _unit(evidence: Evidence) -> str:
    kind = main_cut(evidence.rows)
    return kind if kind in ("generator", "domain") else "slice"


def _count(n: int, noun: str) -> str:
    if n == 1:
        return f"1 {noun}"
    head, _, rest = noun.partition(" or ")
    return f"{n} {head}s or {rest}s" if rest else f"{n} {noun}s"


def _names(names: Sequence[str]) -> str:
    most = 4
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
