"""What every question is asked with: the device, the time, detectors that need no download, pictures."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from bench.inference.detector import DetectorRequest, resolve
from bench.inference.device import quiet_numerics
from detectors.base import Detector

Figures = Mapping[str, Any]
"""Figures of a question, by name; nested as the question likes. Those of several yields are merged."""

# Networks of published detectors, at 224 px, with weights drawn from a seed: speed does not depend on them.
NETWORKS = ("timm/resnet50", "timm/vit_base_patch16_224", "timm/convnext_small")
# One of each kind that ships with less than 5 MB of weights.
TRAINED = ("genimage-cnn", "dalle2-art-cnn", "mobilenetv2_100", "vit")
# What a published data set has on average (ImageNet's photographs), in px: height, width.
PICTURE = (375, 500)


class NotInstalledError(Exception):
    """The question needs a distribution that is not here; the message names it."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How a question is asked.

    Attributes:
        device: ``cuda`` or ``cpu``.
        seconds: The question's part of the time there is; what is timed, is timed for a part of it.
        limit: Seconds after which the question is ended.
        small: Run the same code on as little as it needs to run at all.
    """

    device: str
    seconds: float
    limit: float
    small: bool

    @property
    def brief(self) -> bool:
        """Whether there is time for one network only."""
        return self.small and self.seconds < 15

    @property
    def networks(self) -> tuple[str, ...]:
        """Give the large networks that there is time for."""
        return NETWORKS[:1] if self.brief else NETWORKS

    @property
    def torch_device(self) -> torch.device:
        """The device, set to repeat itself as a run sets it."""
        device = torch.device(self.device)
        quiet_numerics(device)
        return device

    def detector(self, name: str) -> Detector:
        """A detector on the device; its weights are drawn from a seed where none ship."""
        return resolve(DetectorRequest(name), allow_untrained=True).to(self.torch_device)

    def synchronise(self) -> None:
        """Wait until the device has nothing left to do."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    def clock(self) -> float:
        """Seconds on the clock beside a GPU; of this process's CPU time on a CPU, which others may share."""
        return time.process_time() if self.device == "cpu" else time.perf_counter()

    def rate(self, work: Callable[[], object], items: int, seconds: float) -> float:
        """Items a second: the best of as many calls as fit in ``seconds``, at least one, after a warm-up."""
        work()
        self.synchronise()
        best, until = float("inf"), time.perf_counter() + seconds
        while True:
            start = self.clock()
            work()
            self.synchronise()
            best = min(best, self.clock() - start)
            if time.perf_counter() >= until:
                return items / best


def canvases(count: int, side: int = 224) -> np.ndarray:
    """(count, 3, side, side) uint8, drawn from a seed."""
    return np.random.default_rng(0).integers(0, 256, (count, 3, side, side), dtype=np.uint8)


def photograph(number: int, size: tuple[int, int] = PICTURE) -> Image.Image:
    """A picture as smooth as a photograph, with some grain: what codecs take depends on both."""
    rng = np.random.default_rng(number)
    waves = rng.normal(0, 1, (size[0] // 8, size[1] // 8, 3)).cumsum(0).cumsum(1)
    waves = 255 * (waves - waves.min()) / np.ptp(waves)
    smooth = Image.fromarray(waves.astype(np.uint8)).resize(
        (size[1], size[0]), Image.Resampling.BICUBIC
    )
    grain = rng.normal(0, 6, (*size, 3)) + np.asarray(smooth)
    return Image.fromarray(grain.clip(0, 255).astype(np.uint8))


def data_set(root: Path, count: int) -> Path:
    """``count`` JPEG files, half real and half fake, and the table that lists them."""
    root.mkdir(parents=True, exist_ok=True)

    def save(number: int) -> str:
        fake = number % 2 == 1
        path = root / f"{number:05d}.jpg"
        photograph(number).save(path, quality=92)
        return f"{path.name},{'fake' if fake else 'real'},{'g' if fake else ''}"

    with ThreadPoolExecutor() as pool:
        rows = list(pool.map(save, range(count)))
    table = root / "manifest.csv"
    table.write_text("\n".join(["path,label,generator", *rows]) + "\n")
    return table


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    root = Path(tempfile.mkdtemp(prefix="bench-gpu-"))
    try:
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)
