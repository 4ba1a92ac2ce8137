"""Which work there is: samples x detectors x conditions, cut into units with fingerprints. Pure.

A unit is (chunk of images, detector, condition): the thing that is scored, stored, resumed and sent to a
worker. Its fingerprint covers all that can change a score in it, so a plan compared with a store says exactly
what is left to do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.store.provenance import file_digests, fingerprint, source_digest

if TYPE_CHECKING:
    from bench.datasets.manifest import Manifest
    from bench.protocol.condition import Condition

CHUNK_IMAGES = 256
# Part of the environment that matters to bf16 arithmetic only.
BF16_UNITS = "bf16_units"
# Decoded pixels a chunk may hold: 32 megapixels are 96 MB, whatever the images' size.
CHUNK_PIXELS = 32_000_000


@dataclass(frozen=True, slots=True)
class Chunk:
    """A run of selected images in manifest order.

    Attributes:
        index: Position among the chunks.
        rows: (n,) int64 rows of the manifest.
        digest: Hash over ids, labels and content of the images.
    """

    index: int
    rows: NDArray[np.int64]
    digest: str


@dataclass(frozen=True, slots=True)
class Unit:
    """One chunk under one condition for one detector."""

    chunk: int
    detector: str
    condition: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Settings:
    """What is the same for every unit of a run and can change a score.

    Attributes:
        seed: Seed of noise and random starts; counts only under conditions that draw.
        environment: See :func:`bench.store.provenance.scoring_environment`.
        decode: Digest of the decode policy.
        surrogates: Name to identity of the detectors whose gradients are taken for others.
    """

    seed: int
    environment: Mapping[str, Any]
    decode: str
    surrogates: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlannedDetector:
    """What the plan needs to know of a detector.

    Attributes:
        label: What boards call it.
        identity: A digest over all that decides its logits.
        batch_size: Images in a batch.
        threshold: Logit above which an image is called fake.
        scores: Form of the arithmetic that scores, ``fp32`` or ``bf16``.
        gradients: Form of the gradients that attacks climb.
    """

    label: str
    identity: str
    batch_size: int
    threshold: float = 0.0
    scores: str = "fp32"
    gradients: str = "fp32"


@dataclass(frozen=True, slots=True)
class Plan:
    """Every unit of a run, chunk-major."""

    chunks: tuple[Chunk, ...]
    units: tuple[Unit, ...]
    images: int
    by_chunk: Mapping[int, tuple[Unit, ...]] = field(repr=False)


def select(manifest: Manifest, split: str, limit: int | None, seed: int) -> NDArray[np.int64]:
    """Select the rows of the manifest to score, in manifest order.

    Args:
        manifest: The data set.
        split: Split to take; ``""`` takes all. A set without splits is taken whole.
        limit: At most about so many images, stratified over label, generator and domain.
        seed: Decides which images a limit keeps, together with their ids only.

    Returns:
        (n,) int64 row indices, ascending.

    Raises:
        NothingSelectedError: If nothing is left; says which splits there are.
    """
    rows = manifest.rows(split)
    if limit is None or limit >= len(rows):
        return rows
    part = manifest.table.select(["label", "generator", "domain"]).take(rows).to_pandas()
    strata = part.groupby(["label", "generator", "domain"], sort=True).indices
    quotas = _quotas(np.array([len(strata[key]) for key in sorted(strata)]), limit)
    ids, kept = manifest.table["sample_id"], []
    for key, quota in zip(sorted(strata), quotas, strict=True):
        stratum = rows[strata[key]]
        orders = [_order(seed, sample_id) for sample_id in ids.take(stratum).to_pylist()]
        kept += [stratum[i] for i in sorted(range(len(stratum)), key=orders.__getitem__)[:quota]]
    return np.sort(np.asarray(kept, dtype=np.int64))


def _quotas(sizes: NDArray[np.int64], limit: int) -> list[int]:
    """Share ``limit`` over strata by size, largest remainder, at least one each."""
    exact = sizes * (limit / sizes.sum())
    quotas = np.maximum(np.floor(exact).astype(int), 1)
    for position in np.argsort(-(exact - np.floor(exact)), kind="stable"):
        if quotas.sum() >= limit:
            break
        quotas[position] += 1
    return [int(quota) for quota in np.minimum(quotas, sizes)]


def _order(seed: int, sample_id: str) -> bytes:
    return hashlib.sha256(f"limit\0{seed}\0{sample_id}".encode()).digest()


def cut(manifest: Manifest, rows: NDArray[np.int64]) -> tuple[Chunk, ...]:
    """Cut the selected rows into chunks of bounded memory."""
    return number(manifest, [rows[start:stop] for start, stop in bounds(manifest, rows)])


def bounds(manifest: Manifest, rows: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Give start and end of runs of rows, each of which fits into memory decoded."""
    table = manifest.table
    pixels = table["width"].to_numpy().astype(np.int64)[rows] * table["height"].to_numpy()[rows]
    starts, used = [0], 0
    for position, size in enumerate(pixels):
        full = position - starts[-1] >= CHUNK_IMAGES or used + size > CHUNK_PIXELS
        if full and position > starts[-1]:
            starts.append(position)
            used = 0
        used += int(size)
    return list(zip(starts, [*starts[1:], len(rows)], strict=True))


