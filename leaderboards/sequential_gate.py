"""The gate while scores come in: looks at growing shares of the images, until FAIL, PASS or the end.

The rules are those of :mod:`leaderboards.gate`; what differs is how far out a statistic must lie: beyond
group-sequential boundaries, so that looking several times raises no more false alarms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from leaderboards.gate import Decision, Rules, Verdict, judge, outcome
from leaderboards.statistics.paired import smallest_error
from leaderboards.statistics.paired_cells import PairedCell, Tested, paired_tests
from leaderboards.statistics.sequential.boundaries import boundaries
from leaderboards.tables.rounds.order import STEP

# Images of the smaller class of the smallest cell at the first look.
_LEAST = 64
# More looks save little and cost power.
_MOST_LOOKS = 20


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a sequential gate came to.

    Attributes:
        verdicts: One a cell, then a macro mean a detector, at the look that decided.
        decision: FAIL or PASS where a look decided, else what all images say.
        look: Number of the look, from 1.
        n_looks: Looks there could have been.
        images: Images that were looked at, each once.
        available: Images there are.
        scores: Scores of the candidate that were looked at.
        available_scores: Scores that the fixed design takes.
        next_share: Share of the images that must be scored to go on; None where the gate is decided.
    """

    verdicts: tuple[Verdict, ...]
    decision: Decision
    look: int
    n_looks: int
    images: int
    available: int
    scores: int
    available_scores: int
    next_share: float | None = None

    @property
    def saving(self) -> float:
        """Share of the candidate's scores that were not needed."""
        return 1 - self.scores / max(1, self.available_scores)


def gate_looks(cells: Sequence[PairedCell]) -> tuple[float, ...]:
    """Give the shares of the images at which a gate is looked at; the last one is 1.

    The first look has ``STEP`` images of the smaller class over all cells and ``_LEAST`` of the smallest
    cell; the next ones lie as far apart, or a twentieth of everything.

    Example:
        >>> labels = np.repeat([0, 1], 1000)
        >>> cell = PairedCell(("a", "g", "all", "clean"), np.arange(2000), labels, labels, labels)
        >>> [round(share, 3) for share in gate_looks([cell])]
        [0.256, 0.512, 0.768, 1.0]
    """
    rows = np.concatenate([cell.rows for cell in cells])
    labels = np.concatenate([cell.labels for cell in cells])
    _, first = np.unique(rows, return_index=True)
    n_fake = int(np.count_nonzero(labels[first]))
    smaller = max(1, min(n_fake, first.size - n_fake))
    smallest = max(1, min(min(cell.counts) for cell in cells))
    step = max(STEP / smaller, _LEAST / smallest, 1 / _MOST_LOOKS)
    n = max(1, math.floor(1 / step + 1e-9))
    shares = [step * i for i in range(1, n + 1)]
    if shares[-1] > 1 - step / 2:
        shares.pop()
    return (*shares, 1.0)


def judge_in_looks(
    cells: Sequence[PairedCell],
    rules: Rules,
    strata: NDArray[np.int64],
    places: NDArray[np.float64],
    clusters: NDArray[np.int64] | None = None,
) -> Ruling:
    """Look at growing shares of the images until the gate is decided.

    FAIL: a drop beyond the margin whose statistic lies beyond the boundary, at ``level / 2`` in the
    direction of a drop and after Holm's correction over all tests (the significance of the fixed gate). PASS:
    every cell and mean has been found above minus the margin, each by a boundary at ``level``.

    Args:
        cells: Cells scored by both, with all the images there are.
        rules: Metric, margin and levels.
        strata: (n,) codes of images gathered apart.
        places: (n,) place of every image in the order of scoring; see ``rounds.order.positions``.
        clusters: (n,) codes of dependent images.
    """
    shares = gate_looks(cells)
    passed: set[tuple[str, ...]] = set()
    for look, share in enumerate(shares, start=1):
        part = [_before(cell, places, share if share < 1 else math.inf) for cell in cells]
        if any(np.isnan(cell.candidate[cell.rows]).any() for cell in part):
            return _ruling([], "INCOMPLETE", (look - 1, len(shares)), ([], cells), share)
        tests = paired_tests(part, rules.metric, strata, clusters, seed=rules.seed)
        tests = [_cautious(test) if share < 1 else test for test in tests]
        failed = _failed(tests, rules, shares[:look])
        bound = boundaries(shares[:look], rules.level)[-1]
        passed |= {t.name for t in tests if _is_above(t, bound, rules)}
        is_over = bool(failed) or all(test.name in passed for test in tests)
        if is_over or look == len(shares):
            verdicts = judge(part, rules, strata, clusters)
            ruled = tuple(_ruled(v, failed, passed, look) for v in verdicts)
            return _ruling(ruled, outcome(ruled, rules.mode), (look, len(shares)), (part, cells))
    raise AssertionError("the last look ends it")


