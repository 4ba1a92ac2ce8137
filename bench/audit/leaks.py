"""What a leak is: images that belong together, on two sides of a line. Training and audit ask here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]


def bundles(columns: Sequence[Sequence[str]], links: Iterable[tuple[int, int]] = ()) -> Rows:
    """Number images so that those that belong together have one number (union-find).

    Images belong together where they share a value of a column (a group, a digest of their bytes), or
    where a link says so; and so do those that belong to the same.

    Args:
        columns: Each (n,) values; an empty one is shared with nobody.
        links: Pairs of positions that belong together as well.

    Returns:
        (n,) the position of one image of the bundle.

    Example:
        >>> bundles([["a", "a", "b", ""], ["", "x", "x", ""]]).tolist()
        [0, 0, 0, 3]
    """
    count = len(columns[0])
    parent = list(range(count))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for column in columns:
        first: dict[str, int] = {}
        for node, value in enumerate(column):
            if value:
                parent[root(node)] = root(first.setdefault(value, node))
    for one, other in links:
        parent[root(one)] = root(other)
    return np.array([root(node) for node in range(count)], dtype=np.int64)


def shared(values: NDArray[np.object_], others: NDArray[np.object_]) -> Mask:
    """Say which values, (n,), occur among others, (m,); an empty one is shared with nobody.

    Example:
        >>> shared(np.array(["a", "", "b"], object), np.array(["b", ""], object)).tolist()
        [False, False, True]
    """
    known = {value for value in others.tolist() if value}
    return np.array([value in known for value in values.tolist()], dtype=bool)


def clusters(code: NDArray[np.int64]) -> Iterator[list[int]]:
    """Give the positions of each code, (n,), that occurs more than once.

    Example:
        >>> list(clusters(np.array([5, 3, 5])))
        [[0, 2]]
    """
    order = np.argsort(code, kind="stable")
    starts = np.flatnonzero(np.diff(code[order], prepend=-1))
    for start, stop in zip(starts, [*starts[1:], len(order)], strict=True):
        if stop - start > 1:
            yield order[start:stop].tolist()
