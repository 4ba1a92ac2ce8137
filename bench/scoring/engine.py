"""The hot path: decoded chunks of images to scores for all their (detector, condition) pairs.

While a network runs on one group of images, the next is made ready. Nothing here knows of files, progress
or boards.
"""

from __future__ import annotations

import itertools
import queue
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bench.datasets import ImageRecord
from bench.inference.batches import layout
from bench.scoring.canvases import to_hwc
from bench.scoring.decoding import DecodedChunk, Image
from bench.scoring.outcomes import Failed, Scored
from bench.scoring.scorer import Group, Scorer

if TYPE_CHECKING:
    from bench.store.units import Unit

# Groups of images in work at a time: while one is scored, the next is made ready.
GROUPS = 2


@dataclass(slots=True)
class Counts:
    """Work done so far, for tests and profiles.

    Attributes:
        decoded: Images decoded.
        scored: Scores made: one image under one condition for one detector; padding is none.
    """

    decoded: int = 0
    scored: int = 0


class AttackedImage(NamedTuple):
    """An attacked image to look at: its record, and both canvases as (3, h, w) uint8."""

    record: ImageRecord
    clean: Image
    adversarial: Image


@dataclass(frozen=True, slots=True)
class _Broken:
    """An error that stops the whole run."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class Engine:
    """Scores chunks, two groups of images at a time.

    Attributes:
        scorer: Detectors on a device.
        counts: Work done so far.
    """

    scorer: Scorer
    counts: Counts = field(default_factory=Counts)

    def score(self, chunk: DecodedChunk, units: Sequence[Unit]) -> Iterator[Scored | Failed]:
        """Score some units of one chunk; see :meth:`stream`."""
        return self.stream([(chunk, units)])

    def stream(
        self, work: Iterable[tuple[DecodedChunk, Sequence[Unit]]]
    ) -> Iterator[Scored | Failed]:
        """Score chunks, each under its units.

        Args:
            work: Decoded images and units of that chunk, in any order. The next chunk is taken
                while the one before is still in work.

        Yields:
            One outcome a unit, as it comes. Units that share corruptions are worked on together.

        Raises:
            BatchTooLargeError: If the device's memory does not hold a batch.
        """
        groups = self._groups(work)
        outcomes: queue.SimpleQueue[Scored | Failed | _Broken | None] = queue.SimpleQueue()
        foremen = ThreadPoolExecutor(GROUPS, "bench-group")
        busy, more = 0, True
        try:
            while True:
                while more and busy < GROUPS:
                    group = next(groups, None)
                    more = group is not None
                    if group is not None:
                        foremen.submit(self._work, group, outcomes)
                        busy += 1
                if not busy:
                    return
                outcome = outcomes.get()
                if isinstance(outcome, _Broken):
                    raise outcome.error
                if outcome is None:
                    busy -= 1
                    continue
                if isinstance(outcome, Scored):
                    logits = outcome.scores["logit"]
                    self.counts.scored += len(logits) - logits.null_count
                yield outcome
        finally:
            self.scorer.lanes.close()
            foremen.shutdown(cancel_futures=True)

    def probe(self, chunk: DecodedChunk, units: Sequence[Unit]) -> Iterator[Scored | Failed]:
        """Make the attack probes of some units and nothing else; see :meth:`Scorer.probe_group`."""
        try:
            for group in self._groups([(chunk, units)]):
                yield from self.scorer.probe_group(group)
        finally:
            self.scorer.lanes.close()

    def first_attacked(self, chunk: DecodedChunk, unit: Unit) -> list[AttackedImage]:
        """Attack the first batch of a unit again, for its pictures; none where the attack fails."""
        ready, keys = self.scorer.canvases(Group(chunk, (unit,)))
        canvases = ready.canvases[keys[unit.detector]]
        place = next(layout(canvases, self.scorer.setup.batch_sizes[unit.detector]), None)
        rows = [] if place is None else place.rows.tolist()
        first_batch = [canvas if row in rows else None for row, canvas in enumerate(canvases)]
        condition = self.scorer.setup.condition_of(unit)
        attacks = self.scorer.attack(unit.detector, chunk, first_batch, [condition])
        attacked = attacks.attacked[unit.condition]
        if attacked.error is not None:
            return []
        return [
            AttackedImage(
                chunk.records[row], clean, to_hwc(attacked.images[row]).transpose(2, 0, 1)
            )
            for row in rows
            if (clean := canvases[row]) is not None and not np.isnan(attacked.linf[row])
        ]

    def _groups(self, work: Iterable[tuple[DecodedChunk, Sequence[Unit]]]) -> Iterator[Group]:
        condition_of = self.scorer.setup.condition_of
        for chunk, units in work:
            self.counts.decoded += sum(image is not None for image in chunk.images)
            chains = {unit: condition_of(unit).source_chain for unit in units}
            order = list(dict.fromkeys(chains.values()))
            ranked = sorted(units, key=lambda u: (order.index(chains[u]), u.detector))
            for _, of_chain in itertools.groupby(ranked, key=chains.__getitem__):
                yield Group(chunk, tuple(of_chain))

    def _work(self, group: Group, outcomes: queue.SimpleQueue[Any]) -> None:
        try:
            for outcome in self.scorer.score_group(group):
                outcomes.put(outcome)
        except BaseException as error:
            outcomes.put(_Broken(error))
        finally:
            outcomes.put(None)
