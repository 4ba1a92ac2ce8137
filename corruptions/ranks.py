"""The median of a window as a sorting network over whole pictures: minima and maxima, nothing else.

Each comparator of the network is one ``np.minimum`` and one ``np.maximum`` of two shifted pictures,
which run at the speed of memory; a selection per pixel is tens of times slower. The windows' columns
are sorted once and shared by all windows that hold them, and comparators whose results the median
does not depend on are left out.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8]
CACHE_BYTES = 2**21  # what a core's cache holds: all wires of a block of rows


class Comparator(NamedTuple):
    """Two wires of a network: the smaller value goes to ``low``, the larger to ``high``.

    Attributes:
        low: Index of the first wire.
        high: Index of the second wire.
        uses_low: Whether the median depends on the smaller value.
        uses_high: Whether the median depends on the larger value.
    """

    low: int
    high: int
    uses_low: bool
    uses_high: bool


def median(image: Plane, size: int) -> Plane:
    """Take the median over ``size`` x ``size`` pixels, channel by channel, the border repeated.

    Args:
        image: H x W x 3, uint8.
        size: Side of the window in px, odd.
    """
    height, width, channels = image.shape
    reach = size // 2
    padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    rows = padded.reshape(height + 2 * reach, -1)
    out = np.empty((height, width * channels), dtype=np.uint8)
    block = max(1, CACHE_BYTES // (size * size * rows.shape[1]))
    for top in range(0, height, block):
        bottom = min(top + block, height)
        columns = [rows[top + i : bottom + i] for i in range(size)]
        columns = _run(_column_network(size), columns)
        wires = [
            column[:, x * channels : (x + width) * channels]
            for x in range(size)
            for column in columns
        ]
        out[top:bottom] = _run(_merge_network(size), wires)[size * size // 2]
    return out.reshape(image.shape)


def _run(network: tuple[Comparator, ...], wires: list[Plane]) -> list[Plane]:
    """Send wires through a network; the arrays that come in are not written to.

    Buffers go round: an array made here is written again once no wire holds it.
    """
    wires = list(wires)
    owned = [False] * len(wires)
    spare: list[Plane] = []
    for low, high, uses_low, uses_high in network:
        a, b = wires[low], wires[high]
        if uses_low and uses_high:
            small = np.minimum(a, b, out=spare.pop() if spare else None)
            large = np.maximum(a, b, out=b if owned[high] else (a if owned[low] else None))
            if owned[high] and owned[low]:
                spare.append(a)
            wires[low], wires[high] = small, large
            owned[low] = owned[high] = True
            continue
        kept, pick = (low, np.minimum) if uses_low else (high, np.maximum)
        target = a if owned[low] else (b if owned[high] else None)
        wires[kept] = pick(a, b, out=target)
        if owned[low] and owned[high]:
            spare.append(b)
        owned[low] = owned[high] = False
        owned[kept] = True
    return wires


@functools.cache
def _column_network(size: int) -> tuple[Comparator, ...]:
    return _pruned(_sort(list(range(size))), set(range(size)))


@functools.cache
def _merge_network(size: int) -> tuple[Comparator, ...]:
    """Merge ``size`` sorted runs of ``size`` wires, up to the median on wire ``size * size // 2``."""
    runs = [list(range(i * size, (i + 1) * size)) for i in range(size)]
    pairs: list[tuple[int, int]] = []
    while len(runs) > 1:
        merged = []
        for i in range(0, len(runs) - 1, 2):
            pairs += _merge(runs[i], runs[i + 1])
            merged.append(runs[i] + runs[i + 1])
        runs = merged + ([runs[-1]] if len(runs) % 2 else [])
    order = runs[0]
    # Wires are named in the order in which the last merge leaves them: ascending along ``order``.
    return _pruned(pairs, {order[size * size // 2]})


def _sort(wires: list[int]) -> list[tuple[int, int]]:
    """List the comparators of Batcher's odd-even merge sort, for any number of wires (Batcher 1968)."""
    if len(wires) < 2:
        return []
    half = len(wires) // 2
    left, right = wires[:half], wires[half:]
    return [*_sort(left), *_sort(right), *_merge(left, right)]


def _merge(left: list[int], right: list[int]) -> list[tuple[int, int]]:
    """List the comparators of Batcher's odd-even merge of two sorted runs; ascending along left + right.

    Both runs may have any length: they are thought of as padded to one power of two, ``left`` with
    smallest values in front, ``right`` with largest ones behind. Padding never moves, so its
    comparators are left out.
    """
    length = 1
    while length < max(len(left), len(right)):
        length *= 2
    nothing: list[int | None] = [None]
    wires = nothing * (length - len(left)) + left + right + nothing * (length - len(right))
    return [(a, b) for a, b in _merge_whole(wires) if a is not None and b is not None]


def _merge_whole(wires: list[int | None]) -> list[tuple[int | None, int | None]]:
    if len(wires) == 2:
        return [(wires[0], wires[1])]
    even, odd = _merge_whole(wires[::2]), _merge_whole(wires[1::2])
    return [*even, *odd, *zip(wires[1:-1:2], wires[2::2], strict=True)]


def _pruned(pairs: list[tuple[int, int]], outputs: set[int]) -> tuple[Comparator, ...]:
    """Keep the comparators that the output wires depend on, in order."""
    needed, kept = set(outputs), []
    for low, high in reversed(pairs):
        if low in needed or high in needed:
            kept.append(Comparator(low, high, low in needed, high in needed))
            needed |= {low, high}
    return tuple(reversed(kept))
