"""First-layer filters and activation maps: what a network looks for in pixels, and where it finds it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.errors import BenchError
from bench.inference.batches import unit_floats
from bench.support.figures import save_png
from detectors.base import Detector
from leaderboards.plots.figure import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FILTERS, FILTERS_ACROSS = 64, 16  # filters drawn at most, and in one line
MAPS, MAPS_ACROSS = 16, 8  # maps drawn of each picture, and in one line
_ACTIVATIONS = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish,
    nn.Sigmoid, nn.Tanh,
)  # fmt: skip
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FirstLayer:
    """The first convolution of a network over RGB pixels, and its maps of some canvases.

    Attributes:
        filters: (F, 3, kh, kw) float32 weights.
        maps: (F, h, w) float32 for each canvas, in their order.
        after: The layer that the maps come out of: the activation's name (``ReLU``) where one follows
            before any other convolution, else ``convolution``.
    """

    filters: Floats
    maps: tuple[Floats, ...]
    after: str


class NoConvolutionError(BenchError):
    """A detector without a convolution over RGB pixels: there are no filters to draw."""


class _FirstLayerHook:
    """A forward hook that keeps the first convolution over three channels, and its activation."""

    def __init__(self) -> None:
        self.filters: Tensor | None = None
        self.maps: Tensor | None = None
        self.after = "convolution"
        self._complete = False

    def __call__(self, module: nn.Module, _: Any, output: Any) -> None:
        if self._complete or not isinstance(output, Tensor):
            return
        if isinstance(module, nn.Conv2d):
            self._complete = self.maps is not None
            if self.maps is None and module.in_channels == 3 and module.groups == 1:
                self.filters, self.maps = module.weight.detach(), output.clone()
        elif self.maps is not None and isinstance(module, _ACTIVATIONS):
            # A vision transformer's first activation acts on tokens: that is no map of these filters.
            if output.ndim == 4 and output.shape[1] == self.maps.shape[1]:
                self.maps, self.after = output.clone(), type(module).__name__
            self._complete = True


def first_layer(detector: Detector, canvases: Sequence[NDArray[np.uint8]]) -> FirstLayer:
    """Run canvases through a detector and keep what its first layer makes of them.

    Args:
        detector: A detector with weights, on its device.
        canvases: (3, h, w) uint8 each, as :meth:`~detectors.base.Detector.fit` gives them; at least one.

    Raises:
        NoConvolutionError: The detector holds no convolution over RGB pixels.
    """
    layers = [_first_layer_of_one(detector, canvas) for canvas in canvases]
    maps = tuple(one for layer in layers for one in layer.maps)
    return FirstLayer(layers[-1].filters, maps, layers[-1].after)


def _first_layer_of_one(detector: Detector, canvas: NDArray[np.uint8]) -> FirstLayer:
    watch = _FirstLayerHook()
    networks = list(detector.modules())
    device = next((p.device for network in networks for p in network.parameters()), None)
    with contextlib.ExitStack() as hooks, torch.inference_mode():
        for network in networks:
            for module in network.modules():
                hooks.callback(module.register_forward_hook(watch).remove)
        detector.logits(unit_floats(torch.from_numpy(canvas[None]).to(device)))
    if watch.filters is None or watch.maps is None:
        raise NoConvolutionError(
            f"{detector.card.name} has no convolution over RGB pixels: there are no filters to draw"
        )
    return FirstLayer(_plain(watch.filters), (_plain(watch.maps[0]),), watch.after)


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
        detector: A detector with weights, on its device.
        pictures: Pairs of a title and an (H, W, 3) uint8 picture.
        path: PNG to write.
        title: Text above the whole.

    Raises:
        NoConvolutionError: The detector holds no convolution over RGB pixels.
        OutputError: The place cannot be written.
    """
    titles = [name for name, _ in pictures]
    canvases = [detector.fit(picture) for _, picture in pictures]
    layer = first_layer(detector, canvases)
    figure = new_figure(9, 2.6 + 1.95 * len(pictures))
    grid = figure.add_gridspec(
        1 + len(pictures), 2, width_ratios=[1, 4], height_ratios=[1.25, *[1] * len(pictures)]
    )
    _draw_filters(figure.add_subplot(grid[0, :]), layer)
    for row, tiles in enumerate(_strongest_maps(layer)):
        left, right = figure.add_subplot(grid[row + 1, 0]), figure.add_subplot(grid[row + 1, 1])
        left.imshow(canvases[row].transpose(1, 2, 0))
        left.set_title(titles[row], loc="left", fontsize=8, parse_math=False)
        right.imshow(mosaic(tiles, MAPS_ACROSS), cmap="gray", vmin=0, vmax=1)
        right.set_title(f"after {layer.after}", loc="left", fontsize=8)
        left.set_axis_off()
        right.set_axis_off()
    figure.suptitle(title, fontsize=9, parse_math=False)
    save_png(figure, path)


def _draw_filters(axes: Axes, layer: FirstLayer) -> None:
    filters = [stretch(f, f.min(), f.max()).transpose(1, 2, 0) for f in layer.filters[:FILTERS]]
    count, size = len(layer.filters), "x".join(map(str, layer.filters.shape[2:]))
    shown = f"{len(filters)} of {count}" if count > len(filters) else f"the {count}"
    axes.imshow(mosaic(filters, FILTERS_ACROSS))
    axes.set_title(f"{shown} filters of the first layer, {size} px", loc="left", fontsize=8)
    axes.set_axis_off()


def _strongest_maps(layer: FirstLayer) -> list[list[Floats]]:
    """For each canvas the maps of the filters with the largest mean map, stretched over all canvases."""
    strength = np.mean([np.abs(maps).mean(axis=(1, 2)) for maps in layer.maps], axis=0)
    strongest = np.sort(np.argsort(-strength, kind="stable")[:MAPS]).tolist()
    low = {f: min(float(maps[f].min()) for maps in layer.maps) for f in strongest}
    high = {f: max(float(maps[f].max()) for maps in layer.maps) for f in strongest}
    return [[stretch(maps[f], low[f], high[f]) for f in strongest] for maps in layer.maps]


def stretch(values: Floats, low: float, high: float) -> Floats:
    """Bring ``low..high`` to 0..1; a constant becomes mid-grey."""
    if high <= low:
        return np.full_like(values, 0.5)
    return ((values - low) / (high - low)).clip(0, 1)


def mosaic(tiles: Sequence[Floats], across: int) -> Floats:
    """Set tiles of one (h, w) or (h, w, 3) shape side by side, ``across`` a line, white between them."""
    height, width = tiles[0].shape[:2]
    gap = max(1, width // 16)
    columns, lines = min(across, len(tiles)), -(-len(tiles) // across)
    size = (lines * (height + gap) - gap, columns * (width + gap) - gap)
    canvas = np.ones((*size, *tiles[0].shape[2:]), np.float32)
    for position, tile in enumerate(tiles):
        top, left = position // across * (height + gap), position % across * (width + gap)
        canvas[top : top + height, left : left + width] = tile
    return canvas


def _plain(tensor: Tensor) -> Floats:
    values: Floats = tensor.float().cpu().numpy()
    return values
