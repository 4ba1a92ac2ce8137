"""Occlusion: what a detector's score loses where a patch of the picture is hidden; no gradient is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from detectors.base import Detector

_BATCH = 32  # canvases a forward pass
_ACROSS = 8  # patches that fit side by side, where no size is given


def occlusion(
    detector: Detector,
    canvas: NDArray[np.uint8],
    *,
    patch: int | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> NDArray[np.float64]:
    """Give, for every pixel, the mean drop of the logit over the patches that hide it.

    Patches lie half a side apart and reach to every edge; what they hide is replaced by the mean colour of
    the canvas (Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional Networks").

    Args:
        detector: A detector with weights, on its device; one that has no gradient will do.
        canvas: (3, h, w) uint8, as :meth:`~detectors.base.Detector.fit` gives it.
        patch: Side of a patch in px of the canvas, at least 1; an eighth of the shorter side by default.
        advance: Called with the number of patches that have been scored.

    Returns:
        (h, w) float64 in units of the logit: positive where the hidden pixels speak for AI-generated.

    Raises:
        DetectorError: The detector gives no finite logit for one of them.
    """
    height, width = canvas.shape[1:]
    side = min(patch or max(1, min(height, width) // _ACROSS), height, width)
    pixels = np.divide(canvas, 255, dtype=np.float32)
    colour = pixels.mean(axis=(1, 2), keepdims=True)
    places = [(y, x) for y in _starts(height, side) for x in _starts(width, side)]
    plain = _logits(detector, pixels[None])[0]
    total, hidden = np.zeros((height, width)), np.zeros((height, width))
    for chosen in _batches(places):
        batch = np.repeat(pixels[None], len(chosen), axis=0)
        for image, (y, x) in zip(batch, chosen, strict=True):
            image[:, y : y + side, x : x + side] = colour
        for (y, x), logit in zip(chosen, _logits(detector, batch), strict=True):
            total[y : y + side, x : x + side] += plain - logit
            hidden[y : y + side, x : x + side] += 1
        advance(len(chosen))
    drops: NDArray[np.float64] = total / hidden
    return drops


def patch_count(canvas: NDArray[np.uint8], patch: int | None = None) -> int:
    """Count the patches that :func:`occlusion` scores on a canvas."""
    height, width = canvas.shape[1:]
    side = min(patch or max(1, min(height, width) // _ACROSS), height, width)
    return len(_starts(height, side)) * len(_starts(width, side))


def _starts(length: int, side: int) -> list[int]:
    """Where patches begin along an axis: half a side apart, the last one at the edge."""
    step = max(1, side // 2)
    return sorted({*range(0, length - side, step), length - side})


def _batches(places: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    for start in range(0, len(places), _BATCH):
        yield places[start : start + _BATCH]


def _logits(detector: Detector, batch: NDArray[np.float32]) -> NDArray[np.float64]:
    device = next((p.device for m in detector.modules() for p in m.parameters()), None)
    with torch.inference_mode():
        logits = detector.checked_logits(torch.from_numpy(batch).to(device))
    values: NDArray[np.float64] = logits.double().cpu().numpy()
    return values
