"""Whether a cheaper arithmetic says the same: the check on a few images, and what was chosen by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from leaderboards.statistics.intervals import Interval, wilson
from leaderboards.statistics.paired import (
    auc_influence,
    difference,
    paired_delong,
    share_influence,
)
from leaderboards.statistics.thresholds import called_fake
from leaderboards.tables.notes import Caution

# The interval of the paired difference of two AUCs lies within this.
AUC_BOUND: Final = 0.001
# Of the checked images at most this share changes its verdict.
FLIPS_BOUND: Final = 0.005
# The interval of the paired difference of the shares fooled reaches no further below zero.
FOOLED_BOUND: Final = 0.02
# Level of these intervals: up to five looks, each at twice the images, are then wrong in at most 5%.
LEVEL: Final = 0.99

Verdict = Literal["within", "outside", "open"]
Chosen = Literal["fp32", "bf16", "bf16 gradients"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormCheck:
    """The same images in both forms of arithmetic, under one condition.

    Attributes:
        condition: Condition as spelt.
        measure: ``auc``, of scores in both forms; or ``fooled``, the share of the attacked images that is
            judged wrongly, both scored in fp32, behind gradients of both forms.
        n_real: Real images.
        n_fake: Fake images.
        fp32: The measure in fp32, in [0, 1].
        bf16: The measure in bf16, in [0, 1].
        lo: Lower end of the 99% interval of the paired difference, bf16 minus fp32.
        hi: Upper end of it.
        flips: Images whose verdict differs.
        verdict: ``within`` the bounds, ``outside``, or ``open`` where more images may tell.
    """

    condition: str
    measure: Literal["auc", "fooled"]
    n_real: int
    n_fake: int
    fp32: float
    bf16: float
    lo: float
    hi: float
    flips: int
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorForm:
    """The arithmetic that was chosen for one detector.

    Attributes:
        detector: Name of the detector.
        chosen: ``fp32``; ``bf16`` for every score; or ``bf16 gradients``, with every score in fp32.
        reason: Why, in words that go on behind the detector's name and a colon.
        checks: What was measured, one entry a condition; empty where nothing was.
    """

    detector: str
    chosen: Chosen
    reason: str
    checks: tuple[FormCheck, ...] = ()

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """Name the cheaper arithmetic where it was chosen, to stand above the numbers; empty for fp32."""
        if self.chosen == "fp32":
            return ()
        what = "scores" if self.chosen == "bf16" else "gradients of attacks"
        n = max(check.n_real + check.n_fake for check in self.checks)
        return (
            Caution(
                code=f"{what} in bf16",
                title=f"BF16: {self.detector}: {what} are computed in bf16, as a check on {n} images allows",
                advice=f"{self.reason} {bounds(self.chosen)} Every condition stands in the table Arithmetic.",
                detector=self.detector,
            ),
        )


def bounds(chosen: Chosen) -> str:
    """Say the bounds of a check in a sentence."""
    if chosen == "bf16 gradients":
        return (
            f"Bounds: bf16 gradients fool at most {FOOLED_BOUND:g} fewer of the images (lower end of the 99% "
            "interval of the paired difference); all scores are fp32."
        )
    return (
        f"Bounds: 99% interval of the paired AUC difference within {AUC_BOUND:g}, verdicts changed of at "
        f"most {FLIPS_BOUND:.1%} of the images, under every condition."
    )


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """Images that are scored in both forms.

    Attributes:
        labels: (n,) 0 or 1, 1 = AI-generated.
        clusters: (n,) codes of images that depend on each other; None where every one stands alone.
    """

    labels: NDArray[np.int64]
    clusters: NDArray[np.int64] | None = None

    def count(self, label: int) -> int:
        """Count the images of a class: 1 = AI-generated, 0 = real."""
        return int(np.count_nonzero(self.labels == label))

    def among(self, rows: NDArray[np.bool_]) -> Checked:
        """Keep some of the images."""
        return Checked(self.labels[rows], None if self.clusters is None else self.clusters[rows])


def check_scores(
    condition: str, images: Checked, fp32: NDArray[Any], bf16: NDArray[Any], threshold: float
) -> FormCheck:
    """Hold the scores of n images in bf16 against those in fp32.

    Args:
        condition: Condition as spelt.
        images: The n images, of both classes.
        fp32: (n,) finite logits.
        bf16: (n,) finite logits.
        threshold: Logit above which an image is called fake.

    Examples:
        >>> images, logits = Checked(np.repeat([0, 1], 300)), np.linspace(-3.0, 3.0, 600)
        >>> check = check_scores("clean", images, logits, logits * 1.001, 0.0)
        >>> check.flips, check.fp32, check.bf16, check.verdict
        (0, 1.0, 1.0, 'within')
    """
    labels, interval = images.labels, _auc_interval(images, fp32, bf16)
    flips = int(np.count_nonzero(called_fake(fp32, threshold) != called_fake(bf16, threshold)))
    return FormCheck(
        condition=condition,
        measure="auc",
        n_real=images.count(0),
        n_fake=images.count(1),
        fp32=auc_influence(labels, fp32).value,
        bf16=auc_influence(labels, bf16).value,
        lo=interval.lo,
        hi=interval.hi,
        flips=flips,
        verdict=_verdict(interval, flips, len(labels)),
    )


def check_attack(
    condition: str, images: Checked, fp32: NDArray[Any], bf16: NDArray[Any], threshold: float
) -> FormCheck:
    """Hold what an attack does with gradients in bf16 against what it does with those in fp32.

    Args:
        condition: Condition as spelt, with an attack.
        images: The n images that were attacked.
        fp32: (n,) fp32 logits of the pictures made with fp32 gradients.
        bf16: (n,) fp32 logits of the pictures made with bf16 gradients.
        threshold: Logit above which an image is called fake.
    """
    labels = images.labels
    fooled = [called_fake(logits, threshold) != (labels == 1) for logits in (fp32, bf16)]
    same = bool(np.array_equal(*fooled))
    one, two = (share_influence(labels, wrong) for wrong in fooled)
    pairs = None if same else len(labels)
    interval = difference(one, two, images.clusters, pairs=pairs).interval(LEVEL)
    return FormCheck(
        condition=condition,
        measure="fooled",
        n_real=images.count(0),
        n_fake=images.count(1),
        fp32=float(fooled[0].mean()),
        bf16=float(fooled[1].mean()),
        lo=interval.lo,
        hi=interval.hi,
        flips=int(np.count_nonzero(fooled[0] != fooled[1])),
        verdict="within"
        if interval.lo >= -FOOLED_BOUND
        else "outside"
        if interval.hi < -FOOLED_BOUND
        else "open",
    )


def summary(checks: Sequence[FormCheck]) -> str:
    """Say in a sentence how far the forms are apart, over all conditions."""
    flips, n = sum(c.flips for c in checks), sum(c.n_real + c.n_fake for c in checks)
    lo, hi = min(c.lo for c in checks), max(c.hi for c in checks)
    what = "AUC" if checks[0].measure == "auc" else "share fooled"
    return f"{what} differs by [{lo:+.5f}, {hi:+.5f}] at most, {flips} of {n} verdicts changed."


def _verdict(interval: Interval, flips: int, n: int) -> Verdict:
    """Hold the interval of an AUC difference and the verdicts changed among n images against the bounds."""
    if -AUC_BOUND <= interval.lo <= interval.hi <= AUC_BOUND and flips <= FLIPS_BOUND * n:
        return "within"
    far = interval.lo > AUC_BOUND or interval.hi < -AUC_BOUND
    return "outside" if far or wilson(flips, n).lo > FLIPS_BOUND else "open"


def _auc_interval(images: Checked, fp32: NDArray[Any], bf16: NDArray[Any]) -> Interval:
    """Compute the interval of the paired difference of two AUCs.

    DeLong's; where no image's rank changes it has no variance to go by. Then the share of pairs of a real
    and a fake image bounds the difference whose logits are no further apart than the changes of any two
    logits: no other pair could have changed its order.
    """
    labels = images.labels
    test = paired_delong(labels, fp32, bf16, images.clusters)
    if test.sd != test.floor_sd or np.array_equal(fp32, bf16):
        return test.interval(LEVEL)
    reach = float(np.ptp(bf16.astype(np.float64) - fp32))
    reals, fakes = np.sort(fp32[labels == 0]), np.sort(fp32[labels == 1])
    near = np.searchsorted(reals, fakes + reach, "right") - np.searchsorted(reals, fakes - reach)
    share = float(near.sum()) / (len(reals) * len(fakes))
    return Interval(-share, share)
