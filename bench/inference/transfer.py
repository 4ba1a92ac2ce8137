"""Batches to the device and logits back, while the device goes on computing.

Pixels travel as 8-bit integers, a quarter of their size as floats, from page-locked memory and on a stream of
their own; they become floats where the network is. Beside a network on the host there is nothing to carry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.inference.batches import Batch, unit_floats


@dataclass(frozen=True, slots=True)
class Upload:
    """A batch on the device, or on its way there.

    Attributes:
        images: (N, 3, h, w) uint8, or float32 in [0, 1], on the device.
        arrived: Event of the copying stream behind the last byte; ``None`` where nothing was copied.
    """

    images: Tensor
    arrived: Any = None

    def pixels(self) -> Tensor:
        """Give (N, 3, h, w) float32 in [0, 1] to the current stream, which waits for the copy first."""
        if self.arrived is not None:
            stream: Any = torch.cuda.current_stream(self.images.device)
            stream.wait_event(self.arrived)
            # The copying stream owns this memory; it may not hand it out again before it has been read.
            self.images.record_stream(stream)
        return unit_floats(self.images)


@dataclass(frozen=True, slots=True)
class Download:
    """Logits of one batch in the host's memory, or on their way there.

    Attributes:
        logits: (N,) float32 on the host; not to be read before :meth:`wait`.
        started: Event before the network's first operation; ``None`` beside a network on the host.
        computed: Event behind the network's last operation.
        arrived: Event behind the copy.
    """

    logits: Tensor
    started: Any = None
    computed: Any = None
    arrived: Any = None

    def wait(self) -> NDArray[np.float32]:
        """Wait for the logits; other threads may use the core meanwhile."""
        if self.arrived is not None:
            self.arrived.synchronize()
        values: NDArray[np.float32] = self.logits.numpy()
        return values

    def seconds(self) -> float:
        """Read the device's own clock for the network, 0 beside a network on the host; wait first."""
        return 0.0 if self.started is None else self.started.elapsed_time(self.computed) / 1000


class Link:
    """The way between the host and the device of a run.

    Attributes:
        device: Where networks run.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        make_stream: Any = torch.cuda.Stream
        self._copies = make_stream(device) if device.type == "cuda" else None

    def upload(self, batch: Batch) -> Upload:
        """Send a batch to the device without waiting for it."""
        if self._copies is None:
            return Upload(batch.tensor(self.device))
        page_locked = torch.from_numpy(batch.images).pin_memory()
        with torch.cuda.stream(self._copies):
            images = page_locked.to(self.device, non_blocking=True)
        return Upload(images, self._copies.record_event(_event()))

    def mark(self) -> Any:
        """Record an event on the current stream of the device; ``None`` beside a network on the host."""
        if self._copies is None:
            return None
        return _current(self.device).record_event(_event(timed=True))

    def download(self, logits: Tensor, started: Any) -> Download:
        """Send logits to the host without waiting for them.

        Args:
            logits: (N,) float32, as the current stream will have computed them.
            started: What :meth:`mark` gave before the network began.
        """
        if self._copies is None:
            return Download(logits)
        computed = self.mark()
        on_host = torch.empty(logits.shape, dtype=logits.dtype, pin_memory=True)
        on_host.copy_(logits, non_blocking=True)
        return Download(on_host, started, computed, _current(self.device).record_event(_event()))


def _current(device: torch.device) -> Any:
    return torch.cuda.current_stream(device)


def _event(*, timed: bool = False) -> Any:
    """Make an event whose waiter sleeps: a core that spins is one that decodes nothing."""
    make: Any = torch.cuda.Event
    return make(enable_timing=timed, blocking=True)
