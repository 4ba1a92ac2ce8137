"""Choosing each detector's threshold from clean scores of a validation split, before anything else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.datasets import Manifest
from bench.errors import BenchError
from bench.protocol.threshold import Policy
from bench.store import units as planning
from bench.store.rundir import Failure, ThresholdRecord
from bench.store.shards import Store
from bench.store.units import Chunk, Plan
from detectors.card import DetectorCard


def calibration_chunks(
    manifest: Manifest, policy: Policy, chunks: Sequence[Chunk], limit: int | None, seed: int
) -> tuple[Chunk, ...]:
    """The chunks that thresholds are chosen on; none for logit 0, the scored ones for an oracle.

    Raises:
        BenchError: The split is not there, or is among the scored images.
    """
    if policy.kind == "zero":
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


def choose(
    manifest: Manifest,
    policy: Policy,
    plan: Plan,
    store: Store,
    cards: dict[str, DetectorCard],
) -> tuple[dict[str, ThresholdRecord], list[tuple[str, str]]]:
    """Each detector's threshold, from stored scores.

    Where a card names training generators that the split holds, only these and their paired reals
    count: a threshold is set on what the detector was made for, not on what it is tested with.

    Returns:
        Thresholds by detector, and (detector, reason) for those that have none.
    """
    table = manifest.table.select(["label", "generator"]).to_pandas()
    rows = np.concatenate([chunk.rows for chunk in plan.chunks])
    labels, names = table["label"].to_numpy()[rows], table["generator"].to_numpy()[rows]
    found: dict[str, ThresholdRecord] = {}
    failed: list[tuple[str, str]] = []
    for label, card in cards.items():
        units = [unit for unit in plan.units if unit.detector == label]
        if not all(store.has(unit.fingerprint) for unit in units):
            failed.append((label, "the calibration images could not be scored"))
            continue
        logits = np.concatenate(
            [store.read(u.fingerprint)["logit"].to_numpy(zero_copy_only=False) for u in units]
        ).astype(np.float32)
        generators = () if policy.kind == "oracle" else _seen(card, set(names[labels == 1]))
        keep = np.isfinite(logits)
        fakes = generators or tuple(manifest.pairing)
        reals = [source for g in fakes for source in manifest.pairing.get(g, ())]
        keep &= np.where(labels == 1, np.isin(names, fakes), np.isin(names, reals))
        try:
            value = policy.choose(labels[keep], logits[keep])
        except ValueError as error:
            failed.append((label, f"threshold {policy}: {error}"))
            continue
        n_fake = int(np.count_nonzero(labels[keep]))
        found[label] = ThresholdRecord(
            value=value, n_real=int(keep.sum()) - n_fake, n_fake=n_fake, generators=generators
        )
    return found, failed


def _seen(card: DetectorCard, present: set[str]) -> tuple[str, ...]:
    data = card.training_data
    return () if data is None else tuple(sorted(present.intersection(data.generators)))


def failures(failed: Sequence[tuple[str, str]], conditions: Sequence[str]) -> list[Failure]:
    """A detector without a threshold has no cell anywhere."""
    return [
        Failure(
            detector=detector,
            condition=condition,
            status="failed",
            reason=f"no threshold: {reason}",
        )
        for detector, reason in failed
        for condition in conditions
    ]
