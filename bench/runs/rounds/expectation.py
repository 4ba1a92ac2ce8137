"""How much of a run that stops at a target is likely to be scored, before anything is."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import numpy as np

from leaderboards.statistics.sequential.precision import Precision

if TYPE_CHECKING:
    from bench.runs.prepare import Prepared

# Value of the metric that an estimate supposes; a detector that is better needs fewer images.
SUPPOSED: Final = 0.9


def expected_chunks(prepared: Prepared) -> frozenset[int]:
    """Number the chunks that a column needs where its metric is ``SUPPOSED``; all, where nobody can tell."""
    looks, target = prepared.looks, prepared.request.until
    everything = frozenset(chunk.index for chunk in prepared.chunks)
    if looks is None or not isinstance(target, Precision):
        return everything
    needed = target.images(SUPPOSED)
    ends = np.zeros(len(looks.places))
    for cut, of_cut in zip(looks.cuts, looks.ends, strict=True):
        size = max(1, min(len(cut.real_rows), len(cut.fake_rows)))
        met = next((i for i, end in enumerate(of_cut) if end * size >= needed), len(of_cut) - 1)
        # The look after confirms it.
        end = of_cut[min(met + 1, len(of_cut) - 1)]
        ends[cut.rows] = np.maximum(ends[cut.rows], end)
    wanted = looks.places < ends
    bounds = np.cumsum([0, *(len(chunk.rows) for chunk in prepared.chunks)])
    return frozenset(
        chunk.index
        for chunk, (start, stop) in zip(prepared.chunks, itertools.pairwise(bounds), strict=True)
        if wanted[start:stop].any()
    )
