"""Pairs of 64-bit hashes that differ in few bits, without comparing every pair (multi-index hashing).

Two hashes at most r bits apart, cut into m bands, have a band at most ``r // m`` bits apart (pigeonhole); so
looking up each band, with so many bits flipped in every way, misses no pair.

Source:
    Norouzi, Punjani and Fleet (2012), Fast search in Hamming space with multi-index hashing, CVPR.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Pairs = NDArray[np.int64]

_BITS: Final = 64
_BLOCK: Final = 1 << 19  # candidate pairs that are held at a time
_ONES: Final = np.array([bin(value).count("1") for value in range(1 << 16)], dtype=np.uint8)


def near_pairs(queries: Hashes, index: Hashes, radius: int) -> Pairs:
    """Find all pairs of a query and an indexed hash at most ``radius`` bits apart.

    Args:
        queries: (n,) uint64.
        index: (m,) uint64; equal ones cost as much as they make pairs, so give each once.
        radius: Largest number of differing bits, 0 to 16.

    Returns:
        (p, 2) positions (query, indexed), each pair once, sorted.

    Example:
        >>> near_pairs(np.array([0b0110], np.uint64), np.array([0b0111, 0b1001], np.uint64), 2).tolist()
        [[0, 0]]
    """
    if not len(queries) or not len(index):
        return np.empty((0, 2), dtype=np.int64)
    bands = _band_count(len(index), radius)
    found = [np.empty((0, 2), dtype=np.int64)]
    for start, stop in _edges(bands):
        for block in _candidates(queries, index, start, stop, radius // bands):
            apart = bits_apart(queries[block[:, 0]], index[block[:, 1]])
            found.append(block[apart <= radius])
    pairs: Pairs = np.unique(np.concatenate(found), axis=0)
    return pairs


def bits_apart(one: Hashes, other: Hashes) -> NDArray[np.int64]:
    """Count the bits in which hashes differ, (n,) each.

    Example:
        >>> bits_apart(np.array([0b101], np.uint64), np.array([0b110], np.uint64)).tolist()
        [2]
    """
    words = np.ascontiguousarray(one ^ other).view(np.uint16).reshape(-1, 4)
    counts: NDArray[np.int64] = _ONES[words].sum(axis=1, dtype=np.int64)
    return counts


def _band_count(size: int, radius: int) -> int:
    """Choose the number of bands that costs least: wide ones need many flips, narrow ones collide."""

    def cost(bands: int) -> float:
        width = _BITS / bands
        probes = sum(math.comb(math.ceil(width), k) for k in range(radius // bands + 1))
        return bands * probes * (1 + size / 2**width)

    # Wider bands than 22 bits would need tables larger than the data.
    return min(range(3, 17), key=cost)


def _edges(bands: int) -> Iterator[tuple[int, int]]:
    """Give first and last bit (exclusive) of each band."""
    edges = [round(i * _BITS / bands) for i in range(bands + 1)]
    return itertools.pairwise(edges)


def _candidates(
    queries: Hashes, index: Hashes, start: int, stop: int, flips: int
) -> Iterator[Pairs]:
    """Give blocks of pairs whose bands differ in at most ``flips`` bits."""
    width = stop - start
    mask = np.uint64((1 << width) - 1)
    keys = ((index >> np.uint64(start)) & mask).astype(np.int64)
    asked = ((queries >> np.uint64(start)) & mask).astype(np.int64)
    order = np.argsort(keys, kind="stable")
    bounds = np.searchsorted(keys[order], np.arange((1 << width) + 1))
    for flip in _flips(width, flips):
        probe = asked ^ flip
        first, counts = bounds[probe], bounds[probe + 1] - bounds[probe]
        for part in _parts(counts):
            repeats = counts[part]
            rows = np.repeat(np.arange(part.start, part.stop), repeats)
            within = np.arange(len(rows)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
            yield np.stack([rows, order[np.repeat(first[part], repeats) + within]], axis=1)


def _flips(width: int, most: int) -> Iterator[int]:
    for count in range(most + 1):
        for places in itertools.combinations(range(width), count):
            yield sum(1 << place for place in places)


def _parts(counts: NDArray[np.int64]) -> Iterator[slice]:
    """Cut queries so that the candidates of each part fit a block."""
    total = np.cumsum(counts)
    start = 0
    while start < len(counts):
        limit = (total[start - 1] if start else 0) + _BLOCK
        stop = max(start + 1, int(np.searchsorted(total, limit, side="right")))
        yield slice(start, stop)
        start = stop
