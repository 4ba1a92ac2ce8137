"""The hot path: one decoded chunk of images to scores for all its (detector, condition) pairs.

Decode once, corrupt once for all detectors, fit once for all conditions of a detector. Nothing here knows
of files, progress or boards; a unit that fails says why and leaves the others alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from attacks.base import NotAttackableError
from bench import store
from bench.batches import Batch, batches
from bench.condition import Condition, Step
from bench.datasets import BadImageError, DecodePolicy, ImageRecord, Manifest, load
from bench.seeding import generator_for, seed_for
from corruptions.base import Corruption
from detectors.base import Detector

if TYPE_CHECKING:
    from bench.plan import Chunk, Unit

Image = NDArray[np.uint8]


class BatchTooLargeError(RuntimeError):
    """The device ran out of memory; the run halves this detector's batch and plans anew."""

    def __init__(self, detector: str) -> None:
        super().__init__(f"out of memory for {detector}")
        self.detector = detector


@dataclass(frozen=True, slots=True)
class DecodedChunk:
    """The images of one chunk, decoded.

    Attributes:
        records: One an image.
        images: (H, W, 3) uint8 each; ``None`` where it could not be decoded.
        bad: The reason, where it could not.
    """

    records: tuple[ImageRecord, ...]
    images: tuple[Image | None, ...]
    bad: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Scored:
    """A unit that worked: its shard's table, in chunk order."""

    unit: Unit
    scores: pa.Table


@dataclass(frozen=True, slots=True)
class Failed:
    """A unit that did not: nothing is stored, the cell says why."""

    unit: Unit
    status: Literal["failed", "not attackable"]
    reason: str


@dataclass(slots=True)
class Counts:
    """Work done so far, for tests and profiles: images decoded, canvases sent through a network."""

    decoded: int = 0
    scored: int = 0


def decode_chunk(
    manifest: Manifest, chunk: Chunk, policy: DecodePolicy, pool: Executor
) -> DecodedChunk:
    """Read and decode every image of a chunk, in threads.

    Raises:
        DataError: If a file changed since it was indexed: the scores would carry the wrong digest.
    """
    records = tuple(manifest.records(chunk.rows))

    def read(record: ImageRecord) -> tuple[Image | None, str | None]:
        try:
            return load(manifest.root, record, policy), None
        except BadImageError as error:
            return None, str(error)

    done = list(pool.map(read, records))
    return DecodedChunk(records, tuple(image for image, _ in done), tuple(bad for _, bad in done))


