"""What a run of many images would do and keep, counted by the rules by which a run is cut."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from attacks.base import FORWARDS_PER_GRADIENT
from bench.results.streamed.scope import STREAM_FROM
from bench.runs.cluster.parts import shape, shares
from bench.store.units import chunk_images


@dataclass(frozen=True, slots=True)
class Load:
    """A run to plan.

    Attributes:
        images: Images, all of one size.
        detectors: Number of detectors.
        conditions: Number of conditions.
        gradients: Gradients an image and detector, over all conditions; where there are any, attacks are
            probed.
        pixels: Pixels of an image.
        batch_size: Images in a batch, alike for all detectors.
        workers: Workers of one thread each.
    """

    images: int
    detectors: int
    conditions: int
    gradients: int = 0
    pixels: int = 500 * 375
    batch_size: int = 128
    workers: int = 1

    @property
    def passes(self) -> int:
        """Forward passes that one image costs one detector, a gradient counted as several."""
        return self.conditions + FORWARDS_PER_GRADIENT * self.gradients

    @property
    def scores(self) -> int:
        """Scores that the run keeps, one an image, detector and condition."""
        return self.images * self.detectors * self.conditions

    @property
    def board_in_passes(self) -> bool:
        """Whether the board is made in passes over files: of many scores, without an attack."""
        return self.scores >= STREAM_FROM and not self.gradients


class Kind(NamedTuple):
    """Tasks that are alike.

    Attributes:
        rows: Images in the task, to be decoded.
        detectors: Detectors whose units it holds.
        files: Score shards that it completes; a part of a unit counts as a part of a shard.
        probes: Whether it holds probes of attacks only, whose work is left out.
    """

    rows: int
    detectors: int
    files: float
    probes: bool = False


@dataclass(frozen=True, slots=True)
class Counts:
    """What a run does.

    Attributes:
        chunks: Chunks of images.
        units: Units of work, each a file of the store.
        scores: Scores kept.
        body: The tasks at the beginning, whole chunks all alike, and how many there are.
        tail: The tasks after them, in the order in which they are sent.
    """

    chunks: int
    units: int
    scores: int
    body: tuple[Kind, int]
    tail: tuple[Kind, ...] = field(repr=False)

    @property
    def kinds(self) -> Mapping[Kind, int]:
        """How many tasks there are of each kind."""
        kinds = Counter(self.tail)
        kinds[self.body[0]] += self.body[1]
        return kinds

    @property
    def tasks(self) -> int:
        """Tasks that are sent to workers."""
        return self.body[1] + len(self.tail)

    @property
    def decodes(self) -> int:
        """Images that are read and decoded: once a task that holds them."""
        return sum(kind.rows * number for kind, number in self.kinds.items() if not kind.probes)


def count(load: Load) -> Counts:
    """Cut a run into chunks and tasks as a cluster's client does."""
    size = chunk_images(load.pixels)
    chunks = math.ceil(load.images / size)
    last = load.images - size * (chunks - 1)
    # Chunks are cut once less is left than four times the threads: no more than these many at the end.
    tail = min(chunks, 4 * load.workers + 2)
    rows = [size] * (tail - 1) + [last]
    weight = load.detectors * load.passes
    tasks = [
        kind
        for n, pieces in zip(rows, shares([n * weight for n in rows], load.workers), strict=True)
        for kind in _kinds(load, n, pieces)
    ]
    units = chunks * load.detectors * load.conditions
    body = Kind(size, load.detectors, load.detectors * load.conditions)
    return Counts(chunks, units, load.scores, (body, chunks - tail), tuple(tasks))


def _kinds(load: Load, rows: int, pieces: int) -> list[Kind]:
    """Cut one chunk."""
    parts, by_detector = shape(rows, load.batch_size, pieces)
    detectors = 1 if by_detector else load.detectors
    files = detectors * load.conditions
    if parts == 1:
        return [Kind(rows, detectors, files)] * (load.detectors // detectors)
    batches = math.ceil(rows / load.batch_size)
    bounds = [min(rows, load.batch_size * (batches * i // parts)) for i in range(parts + 1)]
    group = [Kind(0, detectors, 0, probes=True)] if load.gradients else []
    group += [
        Kind(stop - start, detectors, files / parts) for start, stop in itertools.pairwise(bounds)
    ]
    return group * (load.detectors // detectors)