def chunk_images(pixels: int) -> int:
    """Count the images that a chunk holds where each has so many pixels; see :func:`bounds`."""
    return max(1, min(CHUNK_IMAGES, CHUNK_PIXELS // pixels))


def number(manifest: Manifest, parts: Sequence[NDArray[np.int64]]) -> tuple[Chunk, ...]:
    """Make chunks of parts of the selected rows, each ascending."""
    return tuple(Chunk(index, rows, _digest(manifest, rows)) for index, rows in enumerate(parts))


def _digest(manifest: Manifest, rows: NDArray[np.int64]) -> str:
    names = ("sample_id", "label", "sha256", "bytes")
    part = manifest.table.select(names)
    whole = len(rows) == rows[-1] - rows[0] + 1  # a slice copies nothing
    part = part.slice(rows[0], len(rows)) if whole else part.take(rows)
    return fingerprint([part[name].to_pylist() for name in names])


def build(
    chunks: Sequence[Chunk],
    detectors: Sequence[PlannedDetector],
    conditions: Sequence[Condition],
    settings: Settings,
) -> Plan:
    """Lay out every unit with its fingerprint.

    Args:
        chunks: Chunks of the selected images, from :func:`cut`.
        detectors: Detectors in board order.
        conditions: Conditions in board order.
        settings: What can change a score and is the same for every unit of the run.
    """
    common = {"environment": dict(settings.environment), "decode": settings.decode}
    described = {str(condition): _described(condition, settings) for condition in conditions}
    by_chunk = {
        chunk.index: tuple(
            Unit(
                chunk.index,
                detector.label,
                spelled,
                _unit_fingerprint(common, chunk, detector, condition),
            )
            for detector in detectors
            for spelled, condition in described.items()
        )
        for chunk in chunks
    }
    units = tuple(unit for chunk in chunks for unit in by_chunk[chunk.index])
    return Plan(tuple(chunks), units, sum(len(chunk.rows) for chunk in chunks), by_chunk)


@dataclass(frozen=True, slots=True)
class _Described:
    """All of a condition that can change a score.

    Attributes:
        facts: Parameters, code and surrogate; the seed where a step draws.
        decides: Whether a step needs to know what is called fake: an attack or a certificate.
        climbs: Whether an attack's gradients may be of another form than scores.
    """

    facts: Mapping[str, Any]
    decides: bool
    climbs: bool


def _described(condition: Condition, settings: Settings) -> _Described:
    facts: dict[str, Any] = {
        "condition": condition.resolved,
        "code": [source_digest(step.plugin) for step in condition.chain],
    }
    if condition.draws:
        facts["seed"] = settings.seed
    if digests := file_digests(condition):
        facts["files"] = digests
    if condition.surrogates:
        # Other weights of a surrogate, other pictures. Which one is left out, the target's identity says.
        known = [settings.surrogates[name] for name in condition.surrogates]
        facts["surrogate"] = known[0] if len(known) == 1 else known
    return _Described(facts, condition.asks_again, condition.climbs)


def _unit_fingerprint(
    common: Mapping[str, Any], chunk: Chunk, detector: PlannedDetector, condition: _Described
) -> str:
    environment = {**common["environment"], "precision": detector.scores}
    climbed = {"gradients": detector.gradients} if condition.climbs else {}
    if {detector.scores, *climbed.values()} == {"fp32"}:
        environment.pop(BF16_UNITS, None)
    # Only attacks and certificates need to know which side of the threshold an image is on.
    moved = condition.decides and detector.threshold
    return fingerprint(
        {
            **common,
            "environment": environment,
            **condition.facts,
            # Only where they differ: with gradients as ever, scores are filed as ever.
            **(climbed if climbed.get("gradients") == "bf16" else {}),
            **({"threshold": detector.threshold} if moved else {}),
            "chunk": chunk.digest,
            "detector": detector.identity,
            "batch_size": detector.batch_size,
        }
    )


def weight(condition: Condition) -> int:
    """Count the forward passes that one image costs under a condition, gradients counted as several.

    The attack says what it costs; that it may share a gradient, and the probes, are left out.
    """
    if condition.certificate is not None:
        return condition.certificate.queries
    return 1 if condition.attack is None else 1 + condition.attack.passes


def work(
    chunks: Sequence[Chunk], todo: Mapping[int, Sequence[Unit]], conditions: Mapping[str, Condition]
) -> int:
    """Count the forward passes that the units in ``todo`` (by chunk) cost together."""
    return sum(
        len(chunk.rows) * weight(conditions[unit.condition])
        for chunk in chunks
        for unit in todo[chunk.index]
    )
