"""A trained network's figures on the test images: those like its training images, and all others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.results.scores import ScoreTable
from bench.studies.recipe import Recipe
from bench.studies.suite_run import clean_logits
from bench.training.plan import Trained
from detectors.card import TrainingData
from leaderboards.statistics.metrics import Metrics, evaluate

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Figures:
    """One trained network on the test images.

    Attributes:
        name: Name of the detector.
        arch: Name of its architecture.
        seen: On test images of the generators and domains it was trained on, as the studies report.
        unseen: On all others; ``None`` where there are none.
        fresh: On those of ``seen`` whose bytes stand in no training image; ``None`` where that is all.
        paper: Figures that the study reports, by metric.
        departures: Settings that are not the study's, in words.
    """

    name: str
    arch: str
    seen: Metrics
    unseen: Metrics | None
    fresh: Metrics | None
    paper: Mapping[str, float]
    departures: tuple[str, ...]


def measure(study: Recipe, training: Trained, scores: ScoreTable, budget: str) -> Figures:
    """Measure one network of a study on the test images.

    Args:
        study: The recipe, for its figures and settings.
        training: The network that is measured.
        scores: Scores of the study's run.
        budget: Name of the budget that was trained with, or empty.

    Raises:
        BenchError: If no test image of what the network was trained on was scored.
    """
    plan = training.plan
    detector = plan.weights_file.stem
    logits = clean_logits(scores, detector)
    labels = scores.samples["label"].to_numpy()
    scored = np.isfinite(logits)
    seen, controls = _seen(training, scores), _controls(scores)
    leaked = _leaked(training, scores)

    def over(mask: Mask) -> Metrics | None:
        rows = mask & scored
        if not rows.any():
            return None
        return evaluate(labels[rows], logits[rows], scores.thresholds[detector])

    metrics = over(seen)
    if metrics is None:
        raise BenchError(
            f"{plan.name}: no test image of what it was trained on was scored: see {plan.folder}"
        )
    return Figures(
        name=plan.name,
        arch=plan.arch.name,
        seen=metrics,
        unseen=over(~seen & ~controls),
        fresh=over(seen & ~leaked) if (seen & leaked).any() else None,
        paper=study.network(plan.arch.name).paper,
        departures=departures(study, training, budget),
    )


def _seen(training: Trained, scores: ScoreTable) -> Mask:
    """Test images of the generators and domains on the network's card, and the reals beside them."""
    card = json.loads(training.plan.weights_file.with_suffix(".json").read_text(encoding="utf-8"))
    data = TrainingData.model_validate(card["training_data"])
    reals = {source for name in data.generators for source in scores.pairing.get(name, ())}
    seen: Mask = scores.samples["generator"].isin([*data.generators, *reals]).to_numpy()
    if data.domains:
        seen = seen & scores.samples["domain"].isin(data.domains).to_numpy()
    return seen


def _controls(scores: ScoreTable) -> Mask:
    """Real images that are compared with no generator, so that they belong to neither side."""
    paired = {source for sources in scores.pairing.values() for source in sources}
    real = (scores.samples["label"] != 1).to_numpy()
    controls: Mask = real & ~scores.samples["generator"].isin(paired).to_numpy()
    return controls


def _leaked(training: Trained, scores: ScoreTable) -> Mask:
    """Test images whose bytes stand in a training image."""
    plan = training.plan
    trained_on = set(plan.manifest.table["sha256"].take(plan.split.train).to_pylist()) - {""}
    leaked: Mask = scores.samples["sha256"].isin(trained_on).to_numpy()
    return leaked


def departures(study: Recipe, training: Trained, budget: str) -> tuple[str, ...]:
    """Say where a training is not the study's, setting by setting."""
    plan = training.plan
    theirs = study.settings(plan.arch.name).model_dump(mode="json")
    ours = plan.settings.model_dump(mode="json")
    lines = [f"budget {budget}: {study.budget[budget].description}"] if budget else []
    skipped = {"generators", "domains"} if study.per else set()
    lines += [
        f"{key} {ours[key]!r} where the recipe has {theirs[key]!r}"
        for key in theirs
        if ours[key] != theirs[key] and key not in skipped
    ]
    if theirs["init"] == "imagenet" and "ImageNet" not in plan.started_from:
        lines.append(f"started from {plan.started_from}, the study from ImageNet weights")
    return tuple(lines)
