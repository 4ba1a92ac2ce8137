"""A threshold, probabilities and expected errors for new images, from the scores of a finished run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.results.scores import ScoredRun, load_run
from bench.store.run_spec import RunSpec
from detectors.card import DetectorCard
from leaderboards import CLEAN
from leaderboards.statistics.calibration.sigmoid import Sigmoid, fit_sigmoid
from leaderboards.statistics.paired import share_influence
from leaderboards.statistics.thresholds import at_false_positive_rate, called_fake
from leaderboards.tables.cells import cell_state
from leaderboards.tables.condition_means import mean_interval
from leaderboards.tables.means import basis_slices
from leaderboards.tables.seen import seen_state
from leaderboards.tables.slicing import clusters_of, pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A share of images with its 95% interval; images of one photograph or prompt count as one.

    Attributes:
        value: The share, between 0 and 1.
        lo: Lower end.
        hi: Upper end.
        images: Number of images that it is a share of.
    """

    value: float
    lo: float
    hi: float
    images: int

    def __str__(self) -> str:
        """Write it in percent."""
        return f"{100 * self.value:.1f} % [{100 * self.lo:.1f}, {100 * self.hi:.1f}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What a run says of one detector's scores.

    Attributes:
        source: Data set and split of the run.
        fpr: False-positive rate asked for.
        threshold: Logit above which an image is called AI-generated.
        sigmoid: From logit to the probability of AI-generated, with both classes equally likely before.
        false_alarms: Real images of the run that are called AI-generated.
        missed: AI-generated images of it that are not: those of generators the detector was not trained
            on, or of all where there are none.
        is_unseen: Whether ``missed`` is of such generators alone.
        cautions: Why the run's numbers are not to be taken at face value, a sentence each.
    """

    source: str
    fpr: float
    threshold: float
    sigmoid: Sigmoid
    false_alarms: Share
    missed: Share
    is_unseen: bool
    cautions: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """Say what the threshold is and which errors to expect of it."""
        whose = "of generators it was not trained on " if self.is_unseen else ""
        return (
            f"threshold: logit {self.threshold:.6g}, {100 * self.fpr:g} % FPR on {self.source}; "
            f"expected error there: {self.false_alarms} of {self.false_alarms.images} real images are called "
            f"AI-generated, {self.missed} of {self.missed.images} AI-generated ones {whose}are not"
        )


def calibrate(
    folder: Path, card: DetectorCard, identity: str, *, label: str, fpr: float
) -> Calibration:
    """Choose a detector's threshold for a false-positive rate from a run's clean real images.

    Args:
        folder: The run's folder.
        card: The detector's card.
        identity: Digest of all that decides its logits: the run must have scored that very detector.
        label: What a person calls it.
        fpr: False-positive rate, in (0, 1).

    Raises:
        BenchError: The run is of another detector or of another input, its scores are not all there, or it
            has too few real images for so low a rate.
    """
    run = load_run(folder)
    name = _name_in(run.spec, card, identity, label, folder)
    scores = run.scores
    column = next(c for c in scores.columns if c.detector == name and c.condition == CLEAN)
    averaged = basis_slices(scores.slices(), scores.training[name])
    cuts = [cut for cut in scores.slices() if (cut.generator, cut.domain) in averaged]
    everything = pool(scores.samples, cuts)
    status = cell_state(column, everything.rows)
    if status.status != "ok":
        raise BenchError(
            f"--calibrated {folder}: the clean scores of {name} are {status.status}: finish the run"
        )
    labels, logits = everything.labels, column.logits[everything.rows]
    try:
        threshold = at_false_positive_rate(labels, logits, fpr)
        sigmoid = fit_sigmoid(labels, logits)
    except ValueError as error:
        raise BenchError(f"--calibrated {folder}: {error}; choose another run or --fpr") from error
    if sigmoid.slope <= 0:
        raise BenchError(
            f"--calibrated {folder}: {name} scores real images higher than AI-generated ones there"
        )
    shares = _shares(run, everything.rows, labels, called_fake(logits, threshold) == (labels == 1))
    unseen = {"unseen"} == _seen_states(run, name, averaged)
    return Calibration(
        source=f"{run.spec.dataset} ({run.spec.split or 'all splits'})",
        fpr=fpr,
        threshold=threshold,
        sigmoid=sigmoid,
        false_alarms=shares["real_recall"],
        missed=shares["fake_recall"],
        is_unseen=unseen,
        cautions=tuple(
            caution.sentence for caution in scores.cautions if caution.detector in ("", name)
        ),
    )


def _seen_states(run: ScoredRun, name: str, averaged: frozenset[tuple[str, str]]) -> set[str]:
    return {
        seen_state(cut, run.scores.training[name])
        for cut in run.scores.slices()
        if (cut.generator, cut.domain) in averaged
    }


def _shares(
    run: ScoredRun, rows: NDArray[np.int64], labels: NDArray[np.int64], right: NDArray[np.bool_]
) -> Mapping[str, Share]:
    """Give the share of wrong verdicts in each class, by the name of the recall it is the rest of."""
    everyone = clusters_of(run.scores.samples)
    clusters = None if everyone is None else everyone[rows]
    found = {}
    for name, label in (("real_recall", 0), ("fake_recall", 1)):
        n = int((labels == label).sum())
        recall = share_influence(labels, right, name)
        lo, hi = mean_interval(recall, clusters, n)
        found[name] = Share(value=1 - recall.value, lo=1 - hi, hi=1 - lo, images=n)
    return found


def _name_in(spec: RunSpec, card: DetectorCard, identity: str, label: str, folder: Path) -> str:
    """Find the detector in a run.

    Raises:
        BenchError: It is not there, or was scored on another input.
    """
    if spec.suite.equalise:
        raise BenchError(
            f"--calibrated {folder}: its images went through {spec.suite.equalise} first, and these do not: "
            "give a run on images as they lie"
        )
    if spec.imported is not None:
        raise BenchError(
            f"--calibrated {folder}: its scores were made elsewhere: give a run of {label}"
        )
    for record in spec.detectors:
        if record.identity == identity:
            return record.label
    others = {record.label: DetectorCard.model_validate(record.card) for record in spec.detectors}
    if label not in others:
        raise BenchError(
            f"--calibrated {folder}: it is a run of {', '.join(others)}, not of {label}: give one of it"
        )
    if others[label].input != card.input:
        raise BenchError(
            f"--calibrated {folder}: there {label} was given {others[label].input.describe()}, here it is "
            f"given {card.input.describe()}: give a run with this input"
        )
    raise BenchError(
        f"--calibrated {folder}: its {label} has other weights, code or label direction than this one: run "
        "it again with this detector"
    )