@dataclass(slots=True)
class Engine:
    """Detectors on a device, ready to score chunks.

    Attributes:
        detectors: By label, already moved to ``device``.
        conditions: By canonical spelling.
        batch_size: By label.
        device: Where networks run.
        precision: ``fp32``, or ``bf16`` for the forward pass; gradients of attacks are always fp32.
        seed: The run's.
        pool: Threads for corruptions and geometry.
        thresholds: By label, where it is not 0: attacks must know when they have won.
    """

    detectors: Mapping[str, Detector]
    conditions: Mapping[str, Condition]
    batch_size: Mapping[str, int]
    device: torch.device
    precision: Literal["fp32", "bf16"]
    seed: int
    pool: Executor
    thresholds: Mapping[str, float] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)

    def score(self, chunk: DecodedChunk, units: Sequence[Unit]) -> Iterator[Scored | Failed]:
        """Score one chunk under the given units.

        Args:
            chunk: Decoded images.
            units: Units of this chunk, in any order.

        Yields:
            One outcome a unit. Units that share corruptions are worked on together.

        Raises:
            BatchTooLargeError: If the device's memory does not hold a batch.
        """
        self.counts.decoded += sum(image is not None for image in chunk.images)
        before = {u: "+".join(s.spell(resolved=True) for s in self._of(u).before) for u in units}
        order = list(dict.fromkeys(before.values()))
        ranked = sorted(units, key=lambda u: (order.index(before[u]), u.detector))
        for _, same in itertools.groupby(ranked, key=lambda u: before[u]):
            group = list(same)
            try:
                images = self._corrupt(chunk, chunk.images, self._of(group[0]).before, first=0)
            except Exception as error:  # a plug-in may raise anything; the others go on
                yield from (_failed(unit, error) for unit in group)
                continue
            for label, mine in itertools.groupby(group, key=lambda u: u.detector):
                yield from self._score_detector(chunk, images, label, list(mine))

    def _of(self, unit: Unit) -> Condition:
        return self.conditions[unit.condition]

    def _corrupt(
        self,
        chunk: DecodedChunk,
        images: Sequence[Image | None],
        steps: tuple[Step, ...],
        first: int,
    ) -> list[Image | None]:
        def chain(job: tuple[Image | None, ImageRecord]) -> Image | None:
            image, record = job
            for position, step in enumerate(steps, start=first):
                if image is None:
                    return None
                rng = generator_for(self.seed, _purpose(position, step), record.sample_id)
                image = cast(Corruption, step.plugin)(image, rng)
            return image

        if not steps:
            return list(images)
        return list(self.pool.map(chain, zip(images, chunk.records, strict=True)))

    def _score_detector(
        self, chunk: DecodedChunk, images: Sequence[Image | None], label: str, units: Sequence[Unit]
    ) -> Iterator[Scored | Failed]:
        detector = self.detectors[label]
        try:
            canvases = list(self.pool.map(lambda i: None if i is None else detector.fit(i), images))
        except Exception as error:  # the user's own code may raise anything
            yield from (_failed(unit, error) for unit in units)
            return
        for unit in units:
            try:
                yield Scored(unit, self._score_unit(chunk, images, canvases, unit))
            except torch.OutOfMemoryError as error:
                raise BatchTooLargeError(label) from error
            except NotAttackableError as error:
                yield Failed(unit, "not attackable", str(error))
            except Exception as error:  # the user's own code may raise anything
                yield _failed(unit, error)

    def _score_unit(
        self,
        chunk: DecodedChunk,
        images: Sequence[Image | None],
        canvases: Sequence[Image | None],
        unit: Unit,
    ) -> pa.Table:
        condition = self._of(unit)
        detector, size = self.detectors[unit.detector], self.batch_size[unit.detector]
        columns = _Columns.empty(len(chunk.records))
        if condition.before:
            columns.changed = [_differs(a, b) for a, b in zip(chunk.images, images, strict=True)]
        if condition.attack is not None:
            if not detector.card.differentiable:
                raise NotAttackableError("its card says that its gradient means nothing")
            canvases = self._attack(chunk, canvases, unit, columns)
        if condition.after:
            canvases = self._after(chunk, canvases, condition, columns)
        for batch in batches(canvases, size):
            logits = self._forward(detector, batch)
            columns.logit[batch.rows] = logits[: len(batch.rows)]
            self.counts.scored += len(batch.rows)
        return columns.table(chunk)

    def _forward(self, detector: Detector, batch: Batch) -> NDArray[np.float32]:
        low = self.precision == "bf16"
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=low),
        ):
            logits = detector.checked_logits(batch.tensor(self.device))
        return logits.cpu().numpy()

    def _attack(
        self, chunk: DecodedChunk, canvases: Sequence[Image | None], unit: Unit, columns: _Columns
    ) -> list[Any]:
        """Attack every canvas; fills ``linf``, ``l2``, ``steps``; returns what the detector will see."""
        condition, detector = self._of(unit), self.detectors[unit.detector]
        attack, position = condition.attack, len(condition.before)
        assert attack is not None
        purpose = _purpose(position, condition.steps[position])
        moved: list[Any] = [None] * len(canvases)
        for batch in batches(canvases, self.batch_size[unit.detector]):
            records = [chunk.records[i] for i in batch.index]
            done = attack(
                detector.checked_logits,
                batch.tensor(self.device),
                torch.tensor([r.label for r in records], device=self.device),
                [seed_for(self.seed, purpose, r.sample_id) for r in records],
                threshold=self.thresholds.get(unit.detector, 0.0),
            )
            count = len(batch.rows)
            attacked = done.attacked[:count].cpu().numpy()
            for name in ("linf", "l2", "steps"):
                values = getattr(done, name)[:count].cpu().numpy().astype(np.float64)
                getattr(columns, name)[batch.rows] = np.where(attacked, values, np.nan)
            adversarial = done.adversarial[:count].cpu().numpy()
            for row, image in zip(batch.rows, adversarial, strict=True):
                moved[row] = np.round(image * 255).astype(np.uint8) if attack.quantize else image
        return moved

    def _after(
        self,
        chunk: DecodedChunk,
        canvases: Sequence[Any],
        condition: Condition,
        columns: _Columns,
    ) -> list[Image | None]:
        """Corrupt the attacked canvases; a file holds 8 bits, so that is what is corrupted."""
        pictures = [None if c is None else _to_hwc(c) for c in canvases]
        corrupted = self._corrupt(chunk, pictures, condition.after, first=len(condition.before) + 1)
        differs = [_differs(a, b) for a, b in zip(pictures, corrupted, strict=True)]
        columns.changed = (
            differs
            if not condition.before
            else [_and(a, b) for a, b in zip(columns.changed, differs, strict=True)]
        )
        return [
            None if c is None else np.ascontiguousarray(c.transpose(2, 0, 1)) for c in corrupted
        ]


@dataclass(slots=True)
class _Columns:
    """A shard's columns while they are being filled; nan or None is null."""

    logit: NDArray[np.float32]
    changed: list[bool | None]
    linf: NDArray[np.float64]
    l2: NDArray[np.float64]
    steps: NDArray[np.float64]

    @classmethod
    def empty(cls, n: int) -> _Columns:
        blank = [np.full(n, np.nan) for _ in range(3)]
        return cls(np.full(n, np.nan, dtype=np.float32), [None] * n, *blank)

    def table(self, chunk: DecodedChunk) -> pa.Table:
        missing = [
            record.sample_id
            for record, bad, logit in zip(chunk.records, chunk.bad, self.logit, strict=True)
            if bad is None and not np.isfinite(logit)
        ]
        if missing:
            raise RuntimeError(f"{len(missing)} images were not scored, first {missing[0]!r}")
        return pa.table(
            {
                "sample_id": [record.sample_id for record in chunk.records],
                "logit": pa.array(self.logit, from_pandas=True),
                "bad": list(chunk.bad),
                "changed": self.changed,
                "linf": pa.array(self.linf, from_pandas=True),
                "l2": pa.array(self.l2, from_pandas=True),
                "steps": pa.array(self.steps, from_pandas=True),
            },
            schema=None,
        ).cast(store.SCHEMA)


def _failed(unit: Unit, error: Exception) -> Failed:
    text = " ".join(str(error).split())[:300]
    return Failed(
        unit, "failed", f"{type(error).__name__}: {text}" if text else type(error).__name__
    )


def _purpose(position: int, step: Step) -> str:
    return f"{position}:{step.spell(resolved=True)}"


def _differs(a: Image | None, b: Image | None) -> bool | None:
    return None if a is None or b is None else not np.array_equal(a, b)


def _and(a: bool | None, b: bool | None) -> bool | None:
    return None if a is None or b is None else a and b


def _to_hwc(canvas: Any) -> Image:
    pixels = canvas if canvas.dtype == np.uint8 else np.round(canvas * 255).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(1, 2, 0))
