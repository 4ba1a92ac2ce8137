"""One group of images to scores: networks, attacks, and what is corrupted after an attack.

Corrupted once for all detectors, fitted once for all detectors of one geometry. A unit that fails says why
and leaves the others alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from attacks.base import NotAttackableError
from bench.inference.networks import Networks, Submitted
from bench.inference.profiling import Stopwatch
from bench.inference.replicas import Replicas
from bench.inference.threads import Lanes
from bench.protocol.condition import Condition
from bench.scoring.attack_job import Attacked, Job, Setting
from bench.scoring.attacking import attack_all, families
from bench.scoring.canvases import (
    Ready,
    Workshop,
    both,
    corrupt,
    differs,
    geometry,
    make_ready,
    purpose,
    to_hwc,
)
from bench.scoring.decoding import DecodedChunk, Image
from bench.scoring.logit_functions import behind, surrogate_logits
from bench.scoring.unit_columns import Columns
from detectors.base import Detector

if TYPE_CHECKING:
    from bench.store.units import Unit


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


@dataclass(frozen=True, slots=True)
class Group:
    """Units of one chunk with the same corruptions of the source image."""

    chunk: DecodedChunk
    units: tuple[Unit, ...]


@dataclass(frozen=True, slots=True)
class _Family:
    """Units of one detector that share work.

    Attributes:
        units: They.
        chunk: Its images.
        ready: ... behind the corruptions.
        canvases: ... as the detector takes them.
        early: Its batches, where they could be handed in at once.
    """

    units: list[Unit]
    chunk: DecodedChunk
    ready: Ready
    canvases: list[Image | None]
    early: Submitted | None


@dataclass(slots=True)
class Scorer:
    """Detectors on a device, ready to score chunks.

    Attributes:
        detectors: By label, already moved to ``device``.
        conditions: By canonical spelling.
        batch_size: By label.
        device: Where networks run.
        precision: ``fp32``, or ``bf16`` for the forward pass; gradients of attacks are always fp32.
        seed: The run's.
        pool: Threads for decoded images and, on a CPU, for networks: one batch a thread.
        thresholds: By label, where it is not 0: attacks must know when they have won.
        surrogates: By name: detectors whose gradient is taken for another, on the same device.
        threads: CPU threads for a network that only one thread at a time may run.
        compile: Score with compiled networks; gradients keep the plain ones.
        watch: Told where the time goes.
        networks: The detectors, for as many threads as may ask them.
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
    threads: int = field(default_factory=torch.get_num_threads)
    compile: bool = False
    watch: Stopwatch = field(default_factory=Stopwatch)
    networks: Networks = field(init=False)
    _workshop: Workshop = field(init=False)

    def __post_init__(self) -> None:
        several = (*self.detectors.values(), *self.surrogates.values())
        lanes = Lanes(self.pool, self.threads)
        self._workshop = Workshop(self.seed, lanes, self.watch)
        self.networks = Networks.of(several, self.device, self.precision, lanes, self.watch)
        for label, detector in self.detectors.items() if self.compile else ():
            self.networks.compile(detector, self.batch_size[label])

    @property
    def lanes(self) -> Lanes:
        """The threads."""
        return self._workshop.lanes

    def of(self, unit: Unit) -> Condition:
        """A unit's condition."""
        return self.conditions[unit.condition]

    def canvases(self, group: Group) -> tuple[Ready, dict[str, Hashable]]:
        """A group's images behind its corruptions, and each detector's geometry among them."""
        labels = dict.fromkeys(unit.detector for unit in group.units)
        keys = {label: geometry(label, self.detectors[label]) for label in labels}
        fits = {key: self.detectors[label] for label, key in keys.items()}
        steps = self.of(group.units[0]).before
        return make_ready(group.chunk, steps, fits, self._workshop), keys

    def score_group(self, group: Group) -> Iterator[Scored | Failed]:
        """One outcome a unit.

        Raises:
            BatchTooLargeError: If the device's memory does not hold a batch.
        """
        ready, keys = self.canvases(group)
        several: list[_Family] = []
        for label, mine in itertools.groupby(group.units, key=lambda u: u.detector):
            units, key = list(mine), keys[label]
            error = ready.error or ready.unfit.get(key)
            if error is not None:
                yield from (_failed(unit, error) for unit in units)
                continue
            # The clean logits that come with a gradient are those of the plain network.
            plain = self.precision == "fp32" and not self.compile
            for some in families(units, self.conditions, free_clean=plain):
                attacks = len(some) > 1 or self.of(some[0]).attack is not None
                images = ready.canvases[key]
                early = None if attacks else self._submit(label, images)
                several.append(_Family(some, group.chunk, ready, images, early))
        for family in several:
            yield from self._score_family(family)

    def _score_family(self, family: _Family) -> Iterator[Scored | Failed]:
        label = family.units[0].detector
        try:
            attacked = (
                {}
                if family.early is not None
                else self.attack(family.chunk, family.canvases, family.units)
            )
        except torch.OutOfMemoryError as error:
            raise BatchTooLargeError(label) from error
        for unit in family.units:
            try:
                yield Scored(unit, self._score_unit(unit, family, attacked.get(unit.condition)))
            except torch.OutOfMemoryError as error:
                raise BatchTooLargeError(label) from error
            except NotAttackableError as error:
                yield Failed(unit, "not attackable", str(error))
            except Exception as error:  # the user's own code may raise anything
                yield _failed(unit, error)

    def _score_unit(
        self, unit: Unit, family: _Family, known: Attacked | NDArray[np.float32] | None
    ) -> pa.Table:
        condition, chunk = self.of(unit), family.chunk
        columns = Columns.empty(len(chunk.records))
        columns.changed = list(family.ready.changed)
        canvases: Sequence[Any] = family.canvases
        if isinstance(known, Attacked):
            if known.error is not None:
                raise known.error
            canvases = known.moved
            columns.fill(known)
        if condition.after:
            canvases = self._after(chunk, canvases, condition, columns)
        if isinstance(known, np.ndarray):
            columns.logit[:] = known
        else:
            early = family.early
            submitted = self._submit(unit.detector, canvases) if early is None else early
            self.networks.gather(self.detectors[unit.detector], submitted, columns.logit)
        return columns.table(chunk.records, chunk.bad)

    def _submit(self, label: str, canvases: Sequence[Any]) -> Submitted:
        return self.networks.submit(self.detectors[label], canvases, self.batch_size[label])

    def attack(
        self, chunk: DecodedChunk, canvases: Sequence[Image | None], family: Sequence[Unit]
    ) -> dict[str, Attacked | NDArray[np.float32]]:
        """Attack every canvas for every unit of a family.

        Returns:
            By condition: what its attack did, or the clean logits that came with the gradient.
        """
        found: dict[str, Attacked | NDArray[np.float32]] = {}
        jobs: dict[str, Job] = {}
        for unit in family:
            if self.of(unit).attack is None:
                continue
            try:
                jobs[unit.condition] = self._job(unit)
            except Exception as error:  # told where the unit is scored
                nothing = found[unit.condition] = Attacked.nothing(len(canvases))
                nothing.error = error
        label = family[0].detector
        target = self.networks[self.detectors[label]]
        givers = [self._giver(unit) for unit in family if unit.condition in jobs]
        parallel = all(replicas.parallel for replicas in (target, *givers))
        alone = not (parallel and all(job.attack.concurrent for job in jobs.values()))

        def each(do: Any, items: Iterable[Any]) -> list[Any]:
            def timed(item: Any) -> Any:
                with self.watch.time("attack"):
                    return do(item)

            return self.lanes.each(timed, items, alone=alone)

        setting = Setting(
            target.checked_logits,
            self.batch_size[label],
            self.device,
            self.seed,
            self.thresholds.get(label, 0.0),
            each,
        )
        done, clean = attack_all(list(jobs.values()), canvases, chunk.records, setting)
        found |= dict(zip(jobs, done, strict=True))
        if clean is not None:
            found |= {u.condition: clean for u in family if self.of(u).attack is None}
        return found

    def _giver(self, unit: Unit) -> Replicas:
        """Whose gradient a unit's attack climbs."""
        name = getattr(self.of(unit).attack, "surrogate", None)
        return self.networks[
            self.detectors[unit.detector] if name is None else self.surrogates[name]
        ]

    def _job(self, unit: Unit) -> Job:
        condition, giver = self.of(unit), self._giver(unit)
        attack, position = condition.attack, len(condition.before)
        assert attack is not None
        name = getattr(attack, "surrogate", None)
        if attack.needs_gradient and not giver.card.differentiable:
            raise NotAttackableError("its card says that its gradient means nothing")
        gradient = giver.checked_logits if name is None else surrogate_logits(giver)
        what_for = purpose(position, condition.steps[position])
        aware = condition.after if getattr(attack, "aware", False) else ()
        return Job(attack, what_for, lambda: behind(gradient, aware, self.seed, what_for))

    def _after(
        self,
        chunk: DecodedChunk,
        canvases: Sequence[Any],
        condition: Condition,
        columns: Columns,
    ) -> list[Image | None]:
        """Corrupt the attacked canvases; a file holds 8 bits, so that is what is corrupted."""
        pictures = [None if c is None else to_hwc(c) for c in canvases]
        first = len(condition.before) + 1
        corrupted = corrupt(pictures, chunk.records, condition.after, first, self._workshop)
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
