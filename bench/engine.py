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
from bench.adaptive import behind
from bench.attacking import Attacked, Job, Setting, attack_all, families, surrogate_logits
from bench.batches import Batch, batches
from bench.columns import Columns, both, differs, to_hwc
from bench.condition import Condition, Step
from bench.datasets import ImageRecord
from bench.decoding import DecodedChunk
from bench.seeding import generator_for
from corruptions.base import Corruption
from detectors.base import Detector

if TYPE_CHECKING:
    from bench.plan import Unit

Image = NDArray[np.uint8]


class BatchTooLargeError(RuntimeError):
    """The device ran out of memory; the run halves this detector's batch and plans anew."""

    def __init__(self, detector: str) -> None:
        super().__init__(f"out of memory for {detector}")
        self.detector = detector


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
        surrogates: By name: detectors whose gradient is taken for another, on the same device.
        counts: Work done so far.
    """

    detectors: Mapping[str, Detector]
    conditions: Mapping[str, Condition]
    batch_size: Mapping[str, int]
    device: torch.device
    precision: Literal["fp32", "bf16"]
    seed: int
    pool: Executor
    thresholds: Mapping[str, float] = field(default_factory=dict)
    surrogates: Mapping[str, Detector] = field(default_factory=dict)
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

    def first_attacked(
        self, chunk: DecodedChunk, unit: Unit
    ) -> list[tuple[ImageRecord, Image, Image]]:
        """Record, clean and attacked canvas of the first batch's attacked images; none on failure."""
        before = self._corrupt(chunk, chunk.images, self._of(unit).before, first=0)
        detector = self.detectors[unit.detector]
        canvases = [None if image is None else detector.fit(image) for image in before]
        batch = next(iter(batches(canvases, self.batch_size[unit.detector])), None)
        rows = [] if batch is None else batch.rows.tolist()
        chosen = [c if row in rows else None for row, c in enumerate(canvases)]
        done = self._attack(chunk, chosen, [unit])[unit.condition]
        if not isinstance(done, Attacked) or done.error is not None:
            return []
        return [
            (chunk.records[row], clean, to_hwc(done.moved[row]).transpose(2, 0, 1))
            for row in rows
            if (clean := canvases[row]) is not None and not np.isnan(done.linf[row])
        ]

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
        for family in families(units, self.conditions, free_clean=self.precision == "fp32"):
            try:
                attacked = self._attack(chunk, canvases, family)
            except torch.OutOfMemoryError as error:
                raise BatchTooLargeError(label) from error
            for unit in family:
                try:
                    yield Scored(unit, self._score_unit(chunk, images, canvases, unit, attacked))
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
        attacked: Mapping[str, Attacked | NDArray[np.float32]],
    ) -> pa.Table:
        condition = self._of(unit)
        detector, size = self.detectors[unit.detector], self.batch_size[unit.detector]
        columns = Columns.empty(len(chunk.records))
        if condition.before:
            columns.changed = [differs(a, b) for a, b in zip(chunk.images, images, strict=True)]
        if condition.attack is not None:
            done = attacked[unit.condition]
            assert isinstance(done, Attacked)
            if done.error is not None:
                raise done.error
            canvases = done.moved
            columns.fill(done)
        if condition.after:
            canvases = self._after(chunk, canvases, condition, columns)
        elif condition.attack is None and isinstance(
            known := attacked.get(unit.condition), np.ndarray
        ):
            columns.logit[:] = known
            self.counts.scored += sum(canvas is not None for canvas in canvases)
            return columns.table(chunk.records, chunk.bad)
        for batch in batches(canvases, size):
            logits = self._forward(detector, batch)
            columns.logit[batch.rows] = logits[: len(batch.rows)]
            self.counts.scored += len(batch.rows)
        return columns.table(chunk.records, chunk.bad)

    def _forward(self, detector: Detector, batch: Batch) -> NDArray[np.float32]:
        low = self.precision == "bf16"
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=low),
        ):
            logits = detector.checked_logits(batch.tensor(self.device))
        return logits.cpu().numpy()

    def _attack(
        self, chunk: DecodedChunk, canvases: Sequence[Image | None], family: Sequence[Unit]
    ) -> dict[str, Attacked | NDArray[np.float32]]:
        """By condition: what its attack did, or the clean logits that came with the gradient."""
        found: dict[str, Attacked | NDArray[np.float32]] = {}
        jobs: dict[str, Job] = {}
        for unit in family:
            condition = self._of(unit)
            if condition.attack is None:
                continue
            try:
                jobs[unit.condition] = self._job(unit)
            except Exception as error:  # told where the unit is scored
                found[unit.condition] = Attacked.nothing(len(canvases))
                found[unit.condition].error = error  # type: ignore[union-attr]
        label = family[0].detector
        setting = Setting(
            self.detectors[label].checked_logits,
            self.batch_size[label],
            self.device,
            self.seed,
            self.thresholds.get(label, 0.0),
        )
        done, clean = attack_all(list(jobs.values()), canvases, chunk.records, setting)
        found |= dict(zip(jobs, done, strict=True))
        if clean is not None:
            found |= {u.condition: clean for u in family if self._of(u).attack is None}
        return found

    def _job(self, unit: Unit) -> Job:
        condition, detector = self._of(unit), self.detectors[unit.detector]
        attack, position = condition.attack, len(condition.before)
        assert attack is not None
        name = getattr(attack, "surrogate", None)
        giver = detector if name is None else self.surrogates[name]
        if attack.needs_gradient and not giver.card.differentiable:
            raise NotAttackableError("its card says that its gradient means nothing")
        gradient = detector.checked_logits if name is None else surrogate_logits(giver)
        purpose = _purpose(position, condition.steps[position])
        aware = condition.after if getattr(attack, "aware", False) else ()
        return Job(attack, purpose, lambda: behind(gradient, aware, self.seed, purpose))

    def _after(
        self,
        chunk: DecodedChunk,
        canvases: Sequence[Any],
        condition: Condition,
        columns: Columns,
    ) -> list[Image | None]:
        """Corrupt the attacked canvases; a file holds 8 bits, so that is what is corrupted."""
        pictures = [None if c is None else to_hwc(c) for c in canvases]
        corrupted = self._corrupt(chunk, pictures, condition.after, first=len(condition.before) + 1)
        turned = [differs(a, b) for a, b in zip(pictures, corrupted, strict=True)]
        columns.changed = (
            turned
            if not condition.before
            else [both(a, b) for a, b in zip(columns.changed, turned, strict=True)]
        )
        return [
            None if c is None else np.ascontiguousarray(c.transpose(2, 0, 1)) for c in corrupted
        ]


def _failed(unit: Unit, error: Exception) -> Failed:
    text = " ".join(str(error).split())[:300]
    return Failed(
        unit, "failed", f"{type(error).__name__}: {text}" if text else type(error).__name__
    )


def _purpose(position: int, step: Step) -> str:
    return f"{position}:{step.spell(resolved=True)}"
