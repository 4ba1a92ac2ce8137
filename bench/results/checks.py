"""What checks of attacks and detectors mean for a board: columns to mark, cautions, where to look instead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from bench.datasets.layouts.base import UNKNOWN
from bench.store.run_spec import UNSTEADY, DetectorRecord
from detectors.card import DetectorCard
from leaderboards import CLEAN, ScoreColumn, SeenBy
from leaderboards.tables.attack_checks import Check
from leaderboards.tables.attacks import AttackFacts
from leaderboards.tables.generator_names import strangers
from leaderboards.tables.notes import Caution

# Scores that must all lie in [0, 1] before they are taken for probabilities.
_ENOUGH = 10


def failed_checks(checks: Iterable[Check]) -> dict[tuple[str, str], str]:
    """Map (detector, condition) to the checks it fails, in words; those that only inform do not count."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for check in checks:
        if check.passed is False:
            key = check.detector, check.condition
            reasons.setdefault(key, []).append(f"{check.name}: {check.detail}")
    return {key: "; ".join(details) for key, details in reasons.items()}


def black_box_hint(facts: AttackFacts | None, attacks: Mapping[str, AttackFacts]) -> str:
    """Name a condition that still tells something where there is no gradient.

    Args:
        facts: The attack that found no gradient.
        attacks: Condition, as spelled, to its attack, for all attacks of the run.

    Returns:
        The end of a sentence, with its semicolon; empty where there is no attack.
    """
    if facts is None:
        return ""
    for spelled, other in attacks.items():
        if other.knowledge == "black-box" and other.eps == facts.eps and other.norm == facts.norm:
            return f"; {spelled} needs none, see there"
    return f"; square(eps={facts.eps:.4g}) needs none, run it"


def detector_cautions(detectors: Iterable[DetectorRecord]) -> Iterator[Caution]:
    """Warn of random weights and of answers that vary."""
    for detector in detectors:
        label = detector.label
        if str(detector.card["name"]).endswith("(untrained)"):
            yield Caution(
                code="untrained",
                title=f"WARNING: {label} has random weights",
                advice="Its numbers say nothing about any trained detector.",
                detector=label,
            )
        for remark in detector.remarks:
            if remark.startswith(UNSTEADY):
                yield Caution(
                    code=UNSTEADY,
                    title=f"WARNING: {label} is {UNSTEADY}",
                    advice=remark.removeprefix(f"{UNSTEADY}: ").capitalize() + ".",
                    detector=label,
                )


def probability_cautions(
    columns: Iterable[ScoreColumn], thresholds: Mapping[str, float]
) -> Iterator[Caution]:
    """Warn of detectors whose every score lies in [0, 1], as a sigmoid's answer does and a logit's does not.

    Args:
        columns: Scores by detector and condition; only clean ones are looked at.
        thresholds: Logit by detector above which an image is called fake.
    """
    for column in columns:
        logits = column.logits[np.isfinite(column.logits)]
        if column.condition != CLEAN or len(logits) < _ENOUGH or np.ptp(logits) == 0:
            continue
        if logits.min() < 0 or logits.max() > 1:
            continue
        called = float((logits > thresholds.get(column.detector, 0.0)).mean())
        yield Caution(
            code="probabilities",
            title=f"WARNING: every score of {column.detector} lies within [0, 1]: they look like "
            "probabilities, not logits",
            advice=f"At its threshold {called:.0%} of the images are called fake. Return the logit, before "
            "the sigmoid, or calibrate the threshold on a validation split.",
            detector=column.detector,
        )


def seen_by(
    records: Sequence[DetectorRecord], pairing: Mapping[str, Sequence[str]]
) -> dict[str, SeenBy]:
    """Say what every detector was trained on, and which of the data's generators nobody knows."""
    trained = {record.label: _training(record) for record in records}
    everyone = frozenset(name for seen in trained.values() for name in seen.generators)
    return {
        label: replace(seen, strangers=strangers(pairing, seen.generators, everyone))
        for label, seen in trained.items()
    }


def _training(record: DetectorRecord) -> SeenBy:
    data = DetectorCard.model_validate(record.card).training_data
    if data is None:
        return SeenBy(known=False)
    if not data.generators and data.n_fake != 0:
        # A card that names no generator says as little as one that names it "unknown".
        return SeenBy(frozenset({UNKNOWN}), frozenset(data.domains))
    return SeenBy(frozenset(data.generators), frozenset(data.domains))
