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

# Attacks that climb step by step, and so must beat a single step.
ITERATIVE = ("pgd", "apgd", "ensemble")
TRANSFER = "transfer from "
# Differences up to this share of the images, up to one image, or within chance (a one-sided paired
# test at 5%, McNemar's) pass: a small sample must not condemn an attack.
SLACK = 0.01
ONE_SIDED = 1.645
# Largest share of exact zeros in a gradient that an attack can follow.
MOST_ZEROS = 0.95
# Least share of images that an attack without a budget must fool.
FULL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackFacts:
    """One attack condition, as far as boards compare it with others.

    Attributes:
        name: Name of the attack, as the registry knows it.
        family: Budget series: the condition with its eps left open, shared by what differs in eps only.
        ladder: The condition with its number of steps left open, shared by what differs in steps only.
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
        """Write the threat model in words."""
        norm = "L-inf" if self.norm == "linf" else "L2"
        victims = {"evade": "fakes only", "frame": "reals only", "both": "both classes"}[self.goal]
        grid = "8-bit" if self.quantize else "float"
        return f"{norm} {_levels(self.eps)}, {victims}, {self.knowledge}, {grid}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttackScores:
    """One detector's scores under one attack; arrays are aligned with the samples.

    Attributes:
        detector: Name of the detector on the board.
        condition: Condition as spelt.
        facts: What boards compare of the attack.
        clean: (n,) clean logits.
        logits: (n,) logits under attack.
        attacked: (n,) bool, true for images that the goal names.
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
    """One honesty check of one attack on one detector.

    Attributes:
        detector: Name of the detector on the board.
        condition: Condition as spelt.
        name: What is checked.
        passed: Whether the attack can be believed so far; None where the check only informs.
        detail: What was measured.
    """

    detector: str
    condition: str
    name: str
    passed: bool | None
    detail: str


def check_attacks(
    labels: NDArray[np.int64], columns: Sequence[AttackScores], threshold: Mapping[str, float]
) -> list[Check]:
    """Make every check that the scores allow, in the order of the columns.

    Args:
        labels: (n,) 1 = AI-generated.
        columns: Wholly scored attack columns with clean scores beside them.
        threshold: Detector to the logit above which an image is called fake.
    """
    checks: list[Check] = []
    for detector in dict.fromkeys(column.detector for column in columns):
        of_detector = [column for column in columns if column.detector == detector]
        logit = threshold[detector]
        flips = {column.condition: flipped(labels, column, logit) for column in of_detector}
        for column in of_detector:
            checks += _checks_alone(labels, column, logit)
            checks += _checks_against_others(column, of_detector, flips)
    return checks


def flipped(
    labels: NDArray[np.int64], column: AttackScores, threshold: float
) -> NDArray[np.float64]:
    """Mark the verdicts that an attack turns.

    Returns:
        (n,) 1 where the attack turns a right verdict, 0 where it does not, nan where none was right.
    """
    fake = labels == 1
    right = column.attacked & (called_fake(column.clean, threshold) == fake)
    wrong = called_fake(column.logits, threshold) != fake
    return np.where(right, wrong, np.nan)


def _checks_alone(labels: NDArray[np.int64], column: AttackScores, threshold: float) -> list[Check]:
    """The checks that one attack passes or fails by itself."""
    checks = (
        _check_gradient(column),
        _check_untouched(column, threshold),
        _check_unbounded(column),
        _check_rounding(labels, column, threshold),
    )
    return [check for check in checks if check is not None]


def _check_gradient(column: AttackScores) -> Check | None:
    zeros = column.grad_zero[~np.isnan(column.grad_zero)]
    if not zeros.size:
        return None
    share = 1 - float(zeros.mean(dtype=np.float64))
    detail = f"finite, {share:.1%} of entries not zero"
    return Check(column.detector, column.condition, "gradient", share >= 1 - MOST_ZEROS, detail)


