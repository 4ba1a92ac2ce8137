"""Views of a canvas, as tensors: each is scored by itself, and an image's logits are pooled.

Views are slices of the canvas that attacks act on, so that gradients of every view reach its pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from detectors.inputs.spec import InputSpec, Pool, sides


def pooled(batch: Tensor, spec: InputSpec, score: Callable[[Tensor], Tensor]) -> Tensor:
    """Score every view of a batch and pool the logits of each image.

    Args:
        batch: (N, 3, H, W) canvases, normalised or not.
        spec: Which views, and how their logits are pooled.
        score: Maps a batch of views to (N,) logits; called with N views at a time.

    Returns:
        (N,) logits.
    """
    if spec.views == "one":
        return score(batch)
    return pool(torch.stack([score(view) for view in views(batch, spec)]), spec.pool)


def pool(logits: Tensor, how: Pool) -> Tensor:
    """Pool (views, N) logits to (N,); the median of an even number is the mean of its middle two."""
    match how:
        case "mean":
            return logits.mean(dim=0)
        case "max":
            return logits.amax(dim=0)
        case "median":
            return torch.quantile(logits, 0.5, dim=0)


def views(batch: Tensor, spec: InputSpec) -> Iterator[Tensor]:
    """Cut the views of a batch, in the order of torchvision's ``FiveCrop`` and ``TenCrop``.

    Sliding windows go row by row; where the stride does not reach the far border, a last one lies flush
    with it, so that no pixel is left out for want of room.

    Args:
        batch: (N, 3, H, W), at least as large as a view.
        spec: Which views, of which size.

    Yields:
        (N, 3, h, w) each.

    Raises:
        ValueError: If the rule names no size of views, or the canvas is smaller than one.
    """
    if spec.views == "one":
        yield batch
        return
    if spec.view_size is None:
        raise ValueError(f"views {spec.views!r} need a view_size")
    height, width = sides(spec.view_size)
    rows, columns = batch.shape[-2] - height, batch.shape[-1] - width
    if rows < 0 or columns < 0:
        raise ValueError(
            f"a canvas of {batch.shape[-2]} x {batch.shape[-1]} px has no room for views of "
            f"{height} x {width} px"
        )
    places: list[tuple[int, int]]
    if spec.views == "slide":
        down, across = sides(spec.stride or spec.view_size)
        places = [(top, left) for top in _starts(rows, down) for left in _starts(columns, across)]
    else:
        places = [(top, left) for top in (0, rows) for left in (0, columns)]
        places.append((round(rows / 2), round(columns / 2)))
    for image in (batch, batch.flip(-1)) if spec.views == "ten" else (batch,):
        for top, left in places:
            yield image[..., top : top + height, left : left + width]


def _starts(room: int, stride: int) -> list[int]:
    starts = list(range(0, room + 1, stride))
    return starts if starts[-1] == room else [*starts, room]
