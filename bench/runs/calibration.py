"""Choosing each detector's threshold from clean scores of a validation split, before anything else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bench.datasets import Manifest
from bench.errors import BenchError
from bench.protocol.threshold import Policy
from bench.store import units as planning
from bench.store.run_spec import Failure, ThresholdRecord
from bench.store.shards import Store
from bench.store.units import Chunk, Plan
from detectors.card import DetectorCard
from leaderboards.tables.generator_names import is_among


def calibration_chunks(
    manifest: Manifest, policy: Policy, chunks: Sequence[Chunk], limit: int | None, seed: int
) -> tuple[Chunk, ...]:
    """Give the chunks that thresholds are chosen on: none for a given logit, the scored ones for an oracle.

    Raises:
        BenchError: The split is not there, or is among the scored images.
    """
    if policy.kind in ("zero", "fixed"):
        return ()
    if policy.kind == "oracle":
        return tuple(chunks)
    if policy.split not in manifest.splits():
        raise BenchError(
            f"threshold {policy} needs split {policy.split!r}, and {manifest.name} has no image in it: "
            "name another split of it, or use --threshold 0"
        )
    rows = planning.select(manifest, policy.split, limit, seed)
    scored = np.concatenate([chunk.rows for chunk in chunks])
    if np.intersect1d(rows, scored).size:
        raise BenchError(
            f"threshold {policy} would be fitted on images that are scored: score another --split, or say "
            "--threshold oracle"
        )
    return planning.cut(manifest, rows)


@dataclass(frozen=True, slots=True)
class Choice:
    """Thresholds that could be chosen, and why others could not.

    Attributes:
        thresholds: Chosen thresholds by detector label.
        refused: By detector label, why it has no threshold.
    """

    thresholds: dict[str, ThresholdRecord] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def choose(
    manifest: Manifest,
    policy: Policy,
    plan: Plan,
    store: Store,
    cards: Mapping[str, DetectorCard],
) -> Choice:
    """Choose each detector's threshold from stored scores.

    Where a card names training generators that the split holds, only these and their paired reals
    count: a threshold is set on what the detector was made for, not on what it is tested with.
    """
    table = manifest.table.select(["label", "generator"]).to_pandas()
    rows = np.concatenate([chunk.rows for chunk in plan.chunks])
    images = _Images(
        table["label"].to_numpy()[rows], table["generator"].to_numpy()[rows], manifest.pairing
    )
    sample_ids = manifest.table["sample_id"]
    ids = {chunk.index: sample_ids.take(chunk.rows).combine_chunks() for chunk in plan.chunks}
    choice = Choice()
    for label, card in cards.items():
        units = [unit for unit in plan.units if unit.detector == label]
        if not all(store.has(unit.fingerprint) for unit in units):
            choice.refused[label] = "the calibration images could not be scored"
            continue
        shards = [store.read(unit.fingerprint, ids[unit.chunk]) for unit in units]
        logits = np.concatenate(
            [shard["logit"].to_numpy(zero_copy_only=False) for shard in shards]
        ).astype(np.float32)
        generators = (
            () if policy.kind == "oracle" else _training_generators(card, images.generators)
        )
        try:
            choice.thresholds[label] = _threshold(policy, images, logits, generators)
        except ValueError as error:
            choice.refused[label] = f"threshold {policy}: {error}"
    return choice


def given(policy: Policy, labels: Iterable[str]) -> dict[str, ThresholdRecord]:
    """Give every detector the threshold that a person set; it was chosen on no image."""
    record = ThresholdRecord(value=policy.value, n_real=0, n_fake=0)
    return dict.fromkeys(labels, record)


@dataclass(frozen=True, slots=True)
class _Images:
    """Labels and names of the n calibration images, and which reals belong to which generator."""

    labels: NDArray[np.int64]
    names: NDArray[np.object_]
    pairing: Mapping[str, Sequence[str]]

    @property
    def generators(self) -> set[str]:
        return set(self.names[self.labels == 1])


def _threshold(
    policy: Policy, images: _Images, logits: NDArray[np.float32], generators: tuple[str, ...]
) -> ThresholdRecord:
    """Choose one detector's threshold on some generators; an empty tuple takes all of them."""
    fakes = generators or tuple(images.pairing)
    reals = [source for generator in fakes for source in images.pairing.get(generator, ())]
    paired = np.where(
        images.labels == 1, np.isin(images.names, fakes), np.isin(images.names, reals)
    )
    keep = np.isfinite(logits) & paired
    value = policy.choose(images.labels[keep], logits[keep])
    n_fake = int(np.count_nonzero(images.labels[keep]))
    return ThresholdRecord(
        value=value, n_real=int(keep.sum()) - n_fake, n_fake=n_fake, generators=generators
    )


def _training_generators(card: DetectorCard, present: set[str]) -> tuple[str, ...]:
    data = card.training_data
    if data is None:
        return ()
    return tuple(sorted(name for name in present if is_among(name, data.generators)))


def failures(refused: Mapping[str, str], conditions: Sequence[str]) -> list[Failure]:
    """Make the failed cells of detectors without a threshold: one under every condition."""
    return [
        Failure(
            detector=detector,
            condition=condition,
            status="failed",
            reason=f"no threshold: {reason}",
        )
        for detector, reason in refused.items()
        for condition in conditions
    ]
