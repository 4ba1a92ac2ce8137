"""Canvases to logits: batches handed to the threads that may run a network, results taken back in order."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from bench.inference.batches import SMALLEST, Place, layout
from bench.inference.numerics import Form
from bench.inference.profiling import Stopwatch
from bench.inference.replicas import Replicas, scoring
from bench.inference.threads import Lanes
from bench.inference.transfer import Download, Link, Upload
from detectors.base import Detector
from detectors.errors import DetectorError


class Pending(NamedTuple):
    """A batch that is being scored.

    Attributes:
        place: Canvases that the batch is made of.
        download: Logits of the batch.
        borrowed: Whether it was handed in for another condition, which counts its time.
    """

    place: Place
    download: Future[Download]
    borrowed: bool = False


Submitted = list[Pending]


@dataclass(slots=True)
class Forwards:
    """Forward passes over a chunk's images as they are, each done once however many conditions ask for it."""

    _known: dict[Hashable, Future[Download]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def once(
        self, key: Hashable, start: Callable[[], Future[Download]]
    ) -> tuple[Future[Download], bool]:
        """Start a forward pass, unless one of that key was started; say also whether it was."""
        with self._lock:
            borrowed = key in self._known
            if not borrowed:
                self._known[key] = start()
            return self._known[key], borrowed


@dataclass(frozen=True, slots=True)
class Unmoved:
    """Canvases that a condition leaves as they are under other conditions too.

    A batch of such canvases alone is the very same batch there: same images, same places, same padding. So
    are its logits, bit for bit, also of a network in which one image of a batch moves another's.

    Attributes:
        rows: Positions of the canvases.
        source: What the canvases went through all the same, spelled in full.
        forwards: Forward passes over such canvases.
    """

    rows: frozenset[int]
    source: str
    forwards: Forwards

    def holds(self, place: Place) -> bool:
        """Say whether a batch is made of such canvases alone."""
        return self.rows.issuperset(place.rows.tolist())


@dataclass(slots=True)
class Networks:
    """Every detector of a run, for as many threads as may ask it.

    Attributes:
        device: Where networks run.
        lanes: Threads that fill batches and run networks.
        watch: Stopwatch that learns how long filling batches and networks take.
    """

    device: torch.device
    lanes: Lanes
    watch: Stopwatch
    _link: Link
    _replicas: dict[int, Replicas]

    @classmethod
    def of(
        cls, detectors: Iterable[Detector], device: torch.device, lanes: Lanes, watch: Stopwatch
    ) -> Networks:
        """Make networks of detectors; one that comes twice is one."""
        replicas = {id(detector): Replicas(detector, device) for detector in detectors}
        return cls(device, lanes, watch, Link(device), replicas)

    def __getitem__(self, detector: Detector) -> Replicas:
        return self._replicas[id(detector)]

    def compile(self, detector: Detector, size: int, form: Form) -> None:
        """Score with a network compiled for batches of ``size``, in one form of arithmetic.

        Raises:
            BenchError: It cannot be compiled here.
        """
        # A detector without a size of its own is compiled again when its first batch comes.
        canvas = detector.card.input.canvas_or(64)
        batch = torch.zeros((max(size, SMALLEST), 3, *canvas), device=self.device)
        # On a thread like those that will run it: how many threads it may use is compiled in.
        replicas = self[detector]
        alone = not replicas.parallel
        self.lanes.each(lambda b: replicas.compile(b, form), [batch], alone=alone)

    def submit(
        self,
        detector: Detector,
        canvases: Sequence[Any],
        size: int,
        form: Form,
        unmoved: Unmoved | None = None,
    ) -> Submitted:
        """Have every batch of canvases scored soon, in one form of arithmetic.

        Args:
            detector: One of these networks.
            canvases: (3, h, w) uint8, or float32 in [0, 1]; ``None`` where there is no image.
            size: Images in a batch.
            form: Arithmetic of the forward pass.
            unmoved: Canvases whose batches may have been handed in already.
        """
        replicas = self[detector]

        def fill(place: Place) -> Upload:
            with self.watch.time("fit"):
                return self._link.upload(place.fill(canvases))

        def forward(batch: Upload) -> Download:
            return self._forward(replicas, batch.pixels(), form)

        def start(place: Place) -> Future[Download]:
            if replicas.parallel:
                return self.lanes.submit(lambda part: forward(fill(part)), place)
            batch = self.lanes.submit(fill, place)
            return self.lanes.submit(lambda filled: forward(filled.result()), batch, alone=True)

        submitted: Submitted = []
        for place in layout(canvases, size):
            if unmoved is None or not unmoved.holds(place):
                submitted.append(Pending(place, start(place)))
                continue
            key = (id(detector), form, unmoved.source, place.index.tobytes())
            download, borrowed = unmoved.forwards.once(key, functools.partial(start, place))
            submitted.append(Pending(place, download, borrowed))
        return submitted

    def gather(self, detector: Detector, submitted: Submitted, into: NDArray[np.float32]) -> None:
        """Put the logits where their canvases stood.

        Raises:
            DetectorError: One is not finite.
        """
        for place, future, borrowed in submitted:
            download = future.result()
            into[place.rows] = download.wait()[: len(place.rows)]
            if not borrowed:
                self.watch.add("forward", download.seconds())
            if not np.isfinite(into[place.rows]).all():
                raise DetectorError(f"{detector.card.name} returned a logit that is not finite")

    def _forward(self, replicas: Replicas, batch: torch.Tensor, form: Form) -> Download:
        if self.device.type == "cpu":
            with self.watch.time("forward"), scoring(self.device, form):
                return self._link.download(replicas.score(batch), None)
        # Nothing waits for the device here: the next batch is handed over while it computes, and its own
        # clock tells how long it took.
        started = self._link.mark()
        with scoring(self.device, form):
            logits = replicas.score(batch)
        return self._link.download(logits, started)
