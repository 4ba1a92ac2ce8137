"""Going through something that branches, such as folders, several branches at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import TypeVar

Node = TypeVar("Node")
Answer = TypeVar("Answer")


def walk(
    first: Node,
    look: Callable[[Node], Answer],
    branches: Callable[[Answer], Iterable[Node]],
    workers: int,
) -> Iterator[Answer]:
    """Look at a node and at all below it, in threads; answers come in the order in which they are ready.

    Args:
        first: Where to begin.
        look: Says what a node holds; what it raises ends the walk.
        branches: Names the nodes to look at after an answer.
        workers: Number of threads.
    """
    with ThreadPoolExecutor(max_workers=workers) as pool:
        pending = {pool.submit(look, first)}
        while pending:
            finished, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in finished:
                answer = future.result()
                pending |= {pool.submit(look, node) for node in branches(answer)}
                yield answer
