"""Whether to believe an attack: the honesty checks.

The checks follow Carlini et al. 2019 (On Evaluating Adversarial Robustness, section 4) and Athalye et
al. 2018 (section 3.1). All but the probes come from the stored scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from leaderboards.statistics.thresholds import called_fake
from leaderboards.tables.attacks import AttackFacts

# Differences up to this share of the images, up to one image, or within chance (a one-sided paired
# test at 5%, McNemar's) pass: a small sample must not condemn an attack.
SLACK = 0.01
ONE_SIDED = 1.645
# Largest share of exact zeros in a gradient that an attack can follow.
MOST_ZEROS = 0.95
# Least share of rightly judged images that a working attack fools without a budget: published ones reach 1
# on every shipped detector, one that does not move reaches 0.
WORKING = 0.95
# Chance, for each of three tests, that an attack which reaches just that share is condemned all the same.
FALSE_ALARM = 0.0025


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
        _check_unbounded(labels, column, threshold),
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


def _check_unbounded(
    labels: NDArray[np.int64], column: AttackScores, threshold: float
) -> Check | None:
    """Hold an attack to fooling what it must without a budget, with an allowance for chance.

    Only images judged rightly when clean count: an attack that does nothing "fools" the others. Both classes
    are tested together and each by itself: a search that runs the wrong way ends in one picture, which is
    wrong for one class. A test fails where so few are fooled that a working attack would do worse in at most
    ``FALSE_ALARM`` of all runs (exact one-sided binomial test).
    """
    right = called_fake(column.clean, threshold) == (labels == 1)
    probed = right & ~np.isnan(column.unbounded)
    if not probed.any():
        return None
    groups = [
        column.unbounded[mask] for mask in (probed, probed & (labels == 1), probed & (labels == 0))
    ]
    condemned = any(_too_few(int(fooled.sum()), fooled.size) for fooled in groups)
    decided = _too_few(0, groups[0].size)
    share = float(groups[0].mean(dtype=np.float64))
    detail = f"{share:.0%} of {groups[0].size} probed images fooled without a budget"
    if not decided:
        detail += "; too few to tell"
    passed = not condemned if decided else None
    return Check(column.detector, column.condition, "unbounded eps fools", passed, detail)


def _too_few(n_fooled: int, n: int) -> bool:
    """Tell whether a working attack would hardly ever fool so few of n images."""
    return n > 0 and bool(bdtr(n_fooled, n, WORKING) < FALSE_ALARM)


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
    if column.facts.climbs:
        rivals["at least as strong as FGSM"] = [o for o in alike if o.facts.name == "fgsm"]
    white_box = [other for other in alike if other.facts.knowledge == "white-box"]
    if max(white_box, key=lambda other: rates[other.condition]) is column:
        blind = [other for other in alike if other.facts.knowledge != "white-box"]
        rivals["at least as strong as without the gradient"] = blind
    return rivals


def _same_threat(rival: AttackFacts, facts: AttackFacts) -> bool:
    """Whether a rival had no more to go by: one search is not held against the worst of several."""
    alike = ("norm", "goal", "chain", "eps", "finds_distance")
    same = all(getattr(rival, name) == getattr(facts, name) for name in alike)
    return same and set(rival.smaller) <= set(facts.smaller)


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
