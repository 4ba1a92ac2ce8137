"""One group of images to scores: networks, attacks, and what is corrupted after an attack.

Corrupted once for all detectors, fitted once for all detectors of one geometry. A unit that fails says why
and leaves the others alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from attacks.base import NotAttackableError
from bench.inference.networks import Networks, Submitted, Unmoved
from bench.inference.profiling import Stopwatch
from bench.inference.replicas import Replicas
from bench.inference.threads import Lanes
from bench.protocol.condition import Condition
from bench.protocol.surrogates import surrogates_of
from bench.scoring.attack_job import Attacked, Job, Target
from bench.scoring.attacking import attack_all, probe_alone, sharing_groups
from bench.scoring.canvases import Ready, Workshop, corrupt_after, geometry, make_ready, unmoved
from bench.scoring.certificates.votes import Voter, certified_table
from bench.scoring.chains.chain import purpose
from bench.scoring.decoding import DecodedChunk, Image
from bench.scoring.logit_functions import behind, climbed_in_bf16, surrogate_logits
from bench.scoring.nested import Pictures, Series, rounds_of
from bench.scoring.outcomes import BatchTooLargeError, Failed, Scored, outcome_of
from bench.scoring.setup import Setup
from bench.scoring.unit_table import probe_table, unit_table

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
        rounds: Conditions of the units, and smaller budgets that they need; those of a round are attacked
            together, one round after the other.
        chunk: Decoded images of the units.
        ready: The same images behind the corruptions that the units share.
        canvases: The corrupted images as the detector takes them.
        submitted: Batches that are being scored already; ``None`` where an attack comes first, or noise.
    """

    units: list[Unit]
    rounds: list[list[Condition]]
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
        self.networks = Networks.of(detectors, setup.device, self.lanes, self.watch)
        for label, detector in setup.detectors.items() if setup.numerics.compile else ():
            form = setup.arithmetic_of(label).scores
            self.networks.compile(detector, setup.batch_sizes[label], form)

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
                yield from (outcome_of(unit, error) for unit in units)
            else:
                work += self._shared_work(units, group.chunk, ready, ready.canvases[key])
        for shared in work:
            yield from self._score_shared(shared)

    def _shared_work(
        self, units: list[Unit], chunk: DecodedChunk, ready: Ready, canvases: list[Image | None]
    ) -> Iterator[_SharedWork]:
        """Group one detector's units, and hand in at once what needs no attack first."""
        free_clean = self.setup.gives_clean_scores(units[0].detector)
        for sharing in sharing_groups(units, self.setup.conditions, free_clean=free_clean):
            rounds = rounds_of(sharing, self.setup.conditions)
            waits = any(condition.asks_again for part in rounds for condition in part)
            submitted = None
            if not waits:
                kept = unmoved(chunk, rounds[0][0])
                submitted = self._submit(units[0].detector, canvases, kept)
            yield _SharedWork(sharing, rounds, chunk, ready, canvases, submitted)

    def _score_shared(self, work: _SharedWork) -> Iterator[Scored | Failed]:
        label = work.units[0].detector
        units = {unit.condition: unit for unit in work.units}
        series = Series.of(work.rounds, work.chunk.records)
        idle = work.submitted is not None or work.rounds[0][0].certificate is not None
        try:
            for conditions in work.rounds:
                attacks = (
                    GroupAttacks({})
                    if idle
                    else self.attack(label, work.chunk, work.canvases, conditions)
                )
                for condition in conditions:
                    outcome = self._attempt(label, condition, work, attacks, series)
                    unit = units.get(str(condition))
                    if unit is not None:
                        yield outcome_of(unit, outcome)
        except torch.OutOfMemoryError as error:
            raise BatchTooLargeError(label) from error

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
            yield outcome_of(unit, error or self._probes(unit, group, ready.canvases[key]))

    def _probes(
        self, unit: Unit, group: Group, canvases: list[Image | None]
    ) -> pa.Table | Exception:
        label, condition = unit.detector, self.setup.condition_of(unit)
        try:
            job = self._job(label, condition)
            target = self._target(label, [condition], [job])
            probed = probe_alone(job, canvases, group.chunk.records, target)
        except torch.OutOfMemoryError as error:
            raise BatchTooLargeError(label) from error
        except Exception as error:  # the user's own code may raise anything
            return error
        return probed.error or probe_table(group.chunk, probed)

    def _attempt(
        self,
        label: str,
        condition: Condition,
        work: _SharedWork,
        attacks: GroupAttacks,
        series: Series,
    ) -> pa.Table | Exception:
        """Score the images under one condition, the worst of a series over eps among them."""
        attacked = attacks.attacked.get(str(condition))
        try:
            if condition.certificate is not None:
                return self._certify(label, condition, work)
            logits = attacks.clean if attacked is None else None
            if attacked is not None and attacked.error is not None:
                raise attacked.error
            if attacked is not None and series.nests(condition):
                own = Pictures(attacked, self._logits(label, attacked.images))
                attacked, logits = series.keep_worst(condition, own)
            return self._table(label, condition, work, attacked, logits)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # the user's own code may raise anything
            series.fail(condition, error)
            return error

    def _table(
        self,
        label: str,
        condition: Condition,
        work: _SharedWork,
        attacked: Attacked | None,
        logits: NDArray[np.float32] | None,
    ) -> pa.Table:
        """Make the table of a shard; logits that are known are those of what was attacked."""
        chunk, submitted = work.chunk, work.submitted
        changed: list[bool | None] = list(work.ready.changed)
        canvases: Sequence[Any] = work.canvases if attacked is None else attacked.images
        if condition.after:
            canvases, changed = corrupt_after(
                chunk.records, canvases, condition, changed, self._workshop
            )
            logits = None
        if logits is None:
            logits = self._logits(label, canvases, submitted)
        return unit_table(
            chunk, logits, changed, attacked or Attacked.none(len(canvases)), work.ready.likeness
        )

    def _certify(self, label: str, condition: Condition, work: _SharedWork) -> pa.Table:
        replicas = self.networks[self.setup.detectors[label]]
        target, form = self._target(label, [condition], []), self.setup.arithmetic_of(label).scores
        voter = Voter.of(replicas, target, form)
        return certified_table(condition, voter, work.chunk, work.canvases, work.ready)

    def _logits(
        self, label: str, canvases: Sequence[Any], submitted: Submitted | None = None
    ) -> NDArray[np.float32]:
        """Score canvases, (n,) float32; nan where there is none."""
        logits = np.full(len(canvases), np.nan, dtype=np.float32)
        submitted = submitted or self._submit(label, canvases)
        self.networks.gather(self.setup.detectors[label], submitted, logits)
        return logits

    def _submit(
        self, label: str, canvases: Sequence[Any], kept: Unmoved | None = None
    ) -> Submitted:
        size, form = self.setup.batch_sizes[label], self.setup.arithmetic_of(label).scores
        return self.networks.submit(self.setup.detectors[label], canvases, size, form, kept)

    def attack(
        self,
        label: str,
        chunk: DecodedChunk,
        canvases: Sequence[Image | None],
        conditions: Sequence[Condition],
    ) -> GroupAttacks:
        """Attack every canvas of a detector under every condition; several only where they share."""
        jobs: dict[str, Job] = {}
        failed: dict[str, Attacked] = {}
        for condition in conditions:
            if condition.attack is None:
                continue
            try:
                jobs[str(condition)] = self._job(label, condition)
            except Exception as error:  # its own cell says so where it is scored
                failed[str(condition)] = Attacked.none(len(canvases), error)
        target = self._target(label, conditions, list(jobs.values()))
        outcome = attack_all(
            list(jobs.values()), canvases, chunk.records, target, probes=chunk.whole
        )
        attacked = dict(zip(jobs, outcome.attacked, strict=True))
        return GroupAttacks({**failed, **attacked}, outcome.clean)

    def _target(self, label: str, conditions: Sequence[Condition], jobs: Sequence[Job]) -> Target:
        """Make the target of several attacks; several threads run it where every part of it allows that."""
        replicas = self.networks[self.setup.detectors[label]]
        sources = [s for condition in conditions for s in self._gradient_sources(label, condition)]
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

    def _gradient_sources(self, label: str, condition: Condition) -> list[Replicas]:
        """Look up the detectors whose gradient an attack climbs: the target, or its surrogates."""
        chosen = [self.setup.surrogates[name] for name in surrogates_of(condition, label)]
        return [self.networks[each] for each in chosen or [self.setup.detectors[label]]]

    def _job(self, label: str, condition: Condition) -> Job:
        sources = self._gradient_sources(label, condition)
        attack, position = condition.attack, len(condition.before)
        assert attack is not None
        for source in sources:
            if attack.needs_gradient and not source.card.differentiable:
                raise NotAttackableError(source.detector.no_gradient)
        logits = surrogate_logits(sources) if condition.surrogates else sources[0].checked_logits
        if condition.climbs and self.setup.arithmetic_of(label).gradients == "bf16":
            logits = climbed_in_bf16(logits)
        draws_for = purpose(position, condition.chain[position])
        aware_of = condition.after if getattr(attack, "aware", False) else ()
        return Job(attack, draws_for, lambda: behind(logits, aware_of, self.setup.seed, draws_for))
