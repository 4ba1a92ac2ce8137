"""What a run of many images would do and keep, counted by the rules by which a run is cut."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import repeat
from typing import NamedTuple

from attacks.base import FORWARDS_PER_GRADIENT
from bench.results.streamed.scope import STREAM_FROM
from bench.runs.cluster.parts import Rest, shape
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
        conditions: Conditions that it puts the images under.
        units: Units that it holds.
        passes: Forward passes of one image, a gradient counted as several; those of probes are left out.
        files: Score shards that it completes; a part of a unit counts as a part of a shard.
        probes: Whether it holds probes of attacks only, whose work is left out.
    """

    rows: int
    conditions: int
    units: int
    passes: int
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
    tasks, left = list[Kind](), ((tail - 1) * size + last) * load.detectors * load.passes
    for rows in [*repeat(size, tail - 1), last]:
        tasks += _kinds(load, rows, left)
        left -= rows * load.detectors * load.passes
    units = load.detectors * load.conditions
    body = Kind(size, load.conditions, units, load.detectors * load.passes, units)
    return Counts(chunks, chunks * units, load.scores, (body, chunks - tail), tuple(tasks))


class _Bundle(NamedTuple):
    """Units of one detector that share work: see :mod:`bench.runs.cluster.parts`."""

    condition: int
    units: int
    passes: int


def _bundles(load: Load) -> list[_Bundle]:
    """Lay units out as a cluster's client does, were all attacks one that shares its gradient with clean."""
    attacks = min(1, load.gradients, load.conditions - 1)
    first = load.passes - (load.conditions - 1 - attacks)
    plain = range(1, load.conditions - attacks)
    return [
        *repeat(_Bundle(0, 1 + attacks, first), load.detectors),
        *(_Bundle(number, 1, 1) for number in plain for _ in range(load.detectors)),
    ]


def _kinds(load: Load, rows: int, left: int) -> list[Kind]:
    """Cut one chunk, with so many forward passes left in the run."""
    bundles = _bundles(load)
    step, passes = load.batch_size, [bundle.passes for bundle in bundles]
    parts = list(shape(rows, step, passes, Rest(left, load.workers)))
    kinds = []
    for number, part in enumerate(parts):
        for group in part.groups:
            own = [bundles[position] for position in group]
            units = sum(bundle.units for bundle in own)
            probed = load.gradients and any(bundle.condition == 0 for bundle in own)
            if probed and number == 0 and len(parts) > 1:
                kinds.append(Kind(0, 0, 0, 0, 0, probes=True))
            kinds.append(
                Kind(
                    part.stop - part.start,
                    sum(b.units for b in {b.condition: b for b in own}.values()),
                    units,
                    sum(bundle.passes for bundle in own),
                    units / len(parts),
                )
            )
    return kinds
