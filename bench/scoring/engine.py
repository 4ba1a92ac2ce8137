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
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.datasets import ImageRecord
from bench.inference.batches import layout
from bench.scoring.attack_job import Attacked
from bench.scoring.canvases import to_hwc
from bench.scoring.decoding import DecodedChunk, Image
from bench.scoring.scorer import BatchTooLargeError, Failed, Group, Scored, Scorer

if TYPE_CHECKING:
    from bench.store.units import Unit

__all__ = ["BatchTooLargeError", "Counts", "Engine", "Failed", "Scored"]

# Groups of images in work at a time: while one is scored, the next is made ready.
GROUPS = 2


@dataclass(slots=True)
class Counts:
    """Work done so far, for tests and profiles: images decoded, scores made of them.

    A score is one image under one condition for one detector; padding is none.
    """

    decoded: int = 0
    scored: int = 0


@dataclass(frozen=True, slots=True)
class _Broken:
    """What stops the whole run."""

    error: BaseException


@dataclass(slots=True)
class Engine(Scorer):
    """Detectors on a device, ready to score chunks.

    Attributes:
        counts: Work done so far.
    """

    counts: Counts = field(default_factory=Counts)

    def score(self, chunk: DecodedChunk, units: Sequence[Unit]) -> Iterator[Scored | Failed]:
        """Score one chunk under the given units; see :meth:`stream`."""
        return self.stream([(chunk, units)])

    def stream(
        self, work: Iterable[tuple[DecodedChunk, Sequence[Unit]]]
    ) -> Iterator[Scored | Failed]:
        """Score chunks, each under its units.

        Args:
            work: Decoded images and units of that chunk, in any order. The next chunk is asked for
                while the one before is still in work.

        Yields:
            One outcome a unit, as it is done. Units that share corruptions are worked on together.

        Raises:
            BatchTooLargeError: If the device's memory does not hold a batch.
        """
        groups = self._groups(work)
        told: queue.SimpleQueue[Scored | Failed | _Broken | None] = queue.SimpleQueue()
        foremen = ThreadPoolExecutor(GROUPS, "bench-group")
        busy, more = 0, True
        try:
            while True:
                while more and busy < GROUPS:
                    group = next(groups, None)
                    more = group is not None
                    if group is not None:
                        foremen.submit(self._work, group, told)
                        busy += 1
                if not busy:
                    return
                outcome = told.get()
                if isinstance(outcome, _Broken):
                    raise outcome.error
                if outcome is None:
                    busy -= 1
                    continue
                if isinstance(outcome, Scored):
                    column = outcome.scores["logit"]
                    self.counts.scored += len(column) - column.null_count
                yield outcome
        finally:
            self.lanes.close()
            foremen.shutdown(cancel_futures=True)

    def first_attacked(
        self, chunk: DecodedChunk, unit: Unit
    ) -> list[tuple[ImageRecord, Image, Image]]:
        """Record, clean and attacked canvas of the first batch's attacked images; none on failure."""
        ready, keys = self.canvases(Group(chunk, (unit,)))
        canvases = ready.canvases[keys[unit.detector]]
        place = next(layout(canvases, self.batch_size[unit.detector]), None)
        rows = [] if place is None else place.rows.tolist()
        chosen = [c if row in rows else None for row, c in enumerate(canvases)]
        done = self.attack(chunk, chosen, [unit])[unit.condition]
        if not isinstance(done, Attacked) or done.error is not None:
            return []
        return [
            (chunk.records[row], clean, to_hwc(done.moved[row]).transpose(2, 0, 1))
            for row in rows
            if (clean := canvases[row]) is not None and not np.isnan(done.linf[row])
        ]

    def _groups(self, work: Iterable[tuple[DecodedChunk, Sequence[Unit]]]) -> Iterator[Group]:
        for chunk, units in work:
            self.counts.decoded += sum(image is not None for image in chunk.images)
            before = {u: "+".join(s.spell(resolved=True) for s in self.of(u).before) for u in units}
            order = list(dict.fromkeys(before.values()))
            ranked = sorted(units, key=lambda u: (order.index(before[u]), u.detector))
            for _, same in itertools.groupby(ranked, key=before.__getitem__):
                yield Group(chunk, tuple(same))

    def _work(self, group: Group, told: queue.SimpleQueue[Any]) -> None:
        try:
            for outcome in self.score_group(group):
                told.put(outcome)
        except BaseException as error:
            told.put(_Broken(error))
        finally:
            told.put(None)
