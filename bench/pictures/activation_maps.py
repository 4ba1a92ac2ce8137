"""First-layer filters and activation maps: what a network looks for in pixels, and where it finds it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.errors import BenchError
from bench.support.figures import save_png
from detectors.base import Detector
from leaderboards.plots.figure import new_figure

FILTERS, FILTERS_ACROSS = 64, 16  # drawn at most, and so many a line
MAPS, MAPS_ACROSS = 16, 8  # of each picture
_ACTIVATIONS = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish,
    nn.Sigmoid, nn.Tanh,
)  # fmt: skip
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FirstLayer:
    """The first convolution of a network over RGB pixels, and what it finds in some canvases.

    Attributes:
        filters: (F, 3, kh, kw) float32 weights.
        maps: (F, h, w) float32 for each canvas, in their order.
        after: What the maps come out of: the activation's name (``ReLU``) where it follows before any
            other convolution, else ``convolution``.
    """

    filters: Floats
    maps: tuple[Floats, ...]
    after: str


class _Watch:
    """Listens to one forward pass for the first convolution over three channels, and its activation."""

    def __init__(self) -> None:
        self.filters: Tensor | None = None
        self.maps: Tensor | None = None
        self.after = "convolution"
        self._done = False

    def __call__(self, module: nn.Module, _: Any, output: Any) -> None:
        if self._done or not isinstance(output, Tensor):
            return
        if isinstance(module, nn.Conv2d):
            self._done = self.maps is not None
            if self.maps is None and module.in_channels == 3 and module.groups == 1:
                self.filters, self.maps = module.weight.detach(), output.clone()
        elif self.maps is not None and isinstance(module, _ACTIVATIONS):
            # A vision transformer's first activation acts on tokens: that is no map of these filters.
            if output.ndim == 4 and output.shape[1] == self.maps.shape[1]:
                self.maps, self.after = output.clone(), type(module).__name__
            self._done = True


def first_layer(detector: Detector, canvases: Sequence[NDArray[np.uint8]]) -> FirstLayer:
    """Run canvases through a detector and keep what its first layer makes of them.

    Args:
        detector: On its device, with weights.
        canvases: (3, h, w) uint8 each, as :meth:`~detectors.base.Detector.fit` gives them; at least one.

    Raises:
        BenchError: The detector holds no convolution over RGB pixels.
    """
    found, watch = [], _Watch()
    for canvas in canvases:
        watch = _Watch()
        with contextlib.ExitStack() as hooks, torch.inference_mode():
            for module in (m for held in detector.modules() for m in held.modules()):
                hooks.callback(module.register_forward_hook(watch).remove)
            where = next((p.device for m in detector.modules() for p in m.parameters()), None)
            detector.logits(torch.from_numpy(canvas[None]).to(where).float() / 255)
        if watch.maps is None:
            raise BenchError(
                f"{detector.card.name} has no convolution over RGB pixels: there are no filters to draw"
            )
        found.append(_plain(watch.maps[0]))
    assert watch.filters is not None
    return FirstLayer(_plain(watch.filters), tuple(found), watch.after)


def draw_maps(
    detector: Detector,
    pictures: Sequence[tuple[str, NDArray[np.uint8]]],
    path: Path,
    *,
    title: str,
) -> None:
    """Draw the filters, and under them a row for each picture: its canvas and its strongest maps.

    A filter is stretched to its own range. A map is stretched over all pictures together, so that one
    column compares the pictures; the filters chosen are those with the largest mean map.

    Args:
        detector: On its device, with weights.
        pictures: What each is, in words, and (H, W, 3) uint8.
        path: PNG to write.
        title: Above it all.

    Raises:
        BenchError: The detector holds no convolution over RGB pixels.
        OutputError: The place cannot be written.
    """
    canvases = [detector.fit(picture) for _, picture in pictures]
    layer = first_layer(detector, canvases)
    strength = np.mean([np.abs(maps).mean(axis=(1, 2)) for maps in layer.maps], axis=0)
    chosen = np.sort(np.argsort(-strength, kind="stable")[:MAPS])
    low = np.min([maps[chosen].min(axis=(1, 2)) for maps in layer.maps], axis=0)
    high = np.max([maps[chosen].max(axis=(1, 2)) for maps in layer.maps], axis=0)
    filters = [stretch(f, f.min(), f.max()).transpose(1, 2, 0) for f in layer.filters[:FILTERS]]
    figure = new_figure(9, 2.6 + 1.95 * len(pictures))
    grid = figure.add_gridspec(
        1 + len(pictures), 2, width_ratios=[1, 4], height_ratios=[1.25, *[1] * len(pictures)]
    )
    count, size = len(layer.filters), "x".join(map(str, layer.filters.shape[2:]))
    shown = f"{len(filters)} of {count}" if count > len(filters) else f"the {count}"
    axes = figure.add_subplot(grid[0, :])
    axes.imshow(mosaic(filters, FILTERS_ACROSS))
    axes.set_title(f"{shown} filters of the first layer, {size} px", loc="left", fontsize=8)
    axes.set_axis_off()
    for row, ((what, _), canvas, maps) in enumerate(
        zip(pictures, canvases, layer.maps, strict=True), start=1
    ):
        left, right = figure.add_subplot(grid[row, 0]), figure.add_subplot(grid[row, 1])
        left.imshow(canvas.transpose(1, 2, 0))
        left.set_title(what, loc="left", fontsize=8, parse_math=False)
        tiles = [stretch(maps[f], low[i], high[i]) for i, f in enumerate(chosen)]
        right.imshow(mosaic(tiles, MAPS_ACROSS), cmap="gray", vmin=0, vmax=1)
        right.set_title(f"after {layer.after}", loc="left", fontsize=8)
        left.set_axis_off()
        right.set_axis_off()
    figure.suptitle(title, fontsize=9, parse_math=False)
    save_png(figure, path)


def stretch(values: Floats, low: float, high: float) -> Floats:
    """Bring ``low..high`` to 0..1; a constant becomes mid-grey."""
    if high <= low:
        return np.full_like(values, 0.5)
    return ((values - low) / (high - low)).clip(0, 1)


def mosaic(tiles: Sequence[Floats], across: int) -> Floats:
    """Tiles of one (h, w) or (h, w, 3) shape side by side, ``across`` a line, white between them."""
    height, width = tiles[0].shape[:2]
    gap = max(1, width // 16)
    columns, lines = min(across, len(tiles)), -(-len(tiles) // across)
    whole = np.ones(
        (lines * (height + gap) - gap, columns * (width + gap) - gap, *tiles[0].shape[2:]),
        np.float32,
    )
    for at, tile in enumerate(tiles):
        top, left = at // across * (height + gap), at % across * (width + gap)
        whole[top : top + height, left : left + width] = tile
    return whole


def _plain(tensor: Tensor) -> Floats:
    values: Floats = tensor.float().cpu().numpy()
    return values
