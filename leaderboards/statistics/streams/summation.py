"""Sums of more numbers than memory holds, with the bits of ``numpy.sum`` over all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray


def pairwise_sum(n: int, read: Callable[[int], NDArray[np.float64]], leaf: int) -> float:
    """Sum n numbers that are read in order, a part at a time.

    numpy halves an array (the first half a multiple of eight) until a part has 128 numbers. The same
    halves are taken here, down to parts that numpy sums itself, so that no bit differs.

    Args:
        n: How many numbers there are.
        read: Gives the next m of them, (m,) float64, contiguous.
        leaf: The most that ``read`` is asked for, at least 128.

    Example:
        >>> numbers = iter(range(1000))
        >>> pairwise_sum(1000, lambda m: np.array([next(numbers) for _ in range(m)], float), leaf=128)
        499500.0

    Source:
        Higham (1993), SIAM Journal on Scientific Computing 14, 783-799.
    """
    if n <= leaf:
        return float(np.sum(read(n)))
    half = n // 2
    half -= half % 8
    first = pairwise_sum(half, read, leaf)
    return first + pairwise_sum(n - half, read, leaf)


class Pipe:
    """Arrays of any length, read on as arrays of the length that is asked for.

    Args:
        chunks: One-dimensional arrays of one type.
    """

    def __init__(self, chunks: Iterable[NDArray[Any]]) -> None:
        self._chunks: Iterator[NDArray[Any]] = iter(chunks)
        self._rest: NDArray[Any] = np.zeros(0)

    def read(self, n: int) -> NDArray[Any]:
        """Give the next n items; fewer only where the chunks end."""
        parts, missing = [], n
        while missing:
            if not self._rest.size:
                chunk = next(self._chunks, None)
                if chunk is None:
                    break
                self._rest = chunk
                continue
            part, self._rest = self._rest[:missing], self._rest[missing:]
            parts.append(part)
            missing -= part.size
        return np.concatenate(parts) if parts else np.zeros(0)
