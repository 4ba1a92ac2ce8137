"""The order in which images are scored: seeded, stratified, groups whole; any beginning is a fair sample."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leaderboards.tables.slicing import clusters_of

# Images of the smaller class at the first look, and between two of the looks that follow.
STEP: Final = 256
# From so many steps on, looks lie a tenth apart: a million images need no thousands of rounds.
_EVEN: Final = 10


def positions(samples: pd.DataFrame, seed: int) -> NDArray[np.float64]:
    """Place every image between 0 and 1, so that those below any point are a stratified sample.

    Strata are class, generator and domain; what shares a group or has equal bytes shares a place, and is of
    the stratum that all its images make together. The j-th of m in a random order within its stratum stands
    at ``(j + u) / m``, u being one number a stratum. The place of an image does not depend on the order of
    the rows.

    Args:
        samples: One row an image: ``sample_id``, ``label``, ``generator``, ``domain``; ``group`` and
            ``sha256`` where there are any.
        seed: Decides the order, together with the ids only.

    Returns:
        (n,) float64 in (0, 1).
    """
    kinds, _ = pd.factorize(
        pd.MultiIndex.from_frame(samples[["label", "generator", "domain"]].astype(str))
    )
    names = _stratum_names(samples, kinds)
    keys = _digests("order", seed, samples["sample_id"].tolist())
    clusters = clusters_of(samples)
    if clusters is None:
        return _placed(keys, names[kinds], seed)
    frame = pd.DataFrame({"cluster": clusters, "key": keys, "name": names[kinds]})
    # The least digest of its images stands for a cluster, and all their strata for its own.
    key = frame.groupby("cluster", sort=True)["key"].min().to_numpy()
    pairs = frame[["cluster", "name"]].drop_duplicates().sort_values(["cluster", "name"])
    stratum = pairs.groupby("cluster", sort=True)["name"].agg("\n".join).to_numpy(dtype=object)
    _, codes = np.unique(clusters, return_inverse=True)
    return _placed(key, stratum, seed)[codes]


def _stratum_names(samples: pd.DataFrame, kinds: NDArray[np.int64]) -> NDArray[np.object_]:
    """Name each stratum by what its images have in common, in the order of its code."""
    _, first = np.unique(kinds, return_index=True)
    rows = samples[["label", "generator", "domain"]].iloc[first].itertuples(index=False, name=None)
    return np.array(["\t".join(map(str, row)) for row in rows], dtype=object)


def _digests(word: str, seed: int, names: Sequence[str]) -> NDArray[np.uint64]:
    head = f"{word}\0{seed}\0"
    raw = b"".join(
        hashlib.blake2b((head + name).encode("utf-8", "surrogatepass"), digest_size=8).digest()
        for name in names
    )
    return np.frombuffer(raw, dtype="<u8").astype(np.uint64)


def _placed(
    keys: NDArray[np.uint64], strata: NDArray[np.object_], seed: int
) -> NDArray[np.float64]:
    """Rank keys within their strata, and spread the ranks evenly over (0, 1)."""
    codes, names = pd.factorize(strata)
    # A number in (0, 1) each: with a single member, the stratum comes in at random.
    offsets = (_digests("stratum", seed, [str(name) for name in names]) / 2.0**64) * 0.998 + 0.001
    order = np.lexsort((keys, codes))
    sizes = np.bincount(codes)
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    ranks = np.empty(codes.size, dtype=np.int64)
    ranks[order] = np.arange(codes.size) - starts[codes[order]]
    placed: NDArray[np.float64] = (ranks + offsets[codes]) / sizes[codes]
    return placed


def looks(n_real: int, n_fake: int) -> list[float]:
    """Give the places up to which a slice is scored before each look; the last one is everything.

    The first look has ``STEP`` images of the smaller class, the next ones ``STEP`` more each; from ten steps
    on they lie a tenth of the images apart.

    Example:
        >>> looks(1024, 512)
        [0.5, inf]
        >>> looks(100, 5000)
        [inf]
    """
    size, count, ends = min(n_real, n_fake), STEP, list[float]()
    while count < size:
        ends.append(count / size)
        count += STEP * max(1, count // (STEP * _EVEN))
    return [*ends, float("inf")]
