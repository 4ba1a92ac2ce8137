"""Images cut into the slices that a suite asks for, or the reason why they cannot be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from bench.errors import BenchError, DataError, NothingSelectedError
from leaderboards import Axis, Slice, slices
from leaderboards.statistics.paired_cells import MACRO
from leaderboards.tables.slicing import column_slices

if TYPE_CHECKING:
    import pandas as pd

_AXES: Final[Mapping[str, tuple[Axis, ...]]] = {
    "generator": ("generator",),
    "domain": ("domain",),
    "generator*domain": ("generator", "domain"),
    "pooled": (),
}


def cut_samples(
    samples: pd.DataFrame,
    cuts: Sequence[str],
    pairing: Mapping[str, Sequence[str]],
    *,
    dataset: str,
    split: str,
    matched: bool = False,
) -> list[Slice]:
    """Cut samples as a suite asks; a cut by domain is left out where no domain is named.

    Args:
        samples: One row an image, or one a kind of image: sample_id, label, generator, domain.
        cuts: The suite's slices, ``generator``, ``domain``, ...
        pairing: Generator to its real sources.
        dataset: Name of the data set, for messages.
        split: The split that the samples are of, for messages.
        matched: Keep in a slice only the reals that share their group with one of its fakes.

    Raises:
        NothingSelectedError: If no cut or no fake image is left, unless the data hold reals alone.
        DataError: A name that the board has for something else.
    """
    has_domains = bool((samples["domain"] != "").any())
    cuts = [cut for cut in cuts if has_domains or "domain" not in cut]
    if not cuts:
        raise NothingSelectedError(
            f"the suite cuts by domain, and {dataset} names no domains: use "
            "--layout domains, or a manifest with a domain column"
        )
    alone = not samples.empty and (samples["label"] == 0).all()
    # Reals that belong to no generator: the data were indexed as reals alone.
    if samples.empty or (alone and "" not in pairing):
        raise NothingSelectedError(f"{dataset} has no fake image left to score in split {split!r}")
    if alone and all("generator" in cut for cut in cuts):
        raise NothingSelectedError(
            f"the suite cuts by generator, and {dataset} holds reals alone: let slices be pooled, domain or "
            "a column of the data"
        )
    if (samples["generator"] == MACRO).any():
        raise DataError(
            f"{dataset}: a generator is named {MACRO!r}, the gate's word for a mean: rename it"
        )
    try:
        return [piece for cut in cuts for piece in _pieces(samples, pairing, cut, matched=matched)]
    except ValueError as error:
        raise DataError(f"{dataset}: {error}") from error


def _pieces(
    samples: pd.DataFrame, pairing: Mapping[str, Sequence[str]], cut: str, *, matched: bool
) -> list[Slice]:
    if cut in _AXES:
        return slices(samples, pairing, _AXES[cut], matched=matched)
    try:
        return column_slices(samples, pairing, cut, matched=matched)
    except ValueError as error:
        raise BenchError(f"the suite's slices ask for {cut!r}: {error}") from error
