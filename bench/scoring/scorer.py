"""One group of images to scores: networks, attacks, and what is corrupted after an attack.

Corrupted once for all detectors, fitted once for all detectors of one geometry. A unit that fails says why
and leaves the others alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

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
from bench.scoring.attack_job import Attacked, Job, Target
from bench.scoring.attacking import attack_all, probe_alone, sharing_groups
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
from bench.scoring.certificates.votes import Voter, certified_table
from bench.scoring.decoding import DecodedChunk, Image
from bench.scoring.logit_functions import behind, surrogate_logits
from bench.scoring.outcomes import BatchTooLargeError, Failed, Scored
from bench.scoring.setup import Setup
from bench.scoring.unit_table import probe_table, unit_table
from detectors.errors import GradientError, described

if TYPE_CHECKING:
    from bench.store.units import Unit


@dataclass(frozen=True, slots=True)
class Group:
    """Units of one chunk with the same corruptions of the source image."""

    chunk: DecodedChunk
    units: tuple[Unit, ...]


@dataclass(frozen=True, slots=True)
class _SharedWork:
    """Units of one detector that share a gradient or a forward pass.

    Attributes:
        units: At least one; all of one detector.
        chunk: Decoded images of the units.
        ready: The same images behind the corruptions that the units share.
        canvases: The corrupted images as the detector takes them.
        submitted: Batches that are being scored already; ``None`` where an attack comes first, or noise.
    """

    units: list[Unit]
    chunk: DecodedChunk
    ready: Ready
    canvases: list[Image | None]
    submitted: Submitted | None


@dataclass(frozen=True, slots=True)
class GroupAttacks:
    """Results of the attacks of a sharing group.

    Attributes:
        attacked: By canonical spelling of the condition.
        clean: (n,) float32 logits of the images as they were, where a gradient brought them along.
    """

    attacked: Mapping[str, Attacked]
    clean: NDArray[np.float32] | None = None


class Scorer:
    """Detectors on a device, ready to score groups of images.

    Attributes:
        setup: Detectors, conditions and settings.
        lanes: Threads for images and, on a CPU, for networks: one batch a thread.
        networks: The detectors, for as many threads as may run them.
        watch: Stopwatch that times every stage.
    """

    def __init__(self, setup: Setup, pool: Executor, watch: Stopwatch | None = None) -> None:
        self.setup = setup
        self.watch = watch or Stopwatch()
        self.lanes = Lanes(pool, setup.threads)
        self._workshop = Workshop(setup.seed, self.lanes, self.watch)
        detectors = (*setup.detectors.values(), *setup.surrogates.values())
        self.networks = Networks.of(
            detectors, setup.device, setup.numerics.precision, self.lanes, self.watch
        )
        if setup.numerics.compile:
            for label, detector in setup.detectors.items():
                self.networks.compile(detector, setup.batch_sizes[label])

    def canvases(self, group: Group) -> tuple[Ready, dict[str, Hashable]]:
        """Corrupt and fit a group's images.

        Returns:
            The images behind the group's corruptions, and each detector's geometry among them.
        """
        labels = dict.fromkeys(unit.detector for unit in group.units)
        keys = {label: geometry(label, self.setup.detectors[label]) for label in labels}
        fits = {key: self.setup.detectors[label] for label, key in keys.items()}
        condition = self.setup.condition_of(group.units[0])
        return make_ready(group.chunk, condition, fits, self._workshop), keys

    def score_group(self, group: Group) -> Iterator[Scored | Failed]:
        """Score every unit of a group.

        Yields:
            One outcome a unit.

        Raises:
            BatchTooLargeError: If the device's memory does not hold a batch.
        """
        ready, keys = self.canvases(group)
        work: list[_SharedWork] = []
        for label, of_detector in itertools.groupby(group.units, key=lambda u: u.detector):
            units, key = list(of_detector), keys[label]
            error = ready.error or ready.unfit.get(key)
            if error is not None:
                yield from (_failed(unit, error) for unit in units)
            else:
                work += self._shared_work(units, group.chunk, ready, ready.canvases[key])
        for shared in work:
            yield from self._score_shared(shared)

    def _shared_work(
        self, units: list[Unit], chunk: DecodedChunk, ready: Ready, canvases: list[Image | None]
    ) -> Iterator[_SharedWork]:
        """Group one detector's units, and hand in at once what needs no attack first."""
        free_clean = self.setup.numerics.gradient_scores
        for sharing in sharing_groups(units, self.setup.conditions, free_clean=free_clean):
            waits = any(self.setup.condition_of(unit).asks_again for unit in sharing)
            submitted = None if waits else self._submit(sharing[0].detector, canvases)
            yield _SharedWork(sharing, chunk, ready, canvases, submitted)

    def _score_shared(self, work: _SharedWork) -> Iterator[Scored | Failed]:
        label = work.units[0].detector
        idle = work.submitted is not None or self.setup.condition_of(work.units[0]).certificate
        try:
            attacks = (
                GroupAttacks({}) if idle else self.attack(work.chunk, work.canvases, work.units)
            )
        except torch.OutOfMemoryError as error:
            raise BatchTooLargeError(label) from error
        for unit in work.units:
            yield _outcome(unit, partial(self._score_unit, unit, work, attacks))

    def probe_group(self, group: Group) -> Iterator[Scored | Failed]:
        """Make the probes of every unit of a group, whose batches are attacked elsewhere.

        Yields:
            One outcome a unit; its table has ``sample_id`` and the columns of the probes.

        Raises:
            BatchTooLargeError: If the device's memory does not hold a batch.
        """
        ready, keys = self.canvases(group)
        for unit in group.units:
            key = keys[unit.detector]
            error = ready.error or ready.unfit.get(key)
            if error is not None:
                yield _failed(unit, error)
                continue
            canvases = ready.canvases[key]
            yield _outcome(unit, partial(self._probes, unit, group, canvases))

    def _probes(self, unit: Unit, group: Group, canvases: list[Image | None]) -> pa.Table:
        job = self._job(unit)
        probed = probe_alone(job, canvases, group.chunk.records, self._target([unit], [job]))
        if probed.error is not None:
            raise probed.error
        return probe_table(group.chunk, probed)

    def _score_unit(self, unit: Unit, work: _SharedWork, attacks: GroupAttacks) -> pa.Table:
        condition, chunk = self.setup.condition_of(unit), work.chunk
        if condition.certificate is not None:
            return self._certify(unit, work)
        attacked = attacks.attacked.get(unit.condition)
        changed: list[bool | None] = list(work.ready.changed)
        canvases: Sequence[Any] = work.canvases
        if attacked is not None:
            if attacked.error is not None:
                raise attacked.error
            canvases = attacked.images
        if condition.after:
            canvases, changed = self._corrupt_after(chunk, canvases, condition, changed)
        if attacked is None and attacks.clean is not None:
            logits = attacks.clean
        else:
            submitted = work.submitted or self._submit(unit.detector, canvases)
            detector = self.setup.detectors[unit.detector]
            logits = np.full(len(canvases), np.nan, dtype=np.float32)
            self.networks.gather(detector, submitted, logits)
        return unit_table(
            chunk, logits, changed, attacked or Attacked.none(len(canvases)), work.ready.likeness
        )

    def _certify(self, unit: Unit, work: _SharedWork) -> pa.Table:
        replicas = self.networks[self.setup.detectors[unit.detector]]
        voter = Voter.of(replicas, self._target([unit], []), self.setup.numerics.precision)
        condition, ready = self.setup.condition_of(unit), work.ready
        return certified_table(condition, voter, work.chunk, work.canvases, ready)

    def _submit(self, label: str, canvases: Sequence[Any]) -> Submitted:
        return self.networks.submit(
            self.setup.detectors[label], canvases, self.setup.batch_sizes[label]
        )

    def attack(
        self, chunk: DecodedChunk, canvases: Sequence[Image | None], sharing: Sequence[Unit]
    ) -> GroupAttacks:
        """Attack every canvas for every unit of a sharing group."""
        jobs: dict[str, Job] = {}
        failed: dict[str, Attacked] = {}
        for unit in sharing:
            if self.setup.condition_of(unit).attack is None:
                continue
            try:
                jobs[unit.condition] = self._job(unit)
            except Exception as error:  # its own cell says so where the unit is scored
                failed[unit.condition] = Attacked.none(len(canvases), error)
        target = self._target(sharing, list(jobs.values()))
        outcome = attack_all(
            list(jobs.values()), canvases, chunk.records, target, probes=chunk.whole
        )
        attacked = dict(zip(jobs, outcome.attacked, strict=True))
        return GroupAttacks({**failed, **attacked}, outcome.clean)

    def _target(self, sharing: Sequence[Unit], jobs: Sequence[Job]) -> Target:
        """Make the target of a sharing group; several threads run it where every part of it allows that."""
        label = sharing[0].detector
        replicas = self.networks[self.setup.detectors[label]]
        sources = [self._gradient_source(unit) for unit in sharing]
        parallel = all(each.parallel for each in (replicas, *sources))
        alone = not (parallel and all(job.attack.concurrent for job in jobs))

        def for_each(do: Any, items: Iterable[Any]) -> list[Any]:
            def timed(item: Any) -> Any:
                with self.watch.time("attack"):
                    return do(item)

            return self.lanes.each(timed, items, alone=alone)

        return Target(
            replicas.checked_logits,
            self.setup.batch_sizes[label],
            self.setup.device,
            self.setup.seed,
            self.setup.thresholds.get(label, 0.0),
            for_each,
        )

    def _gradient_source(self, unit: Unit) -> Replicas:
        """Look up the detector whose gradient a unit's attack climbs: the unit's, or a surrogate."""
        name = getattr(self.setup.condition_of(unit).attack, "surrogate", None)
        detector = (
            self.setup.detectors[unit.detector] if name is None else self.setup.surrogates[name]
        )
        return self.networks[detector]

    def _job(self, unit: Unit) -> Job:
        condition, source = self.setup.condition_of(unit), self._gradient_source(unit)
        attack, position = condition.attack, len(condition.before)
        assert attack is not None
        if attack.needs_gradient and not source.card.differentiable:
            raise NotAttackableError(source.detector.no_gradient)
        transferred = getattr(attack, "surrogate", None) is not None
        logits = surrogate_logits(source) if transferred else source.checked_logits
        draws_for = purpose(position, condition.chain[position])
        aware_of = condition.after if getattr(attack, "aware", False) else ()
        return Job(attack, draws_for, lambda: behind(logits, aware_of, self.setup.seed, draws_for))

    def _corrupt_after(
        self,
        chunk: DecodedChunk,
        canvases: Sequence[Any],
        condition: Condition,
        changed: Sequence[bool | None],
    ) -> tuple[list[Image | None], list[bool | None]]:
        """Corrupt the attacked canvases; a file holds 8 bits, so that is what is corrupted.

        Returns:
            The corrupted canvases, and whether every chain of corruptions changed its image.
        """
        pictures = [None if canvas is None else to_hwc(canvas) for canvas in canvases]
        first = len(condition.before) + 1
        corrupted = corrupt(pictures, chunk.records, condition.after, first, self._workshop)
        altered = [differs(a, b) for a, b in zip(pictures, corrupted, strict=True)]
        if condition.before:
            altered = [both(a, b) for a, b in zip(changed, altered, strict=True)]
        return [
            None if picture is None else np.ascontiguousarray(picture.transpose(2, 0, 1))
            for picture in corrupted
        ], altered


def _outcome(unit: Unit, make: Callable[[], pa.Table]) -> Scored | Failed:
    """Make a unit's table, or say why there is none.

    Raises:
        BatchTooLargeError: If the device's memory does not hold a batch.
    """
    try:
        return Scored(unit, make())
    except torch.OutOfMemoryError as error:
        raise BatchTooLargeError(unit.detector) from error
    except (NotAttackableError, GradientError) as error:
        return Failed(unit, "not attackable", _says(error))
    except Exception as error:  # the user's own code may raise anything
        return _failed(unit, error)


def _says(error: Exception) -> str:
    return described(error).removeprefix(f"{type(error).__name__}: ")


def _failed(unit: Unit, error: Exception) -> Failed:
    return Failed(unit, "failed", described(error))