def _check_untouched(column: AttackScores, threshold: float) -> Check | None:
    untouched = ~column.attacked
    if not untouched.any() or column.facts.chain != "*":
        return None
    after, clean = column.logits[untouched], column.clean[untouched]
    n_moved = int((after != clean).sum())
    detail = f"{after.size} images the goal leaves alone, {n_moved} scored otherwise"
    # A batch composed otherwise may turn last bits; a verdict may not turn.
    turned = called_fake(after, threshold) != called_fake(clean, threshold)
    name = "eps 0 equals clean"
    return Check(column.detector, column.condition, name, not turned.any(), detail)


def _check_unbounded(column: AttackScores) -> Check | None:
    fooled = column.unbounded[~np.isnan(column.unbounded)]
    if not fooled.size:
        return None
    share = float(fooled.mean(dtype=np.float64))
    detail = f"{share:.0%} of {fooled.size} probed images fooled without a budget"
    return Check(column.detector, column.condition, "unbounded eps fools", share >= FULL, detail)


def _check_rounding(
    labels: NDArray[np.int64], column: AttackScores, threshold: float
) -> Check | None:
    probed = ~np.isnan(column.unrounded)
    if not probed.any():
        return None
    fake = labels[probed] == 1
    before = float((called_fake(column.unrounded[probed], threshold) != fake).mean())
    after = float((called_fake(column.logits[probed], threshold) != fake).mean())
    detail = f"wrong on {before:.0%} before, {after:.0%} after ({int(probed.sum())} images)"
    return Check(column.detector, column.condition, "8-bit rounding", None, detail)


def _checks_against_others(
    column: AttackScores,
    columns: Sequence[AttackScores],
    flips: Mapping[str, NDArray[np.float64]],
) -> list[Check]:
    """The checks that hold an attack against weaker ones on the same detector."""
    facts = column.facts
    if np.isnan(flips[column.condition]).all():
        return []
    rates = {
        condition: float(np.nanmean(turned))
        for condition, turned in flips.items()
        if not np.isnan(turned).all()
    }
    rated = [other for other in columns if other.condition in rates]
    smaller = [o for o in rated if o.facts.family == facts.family and o.facts.eps < facts.eps]
    shorter = [
        other
        for other in rated
        if other.facts.ladder == facts.ladder
        and other.facts.eps == facts.eps
        and other.facts.steps < facts.steps
    ]
    rivals = {"success grows with eps": smaller, "success grows with steps": shorter}
    if facts.knowledge == "white-box":
        rivals |= _white_box_rivals(
            column, [o for o in rated if _same_threat(o.facts, facts)], rates
        )
    return [
        _check_against(column, name, max(weaker, key=lambda o: rates[o.condition]), flips, rates)
        for name, weaker in rivals.items()
        if weaker
    ]


def _white_box_rivals(
    column: AttackScores, alike: Sequence[AttackScores], rates: Mapping[str, float]
) -> dict[str, list[AttackScores]]:
    """What a white-box attack must be at least as strong as, of those under the same threat model."""
    rivals: dict[str, list[AttackScores]] = {}
    if column.facts.name.partition("-")[0] in ITERATIVE:
        rivals["at least as strong as FGSM"] = [o for o in alike if o.facts.name == "fgsm"]
    white_box = [other for other in alike if other.facts.knowledge == "white-box"]
    if max(white_box, key=lambda other: rates[other.condition]) is column:
        blind = [other for other in alike if other.facts.knowledge != "white-box"]
        rivals["at least as strong as without the gradient"] = blind
    return rivals


def _same_threat(a: AttackFacts, b: AttackFacts) -> bool:
    return (a.norm, a.goal, a.chain, a.eps) == (b.norm, b.goal, b.chain, b.eps)


def _check_against(
    column: AttackScores,
    name: str,
    rival: AttackScores,
    flips: Mapping[str, NDArray[np.float64]],
    rates: Mapping[str, float],
) -> Check:
    passed = not _clearly_less(flips[column.condition], flips[rival.condition])
    detail = (
        f"success {rates[column.condition]:.1%}, {rival.condition} {rates[rival.condition]:.1%}"
    )
    return Check(column.detector, column.condition, name, passed, detail)


