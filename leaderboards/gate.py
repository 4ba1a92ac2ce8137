"""Has a detector become worse? A verdict a cell, from paired scores, that neither cries wolf nor misses.

A cell FAILS where it dropped by more than the margin and the drop is significant after Holm's
correction over all tests; it PASSES where a drop beyond the margin is ruled out (one-sided 95% lower
bound above minus the margin); else it is INCONCLUSIVE, and says how many images would decide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from leaderboards.statistics.intervals import NAN
from leaderboards.statistics.paired_cells import PairedCell, Tested, paired_tests
from leaderboards.statistics.significance import holm

Decision = Literal["PASS", "FAIL", "INCONCLUSIVE", "INCOMPLETE"]
Mode = Literal["regression", "non-inferior"]

POWER = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the gate asks for.

    Attributes:
        metric: A name among ``catalogue.paired_metrics``.
        margin: A drop up to this is no regression.
        level: Chance of any false alarm (Holm), and of a wrong lower bound in each cell.
        mode: "regression" blocks on FAIL, and where the gate is blind; "non-inferior" wants a PASS
            everywhere.
        min_images: Images of either class below which nothing is decided.
        blind: Where a drop of this size would be missed one time in five, the gate has seen too
            little to let anything through.
        seed: Seed of resampling, for metrics that need it.
    """

    metric: str = "auc"
    margin: float = 0.01
    level: float = 0.05
    mode: Mode = "regression"
    min_images: int = 20
    blind: float = 0.1
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One row of the gate's table.

    Attributes:
        name: Detector, generator, domain, condition; generator ``(macro mean)`` for the mean of a
            detector's cells.
        decision: PASS, FAIL, INCONCLUSIVE or INCOMPLETE.
        reason: Why, in one sentence.
        n_real: Number of real images.
        n_fake: Number of fake images.
        baseline: Metric of the baseline.
        candidate: Metric of the candidate.
        change: Candidate minus baseline.
        lo: Lower end of the change's two-sided 95% interval.
        hi: Upper end of the change's two-sided 95% interval.
        lower: One-sided lower bound that PASS rests on.
        p: Two-sided p value of "no difference".
        p_adjusted: The same after Holm's correction.
        needed: Images, in the same proportions, that would decide; None where unknown.
        blind: Whether a drop of ``Rules.blind`` might well have been missed.
    """

    name: tuple[str, str, str, str]
    decision: Decision
    reason: str
    n_real: int = 0
    n_fake: int = 0
    baseline: float = NAN
    candidate: float = NAN
    change: float = NAN
    lo: float = NAN
    hi: float = NAN
    lower: float = NAN
    p: float = NAN
    p_adjusted: float = NAN
    needed: int | None = None
    blind: bool = False


def judge(
    cells: Sequence[PairedCell],
    rules: Rules,
    strata: NDArray[np.int64],
    clusters: NDArray[np.int64] | None = None,
) -> list[Verdict]:
    """Test every cell and each detector's macro mean.

    Args:
        cells: Cells scored by both.
        rules: Metric, margin and levels.
        strata: (n,) codes of the groups of images gathered apart (label and source), for resampling.
        clusters: (n,) codes of dependent images, from ``cluster_codes``.

    Returns:
        A verdict a cell, in order, then one macro mean a detector.
    """
    tests = paired_tests(cells, rules.metric, strata, clusters, seed=rules.seed)
    adjusted = holm([test.p for test in tests])
    return [
        _decide(test, float(p), rules, len(tests)) for test, p in zip(tests, adjusted, strict=True)
    ]


def outcome(verdicts: Sequence[Verdict], mode: Mode) -> Decision:
    """Sum up verdicts in one word: the worst that blocks."""
    decisions = {verdict.decision for verdict in verdicts}
    if "FAIL" in decisions:
        return "FAIL"
    if "INCOMPLETE" in decisions:
        return "INCOMPLETE"
    undecided = [verdict for verdict in verdicts if verdict.decision == "INCONCLUSIVE"]
    if not verdicts or any(mode == "non-inferior" or verdict.blind for verdict in undecided):
        return "INCONCLUSIVE"
    return "PASS"


def floor_verdict(
    name: tuple[str, str, str, str],
    value: float,
    lo: float,
    minimum: float,
    counts: tuple[int, int],
) -> Verdict:
    """Hold a value against an absolute floor: PASS only where even its lower bound reaches it.

    Args:
        name: Detector, generator, domain, condition.
        value: Metric of the candidate.
        lo: Lower end of its 95% interval.
        minimum: Least value that the lower end must reach.
        counts: Number of real and of fake images.
    """
    is_defined = not (math.isnan(value) or math.isnan(lo))
    decision = _floor_decision(value, lo, minimum) if is_defined else "INCONCLUSIVE"
    reason = "undefined here"
    if is_defined:
        reason = f"{value:.3f} with lower bound {lo:.3f} against a floor of {minimum:g}"
    n_real, n_fake = counts
    return Verdict(
        name=name, decision=decision, reason=reason, n_real=n_real, n_fake=n_fake, candidate=value,
        lower=lo, blind=decision != "PASS",
    )  # fmt: skip


def _floor_decision(value: float, lo: float, minimum: float) -> Decision:
    if lo >= minimum:
        return "PASS"
    return "FAIL" if value < minimum else "INCONCLUSIVE"


def _decide(test: Tested, p_adjusted: float, rules: Rules, n_tests: int) -> Verdict:
    change, (n_real, n_fake) = test.difference, test.counts
    lo, hi = change.interval()
    lower = change.lower(1 - rules.level)
    # Holm's strictest threshold: what a drop must clear at worst.
    strict = change.quantile(1 - rules.level / (2 * n_tests))
    is_blind = not change.defined or (strict + change.quantile(POWER)) * change.sd > rules.blind
    is_small = min(n_real, n_fake) < rules.min_images and not test.identical
    decision: Decision = "INCONCLUSIVE"
    needed: int | None = None
    if not change.defined:
        reason = "the metric or its error is undefined here"
    elif is_small:
        needed = _scaled(test.counts, rules.min_images / max(1, min(test.counts)))
        reason = (
            f"too few images: {n_real} real and {n_fake} fake, {rules.min_images} of each at least"
        )
    elif p_adjusted < rules.level and -change.value > rules.margin:
        decision = "FAIL"
        reason = f"dropped by {-change.value:.4f}, more than {rules.margin:g}, adjusted p {p_adjusted:.2g}"
    elif lower > -rules.margin:
        decision = "PASS"
        reason = f"a drop beyond {rules.margin:g} is ruled out (lower bound {lower:+.4f})"
        if test.identical:
            reason = "every score is the same"
    else:
        needed = _needed(test, rules, strict)
        remedy = "" if needed is None else f"; about {needed} images would decide"
        reason = f"lower bound {lower:+.4f} does not clear -{rules.margin:g}{remedy}"
    return Verdict(
        name=test.name, decision=decision, reason=reason, n_real=n_real, n_fake=n_fake,
        baseline=test.values[0], candidate=test.values[1], change=change.value, lo=lo, hi=hi,
        lower=lower, p=test.p, p_adjusted=p_adjusted, needed=needed,
        blind=decision == "INCONCLUSIVE" and (is_blind or is_small),
    )  # fmt: skip


def _needed(test: Tested, rules: Rules, strict: float) -> int | None:
    """Images at which the present difference would be decided, its error shrinking as 1/sqrt(n)."""
    change, sd = test.difference.value, test.difference.sd
    if change > -rules.margin:
        ratio = test.difference.quantile(1 - rules.level) * sd / (change + rules.margin)
    elif change < -rules.margin:
        ratio = strict * sd / -change
    else:
        return None
    return _scaled(test.counts, max(1.0, ratio) ** 2)


def _scaled(counts: tuple[int, int], factor: float) -> int:
    return math.ceil(sum(counts) * factor)
