"""Which images a run has: the data's index, and whether a board can be made of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bench.datasets import Manifest
from bench.datasets.open import open_data
from bench.errors import BenchError
from bench.protocol.cuts import cut_samples
from bench.protocol.suite import SLICINGS, Suite
from bench.runs.request import RunRequest
from bench.support.progress import Progress


def manifest_of(request: RunRequest, split: str, progress: Progress) -> Manifest:
    """Index the images of the split that is scored, and of the one that thresholds are chosen on.

    Raises:
        BenchError: There are none, or the suite cuts them by what they do not have.
    """
    chosen_on = request.suite.policy.split
    manifest = open_data(
        request.data or request.suite.dataset,
        progress,
        layout=request.layout,
        columns=request.columns,
        reals=request.reals,
        cache=request.cache,
        splits=[split, *([chosen_on] if chosen_on else [])] if split else None,
        reals_alone=request.suite.changes_reals_alone,
    )
    _check_slices(request.suite, manifest)
    if request.split and manifest.splits() == ("",):
        progress.warn(
            f"{manifest.name} names no splits: --split {request.split} leaves no image out"
        )
    progress.note(f"{manifest.name}: recognised as {manifest.recognised}; {len(manifest)} images")
    return manifest


def _check_slices(suite: Suite, manifest: Manifest) -> None:
    """Refuse a suite that cuts by a column which the data do not have.

    Raises:
        BenchError: Names the columns there are.
    """
    for cut in suite.slices:
        if cut not in SLICINGS and cut not in manifest.free_names:
            there = ", ".join(manifest.free_names) or "none beside ours"
            raise BenchError(
                f"suite {suite.name} cuts by {cut!r}, a column that {manifest.name} does not have (it has "
                f"{there}): add it to the data's table, or take it out of slices"
            )


def check_cuts(
    manifest: Manifest,
    rows: NDArray[np.int64],
    pairing: Mapping[str, tuple[str, ...]],
    request: RunRequest,
    split: str,
) -> None:
    """Refuse data that no board could be made of, before an image is scored.

    Raises:
        NothingSelectedError: Nothing is left to compare.
        DataError: A name that the board has for something else.
    """
    keys = ["label", "generator", "domain"]
    kinds = manifest.table.select(keys).take(rows).group_by(keys).aggregate([]).to_pandas()
    kinds["sample_id"] = [str(number) for number in range(len(kinds))]
    cuts = [cut for cut in request.suite.slices if cut in SLICINGS]
    if cuts:
        cut_samples(kinds, cuts, pairing, dataset=manifest.name, split=split)