def _ruling(
    verdicts: Sequence[Verdict],
    decision: Decision,
    looks: tuple[int, int],
    cells: tuple[Sequence[PairedCell], Sequence[PairedCell]],
    next_share: float | None = None,
) -> Ruling:
    """Put a ruling together from its look, of how many, and the cells it saw, of how many."""
    images, available = (_count(some) for some in cells)
    scores, available_scores = (sum(len(cell.rows) for cell in some) for some in cells)
    return Ruling(
        tuple(verdicts), decision, *looks, images, available, scores, available_scores, next_share
    )


def _before(cell: PairedCell, places: NDArray[np.float64], end: float) -> PairedCell:
    """Keep the images of a cell that stand before a place."""
    kept = places[cell.rows] < end
    return replace(cell, rows=cell.rows[kept], labels=cell.labels[kept])


def _count(cells: Sequence[PairedCell]) -> int:
    return int(np.unique(np.concatenate([np.zeros(0, np.int64), *(c.rows for c in cells)])).size)


def _cautious(test: Tested) -> Tested:
    """Take equal scores on a part of the images for no certainty about the rest."""
    if not test.identical or not min(test.counts):
        return test
    error = max(test.difference.floor_sd, smallest_error(min(test.counts)))
    return replace(test, difference=replace(test.difference, floor_sd=error))


def _statistic(test: Tested, shift: float) -> float:
    """Standard normal statistic of the difference plus ``shift``; nan where undefined."""
    change = replace(test.difference, value=test.difference.value + shift)
    if not change.defined:
        return math.nan
    if change.sd == 0:
        return math.copysign(math.inf, change.value) if change.value else 0.0
    # Student's t, where clusters are few, becomes the normal of the same tail.
    if math.isinf(change.df):
        return change.value / change.sd
    tail = max(change.p_drop, 1e-300) if change.value < 0 else 0.0
    rise = replace(change, value=-change.value)
    return float(ndtri(tail)) if tail else -float(ndtri(max(rise.p_drop, 1e-300)))


def _failed(
    tests: Sequence[Tested], rules: Rules, shares: tuple[float, ...]
) -> dict[tuple[str, ...], float]:
    """Name the tests that dropped significantly and beyond the margin, with the boundary they crossed.

    Holm's procedure with boundaries in place of p values: valid because each boundary falls as its level
    rises (Maurer and Bretz 2013, Statistics in Biopharmaceutical Research 5, 311-320).
    """
    statistics = {test.name: _statistic(test, 0.0) for test in tests}
    order = sorted(
        (test for test in tests if not math.isnan(statistics[test.name])),
        key=lambda test: statistics[test.name],
    )
    failed: dict[tuple[str, ...], float] = {}
    for position, test in enumerate(order):
        level = rules.level / 2 / (len(order) - position)
        if statistics[test.name] > _weakest(level):
            break
        bound = boundaries(shares, level)[-1]
        if statistics[test.name] > -bound:
            break
        if -test.difference.value > rules.margin and min(test.counts) >= rules.min_images:
            failed[test.name] = bound
    return failed


def _weakest(level: float) -> float:
    """Statistic that no boundary at a level is weaker than: that of a single look."""
    return float(ndtri(level))


def _is_above(test: Tested, bound: float, rules: Rules) -> bool:
    """Tell whether a drop beyond the margin is ruled out."""
    enough = min(test.counts) >= rules.min_images or test.identical
    return enough and _statistic(test, rules.margin) > bound


def _ruled(
    verdict: Verdict, failed: dict[tuple[str, ...], float], passed: set[tuple[str, ...]], look: int
) -> Verdict:
    """Let the boundaries decide a verdict that was described as if there had been one look."""
    if verdict.name in failed:
        return replace(
            verdict,
            decision="FAIL",
            blind=False,
            reason=f"dropped by {-verdict.change:.4f}, beyond the boundary of "
            f"{failed[verdict.name]:.2f} standard errors at look {look}",
        )
    if verdict.name in passed:
        return replace(
            verdict, decision="PASS", blind=False, reason="a drop beyond the margin is ruled out"
        )
    if verdict.decision in ("FAIL", "PASS"):
        return replace(
            verdict,
            decision="INCONCLUSIVE",
            reason="within the sequential boundaries when scoring ended",
        )
    return verdict
