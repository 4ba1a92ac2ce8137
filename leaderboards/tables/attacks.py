"""What attacks say and whether to believe them: honesty checks, curves over eps, transfer matrix.

The checks follow Carlini et al. 2019 (On Evaluating Adversarial Robustness, section 4) and Athalye et
al. 2018 (section 3.1). All but the probes come from the stored scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leaderboards.statistics.decision import called_fake
from leaderboards.tables.cells import CLEAN
from leaderboards.tables.means import by_condition

ITERATIVE = ("pgd", "apgd", "ensemble")
TRANSFER = "transfer from "
# Differences up to this share of the images, up to one image, or within chance (a one-sided paired
# test at 5%, McNemar's) pass: a small sample must not condemn an attack.
SLACK = 0.01
ONE_SIDED = 1.645
MOST_ZEROS = 0.95
FULL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackFacts:
    """One attack condition, as far as boards compare it with others.

    Attributes:
        name: The attack's name.
        family: The condition with its eps left open: what differs in eps only shares it.
        ladder: Likewise with the number of steps left open.
        chain: The condition with the whole attack left open: corruptions before and after.
        norm: ``linf`` or ``l2``.
        eps: The budget, in units of [0, 1].
        goal: ``evade``, ``frame`` or ``both``.
        quantize: Whether results are 8-bit pictures.
        knowledge: ``white-box``, ``black-box`` or ``transfer from <surrogate>``.
        steps: Steps, or 0 where it has none.
        stops_early: Whether fooled images are left as they are, so that ranks mean nothing.
    """

    name: str
    family: str
    ladder: str
    chain: str
    norm: str
    eps: float
    goal: str
    quantize: bool
    knowledge: str
    steps: int = 0
    stops_early: bool = False

    def describe(self) -> str:
        """The threat model in words."""
        norm = "L-inf" if self.norm == "linf" else "L2"
        whom = {"evade": "fakes only", "frame": "reals only"}.get(self.goal, "both classes")
        grid = "8-bit" if self.quantize else "float"
        return f"{norm} {_levels(self.eps)}, {whom}, {self.knowledge}, {grid}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttackScores:
    """One detector's scores under one attack; arrays are aligned with the samples.

    Attributes:
        detector: The detector.
        condition: As spelt.
        facts: The attack's.
        clean: (n,) clean logits.
        logits: (n,) logits under attack.
        attacked: (n,) bool, whom the goal names.
        grad_zero: (n,) share of exact zeros in the first gradient; nan where there is none.
        unbounded: (n,) 1 where an unbounded budget fools, 0 where not, nan where not probed.
        unrounded: (n,) logit before rounding to 8 bits, nan where not probed.
    """

    detector: str
    condition: str
    facts: AttackFacts
    clean: NDArray[np.float32]
    logits: NDArray[np.float32]
    attacked: NDArray[np.bool_]
    grad_zero: NDArray[np.float32]
    unbounded: NDArray[np.float32]
    unrounded: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Check:
    """One honesty check of one attack on one detector; ``passed`` is None where it only informs."""

    detector: str
    condition: str
    name: str
    passed: bool | None
    detail: str


def check_attacks(
    labels: NDArray[np.int64], columns: Sequence[AttackScores], threshold: Mapping[str, float]
) -> list[Check]:
    """Every check that the scores allow, in the order of the columns.

    Args:
        labels: (n,) 1 = AI-generated.
        columns: Wholly scored attack columns with clean scores beside them.
        threshold: Detector to threshold.
    """
    found: list[Check] = []
    for detector in dict.fromkeys(column.detector for column in columns):
        own = [column for column in columns if column.detector == detector]
        at = threshold[detector]
        flips = {column.condition: flipped(labels, column, at) for column in own}
        for column in own:
            found += _alone(labels, column, at)
            found += _compared(column, own, flips)
    return found


def flipped(
    labels: NDArray[np.int64], column: AttackScores, threshold: float
) -> NDArray[np.float64]:
    """(n,) 1 where the attack turns a right verdict, 0 where it does not, nan where none was right."""
    fake = labels == 1
    right = column.attacked & (called_fake(column.clean, threshold) == fake)
    wrong = called_fake(column.logits, threshold) != fake
    return np.where(right, wrong, np.nan)


def _alone(labels: NDArray[np.int64], column: AttackScores, threshold: float) -> list[Check]:
    def told(name: str, passed: bool | None, detail: str) -> Check:
        return Check(column.detector, column.condition, name, passed, detail)

    found = []
    zeros = column.grad_zero[~np.isnan(column.grad_zero)]
    if zeros.size:
        share = 1 - float(zeros.mean(dtype=np.float64))
        found.append(
            told("gradient", share >= 1 - MOST_ZEROS, f"finite, {share:.1%} of entries not zero")
        )
    left = ~column.attacked
    if left.any() and column.facts.chain == "*":
        moved = int((column.logits[left] != column.clean[left]).sum())
        detail = f"{int(left.sum())} images the goal leaves alone, {moved} scored otherwise"
        # A batch composed otherwise may turn last bits; a verdict may not turn.
        turned = called_fake(column.logits[left], threshold) != called_fake(
            column.clean[left], threshold
        )
        found.append(told("eps 0 equals clean", not turned.any(), detail))
    probed = ~np.isnan(column.unbounded)
    if probed.any():
        share = float(column.unbounded[probed].mean(dtype=np.float64))
        detail = f"{share:.0%} of {int(probed.sum())} probed images fooled without a budget"
        found.append(told("unbounded eps fools", share >= FULL, detail))
    rounded = ~np.isnan(column.unrounded)
    if rounded.any():
        fake = labels[rounded] == 1
        before = float((called_fake(column.unrounded[rounded], threshold) != fake).mean())
        after = float((called_fake(column.logits[rounded], threshold) != fake).mean())
        detail = f"wrong on {before:.0%} before, {after:.0%} after ({int(rounded.sum())} images)"
        found.append(told("8-bit rounding", None, detail))
    return found


def _compared(
    column: AttackScores, own: Sequence[AttackScores], flips: Mapping[str, NDArray[np.float64]]
) -> list[Check]:
    facts, mine = column.facts, flips[column.condition]
    if np.isnan(mine).all():
        return []
    rates = {condition: float(np.nanmean(f)) for condition, f in flips.items() if not _empty(f)}

    def against(name: str, others: Sequence[AttackScores]) -> list[Check]:
        others = [other for other in others if other.condition in rates]
        if not others:
            return []
        best = max(others, key=lambda other: rates[other.condition])
        passed = not _clearly_less(mine, flips[best.condition])
        detail = f"success {rates[column.condition]:.1%}, {best.condition} "
        detail += f"{rates[best.condition]:.1%}"
        return [Check(column.detector, column.condition, name, passed, detail)]

    def alike(other: AttackFacts) -> bool:
        return (other.norm, other.goal, other.chain) == (facts.norm, facts.goal, facts.chain)

    weaker = [o for o in own if o.facts.family == facts.family and o.facts.eps < facts.eps]
    shorter = [
        o
        for o in own
        if o.facts.ladder == facts.ladder
        and o.facts.eps == facts.eps
        and o.facts.steps < facts.steps
    ]
    found = against("success grows with eps", weaker) + against("success grows with steps", shorter)
    if facts.knowledge != "white-box":
        return found
    same = [o for o in own if alike(o.facts) and o.facts.eps == facts.eps]
    if facts.name.partition("-")[0] in ITERATIVE:
        single = [o for o in same if o.facts.name == "fgsm"]
        found += against("at least as strong as FGSM", single)
    strongest = max(
        (o for o in same if o.facts.knowledge == "white-box"),
        key=lambda o: rates.get(o.condition, -1.0),
    )
    if strongest is column:
        blind = [o for o in same if o.facts.knowledge != "white-box"]
        found += against("at least as strong as without the gradient", blind)
    return found


def _empty(flips: NDArray[np.float64]) -> bool:
    return bool(np.isnan(flips).all())


def _clearly_less(mine: NDArray[np.float64], theirs: NDArray[np.float64]) -> bool:
    """Whether the first attack succeeds on fewer images than chance explains."""
    held = ~np.isnan(mine) & ~np.isnan(theirs)
    lost = float(np.sum(theirs[held] - mine[held]))
    differing = float(np.sum(theirs[held] != mine[held]))
    n = int(held.sum())
    return lost > max(SLACK * n, 1.0, ONE_SIDED * float(np.sqrt(differing)))


def curves(rows: pd.DataFrame, attacks: Mapping[str, AttackFacts]) -> pd.DataFrame:
    """The area under robust accuracy (and AUC) over eps, from clean to the largest eps, per unit of eps.

    Returns:
        Columns ``detector, family, norm, eps, n_eps, accuracy_area, auc_area``: areas in [0, 1] by
        the trapezoid rule, ``eps`` the largest budget. nan where a point is unscored or undefined;
        families with one eps are left out.
    """
    means = by_condition(rows)
    found = []
    for detector in dict.fromkeys(means["detector"]):
        own = means[means["detector"] == detector].set_index("condition")
        groups: dict[str, list[str]] = {}
        for condition in own.index:
            if condition in attacks:
                groups.setdefault(attacks[condition].family, []).append(condition)
        for family, members in groups.items():
            if len(members) < 2 or CLEAN not in own.index:
                continue
            members.sort(key=lambda condition: attacks[condition].eps)
            eps = np.array([0.0, *(attacks[condition].eps for condition in members)])
            row = {"detector": detector, "family": family, "norm": attacks[members[0]].norm}
            row |= {"eps": eps[-1], "n_eps": len(members)}
            for metric in ("accuracy", "auc"):
                values = own.loc[[CLEAN, *members], metric].to_numpy(dtype=np.float64)
                row[f"{metric}_area"] = float(
                    np.sum((values[1:] + values[:-1]) / 2 * np.diff(eps)) / eps[-1]
                )
            found.append(row)
    columns = ["detector", "family", "norm", "eps", "n_eps", "accuracy_area", "auc_area"]
    return pd.DataFrame(found, columns=columns)


def transfer_matrix(rows: pd.DataFrame, attacks: Mapping[str, AttackFacts]) -> pd.DataFrame:
    """Attack success by surrogate (rows, with the attack) and target (columns); empty without any.

    Returns:
        Columns ``attack, surrogate`` and one a target. A target attacked from itself is white-box.
    """
    means = by_condition(rows)
    found: dict[tuple[str, str], dict[str, object]] = {}
    for row in means.to_dict("records"):
        facts = attacks.get(row["condition"])
        if facts is None or not facts.knowledge.startswith(TRANSFER):
            continue
        surrogate = facts.knowledge.removeprefix(TRANSFER)
        attack = row["condition"].replace(f"surrogate={surrogate}", "surrogate=*")
        line = found.setdefault((attack, surrogate), {"attack": attack, "surrogate": surrogate})
        line[row["detector"]] = row["attack_success"]
    return pd.DataFrame(list(found.values()))


def _levels(eps: float) -> str:
    levels = eps * 255
    whole = abs(levels - round(levels)) < 1e-6 and 0 < levels <= 255
    return f"{round(levels)}/255" if whole and eps != round(eps, 2) else f"{eps:g}"
