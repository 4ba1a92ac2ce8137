"""From raw logits of a user's own images to verdicts under a stated rule, and what to say of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from bench.errors import BenchError
from bench.protocol.threshold import parse_policy
from bench.results.predictions.calibrated import Calibration
from detectors.card import DetectorCard

# Training sets that are made for trying things out, not for photographs from elsewhere.
_TOYS: Final = {"pocket": "64 px tiles of the embedded set", "cifake": "32 px images"}


class Scored(Protocol):
    """An image as a detector scored it."""

    @property
    def path(self) -> str:
        """Path of the image."""

    @property
    def logit(self) -> float | None:
        """Its score; None where there is none."""

    @property
    def reason(self) -> str:
        """Why there is none."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How a logit becomes a verdict.

    Attributes:
        threshold: Logit above which an image is called AI-generated.
        calibration: What a run says of the detector; None where none was given.
    """

    threshold: float = 0.0
    calibration: Calibration | None = None

    @property
    def basis(self) -> str:
        """What the threshold rests on, as a verdict says it."""
        if self.calibration is not None:
            return f"at {100 * self.calibration.fpr:g} % FPR on {self.calibration.source}"
        return f"above logit {self.threshold:g}"

    @property
    def sentence(self) -> str:
        """What the threshold is, in a sentence."""
        if self.calibration is not None:
            return self.calibration.sentence
        if self.threshold:
            return f"threshold: logit {self.threshold:.6g}, set by hand; nobody says what errors to expect"
        return "threshold: logit 0, the detector's own decision point; with --calibrated RUN errors are known"


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict on one image.

    Attributes:
        path: Path of the image.
        logit: Raw score; None where the image could not be judged.
        probability: Probability that it is AI-generated, both classes equally likely before; None without a
            calibration.
        verdict: ``AI-generated`` above the threshold, ``real`` at or below it, else ``unreadable``.
        statement: The same with what it rests on.
        reason: Why it could not be judged.
    """

    path: str
    logit: float | None
    probability: float | None
    verdict: Literal["AI-generated", "real", "unreadable"]
    statement: str
    reason: str


def threshold_of(text: str) -> float:
    """Read what a person sets as a threshold: a logit, or ``probability(P)``.

    Raises:
        BenchError: If it is neither.
    """
    try:
        policy = parse_policy(text)
    except ValueError:
        policy = None
    if policy is None or policy.kind not in ("zero", "fixed"):
        raise BenchError(
            f"--threshold {text}: give a logit such as 0.385, or probability(0.385); a threshold chosen on "
            "data comes with --calibrated RUN"
        )
    return policy.value


def judge(scored: Sequence[Scored], rule: Rule) -> list[Judged]:
    """Judge every image by one rule."""
    return [_judged(image, rule) for image in scored]


def _judged(image: Scored, rule: Rule) -> Judged:
    if image.logit is None:
        return Judged(image.path, None, None, "unreadable", "could not be judged", image.reason)
    sigmoid = rule.calibration.sigmoid if rule.calibration is not None else None
    is_fake = image.logit > rule.threshold
    return Judged(
        path=image.path,
        logit=image.logit,
        probability=None if sigmoid is None else sigmoid.probability(image.logit),
        verdict="AI-generated" if is_fake else "real",
        statement=f"{'called' if is_fake else 'not called'} AI-generated {rule.basis}",
        reason="",
    )


def counts(judged: Sequence[Judged]) -> str:
    """Sum up how many images were judged how."""
    number = {
        v: sum(j.verdict == v for j in judged) for v in ("AI-generated", "real", "unreadable")
    }
    return (
        f"{len(judged)} images: {number['AI-generated']} called AI-generated, {number['real']} not, "
        f"{number['unreadable']} could not be judged"
    )


def doubts(card: DetectorCard, label: str) -> Iterator[str]:
    """Say why a detector's verdicts on photographs from elsewhere mean little or nothing."""
    if card.weights is None and not card.training_data:
        yield f"warning: {label} has no trained weights that its card names: its verdicts may be noise"
    elif card.training_data is not None and card.training_data.dataset in _TOYS:
        what = _TOYS[card.training_data.dataset]
        yield (
            f"warning: {label} is a toy, trained on {what}: of photographs from elsewhere it knows nothing"
        )
