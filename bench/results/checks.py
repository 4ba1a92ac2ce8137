"""What checks of attacks and detectors mean for a board: columns to mark, cautions, where to look instead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bench.datasets.layouts.base import UNKNOWN
from bench.store.run_spec import UNSTEADY, DetectorRecord, Imported, RunSpec
from detectors.card import DetectorCard
from leaderboards import CLEAN, ScoreColumn, SeenBy
from leaderboards.statistics.ranking import tied_pairs
from leaderboards.tables.attack_checks import Check
from leaderboards.tables.attacks import AttackFacts
from leaderboards.tables.generator_names import strangers
from leaderboards.tables.notes import Caution

# Scores that must all lie in [0, 1] before they are taken for probabilities.
_ENOUGH = 10
# Share of real-fake pairs with equal scores from which a reader is warned.
_MANY_TIES = 0.01
_MOST_NAMED = 3


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


def score_cautions(
    spec: RunSpec,
    labels: NDArray[np.int64],
    columns: Sequence[ScoreColumn],
    thresholds: Mapping[str, float],
) -> Iterator[Caution]:
    """Warn of what the scores themselves show, or where they come from.

    Args:
        spec: Request of the run, as its folder records it.
        labels: (n,) 1 = AI-generated.
        columns: Scores by detector and condition, aligned with the labels.
        thresholds: Logit by detector above which an image is called fake.
    """
    yield from import_cautions(spec.imported)
    yield from probability_cautions(columns, thresholds)
    for column in columns:
        if column.detector in saturating(spec) and column.condition == CLEAN:
            yield from tie_cautions(column.detector, tied_pairs(labels, column.logits))


def saturating(spec: RunSpec) -> frozenset[str]:
    """Name the detectors of a run that answer with a probability, which can make ties of what differs."""
    if spec.imported is not None:
        return frozenset()
    return frozenset(d.label for d in spec.detectors if d.card.get("output") == "probability")


def tie_cautions(detector: str, share: float) -> Iterator[Caution]:
    """Warn where many pairs of a real and a fake image, clean, have equal scores, given their share."""
    if share >= _MANY_TIES:
        yield _ties(detector, share)


def _ties(detector: str, share: float) -> Caution:
    return Caution(
        code="ties",
        title=f"WARNING: {share:.1%} of the pairs of a real and a fake image have equal scores by {detector}",
        advice=f"Each counts one half: its pooled AUC may be off by {share / 2:.3f} either way. Ask for more "
        "digits, or for the logits.",
        detector=detector,
    )


def import_cautions(imported: Imported | None) -> Iterator[Caution]:
    """Warn of scores that were made elsewhere, and of what was lost in their file.

    Args:
        imported: Where the scores of a run come from; None where bench made them.
    """
    if imported is None:
        return
    names = list(imported.scores)
    named = ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")
    yield Caution(
        code="imported",
        title=f"IMPORTED SCORES: those of {named} were read from {imported.file}, not made by bench",
        advice="Nobody here ran these detectors: weights, preprocessing and conditions are as that file "
        "says, and are vouched for by nobody.",
    )
    for detector, scores in imported.scores.items():
        if scores.kind == "verdict":
            yield Caution(
                code="verdicts only",
                title=f"WARNING: {detector} gives verdicts, no scores",
                advice="AUC, average precision and all that ranks images are n/a; import scores, not "
                "thresholded ones, to have them.",
                detector=detector,
            )
        else:
            yield from tie_cautions(detector, scores.tied_pairs)


def import_lines(imported: Imported | None) -> Iterator[str]:
    """Say what the file held of each detector, for the foot of a board."""
    if imported is None:
        return
    for detector, scores in imported.scores.items():
        plural = {"logit": "logits", "probability": "probabilities", "verdict": "verdicts"}
        clamped = (
            f", {scores.n_clamped} of them 0 or 1 up to 2^-24 and clamped to log-odds of that"
            if scores.n_clamped
            else ""
        )
        lacks = f"; it lacks {scores.n_missing} scores" if scores.n_missing else ""
        yield (
            f"{detector}: {plural[scores.kind]} from {imported.file} (sha256 {imported.sha256}){clamped}; "
            f"{scores.tied_pairs:.2%} of the real-fake pairs, clean, are ties{lacks}."
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
        if column.condition != CLEAN or not logits.size:
            continue
        if not like_probabilities(logits.size, float(logits.min()), float(logits.max())):
            continue
        called = float((logits > thresholds.get(column.detector, 0.0)).mean())
        yield probability_caution(column.detector, called)


def like_probabilities(n: int, least: float, most: float) -> bool:
    """Say whether n scores between two bounds, both reached, look like probabilities."""
    return n >= _ENOUGH and least != most and least >= 0 and most <= 1


def probability_caution(detector: str, called: float) -> Caution:
    """Warn of one detector whose scores look like probabilities, given the share it calls fake."""
    return Caution(
        code="probabilities",
        title=f"WARNING: every score of {detector} lies within [0, 1]: they look like "
        "probabilities, not logits",
        advice=f"At its threshold {called:.0%} of the images are called fake. Return the logit, before "
        "the sigmoid, or calibrate the threshold on a validation split.",
        detector=detector,
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