def _clearly_less(turned: NDArray[np.float64], rival: NDArray[np.float64]) -> bool:
    """Whether an attack turns fewer verdicts than its rival, by more than chance explains."""
    both = ~np.isnan(turned) & ~np.isnan(rival)
    lost = float(np.sum(rival[both] - turned[both]))
    n_differing = float(np.sum(rival[both] != turned[both]))
    n = int(both.sum())
    return lost > max(SLACK * n, 1.0, ONE_SIDED * float(np.sqrt(n_differing)))


def curves(rows: pd.DataFrame, attacks: Mapping[str, AttackFacts]) -> pd.DataFrame:
    """Compute areas under robust accuracy (and AUC) over eps, from clean to the largest, per unit of eps.

    ``sum_i (m_i + m_(i+1)) / 2 (eps_(i+1) - eps_i) / eps_max`` for a metric m, with m_0 clean.

    Returns:
        Columns ``detector, family, norm, eps, n_eps, accuracy_area, auc_area``: areas in [0, 1] by
        the trapezoid rule, ``eps`` the largest budget, ``family`` the budget series. nan where a point
        is unscored or undefined; series with one eps are left out.
    """
    means = by_condition(rows)
    records = []
    for detector in dict.fromkeys(means["detector"]):
        of_detector = means[means["detector"] == detector].set_index("condition")
        if CLEAN not in of_detector.index:
            continue
        for name, members in _budget_series(list(of_detector.index), attacks).items():
            eps = np.array([0.0, *(attacks[condition].eps for condition in members)])
            record = {"detector": detector, "family": name, "norm": attacks[members[0]].norm}
            record |= {"eps": eps[-1], "n_eps": len(members)}
            for metric in ("accuracy", "auc"):
                values = of_detector.loc[[CLEAN, *members], metric].to_numpy(dtype=np.float64)
                area = np.sum((values[1:] + values[:-1]) / 2 * np.diff(eps)) / eps[-1]
                record[f"{metric}_area"] = float(area)
            records.append(record)
    columns = ["detector", "family", "norm", "eps", "n_eps", "accuracy_area", "auc_area"]
    return pd.DataFrame(records, columns=columns)


def _budget_series(
    conditions: Sequence[str], attacks: Mapping[str, AttackFacts]
) -> dict[str, list[str]]:
    """Attacks that differ in eps only, by the smallest eps first; those with one eps left out."""
    series: dict[str, list[str]] = {}
    for condition in conditions:
        if condition in attacks:
            series.setdefault(attacks[condition].family, []).append(condition)
    return {
        name: sorted(members, key=lambda condition: attacks[condition].eps)
        for name, members in series.items()
        if len(members) > 1
    }


def transfer_matrix(rows: pd.DataFrame, attacks: Mapping[str, AttackFacts]) -> pd.DataFrame:
    """Lay out attack success by surrogate (rows, with the attack) and target (columns).

    Returns:
        Columns ``attack, surrogate`` and one a target; empty without any transfer. A target attacked
        from itself is white-box.
    """
    lines: dict[tuple[str, str], dict[str, object]] = {}
    for row in by_condition(rows).to_dict("records"):
        facts = attacks.get(row["condition"])
        if facts is None or not facts.knowledge.startswith(TRANSFER):
            continue
        surrogate = facts.knowledge.removeprefix(TRANSFER)
        attack = row["condition"].replace(f"surrogate={surrogate}", "surrogate=*")
        line = lines.setdefault((attack, surrogate), {"attack": attack, "surrogate": surrogate})
        line[row["detector"]] = row["attack_success"]
    return pd.DataFrame(list(lines.values()))


def _levels(eps: float) -> str:
    levels = eps * 255
    whole = abs(levels - round(levels)) < 1e-6 and 0 < levels <= 255
    return f"{round(levels)}/255" if whole and eps != round(eps, 2) else f"{eps:g}"
