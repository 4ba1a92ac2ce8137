"""The selected images as chunks: in manifest order, or in the order in which cells come to their looks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.datasets import Manifest
from bench.protocol.cuts import cut_samples
from bench.runs.request import RunRequest
from bench.store import units as planning
from bench.store.units import Chunk
from leaderboards import Slice
from leaderboards.tables.rounds.stopping import Looks


class Layout(NamedTuple):
    """The selected images, cut to bounded memory.

    Attributes:
        rows: (n,) int64 rows of the manifest, in the order of the chunks.
        chunks: The same, cut.
        looks: Where cells may stop, with images numbered as in ``rows``; None where everything is scored.
    """

    rows: NDArray[np.int64]
    chunks: tuple[Chunk, ...]
    looks: Looks | None = None


def layout_of(
    request: RunRequest,
    manifest: Manifest,
    rows: NDArray[np.int64],
    pairing: Mapping[str, tuple[str, ...]],
    split: str,
) -> Layout:
    """Cut the selected images into chunks.

    Where cells may stop, a chunk holds images that the same slices need, in the order of scoring: what a
    slice needs next is then in few chunks. The cut does not depend on the target, so that another target
    finds the scores that there are.

    Args:
        request: Says whether cells may stop, and the seed of the order.
        manifest: The data set.
        rows: (n,) int64 selected rows, ascending.
        pairing: Generator to the real sources it is compared with.
        split: The split that is scored, for messages.
    """
    if request.until is None:
        return Layout(rows, planning.cut(manifest, rows))
    suite = request.suite

    def looks_at(order: NDArray[np.int64]) -> Looks:
        samples = manifest.whole_table.take(order).to_pandas()
        cuts = cut_samples(
            samples, suite.slices, pairing,
            dataset=manifest.name, split=split, matched=suite.pairing == "matched",
        )  # fmt: skip
        return Looks.of(samples, cuts, request.seed)

    looks = looks_at(rows)
    parts = [
        rows[chunk]
        for alike in _alike(looks.cuts, len(rows))
        for chunk in _cut(manifest, rows, alike[np.argsort(looks.places[alike], kind="stable")])
    ]
    first = dict(zip(rows.tolist(), looks.places.tolist(), strict=True))
    parts.sort(key=lambda part: (min(first[row] for row in part.tolist()), int(part[0])))
    order = np.concatenate(parts)
    return Layout(order, planning.number(manifest, parts), looks_at(order))


def _alike(cuts: Sequence[Slice], n: int) -> Iterator[NDArray[np.int64]]:
    """Group images by the slices they are in and by class; those in no slice come last."""
    codes = np.zeros(n, dtype=np.int64)
    for cut in cuts:
        for side in (cut.real_rows, cut.fake_rows):
            member = np.zeros(n, dtype=np.int64)
            member[side] = 1
            _, codes = np.unique(codes * 2 + member, return_inverse=True)
    for code in np.unique(codes):
        yield np.flatnonzero(codes == code)


def _cut(
    manifest: Manifest, rows: NDArray[np.int64], order: NDArray[np.int64]
) -> Iterator[NDArray[np.int64]]:
    """Cut images in their order to chunks of bounded memory; inside a chunk they are in manifest order."""
    for start, stop in planning.bounds(manifest, rows[order]):
        yield np.sort(order[start:stop])
