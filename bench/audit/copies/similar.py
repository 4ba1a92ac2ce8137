"""Copies that were encoded anew, resized or mirrored: suspected by a hash, confirmed by a thumbnail."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.audit.copies.neighbours import near_pairs
from bench.audit.images.hashes import THUMBNAIL
from bench.errors import OutputError
from bench.support.files import write_atomic
from bench.support.tables import read_table

# Measured on the 20,000 test images of CIFAKE with copies planted among them (tests/benchmarks/copies.py).
RADIUS: Final = 8  # bits of 64
_MOST_RMS: Final = 8.0  # levels, over the 192 values of two thumbnails
_LEAST_CORRELATION: Final = 0.97
# Thumbnails of less contrast than this (standard deviation in levels) must agree nearly exactly instead:
# their correlation is that of noise.
_FLAT, _FLAT_RMS = 4.0, 1.5
# From so many images on, what was found is kept. Raise the version when pairs are found otherwise.
_KEPT_FROM, _VERSION = 5_000, 1
# Different pictures of one hash that are told apart; beyond so many (blank pictures) they are left alone.
_MOST_LEADERS: Final = 64

Pairs = NDArray[np.int64]
Thumbnails = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprints:
    """What images are found again by.

    Attributes:
        hash: (n,) uint64 perceptual hashes.
        mirrored: (n,) uint64 hashes of the mirrored images.
        thumbnail: (n, 192) uint8, 8 x 8 RGB.
    """

    hash: NDArray[np.uint64]
    mirrored: NDArray[np.uint64]
    thumbnail: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class SimilarPairs:
    """Pairs of positions of images that show the same picture.

    Attributes:
        near: (p, 2) as they stand: re-encoded or resized.
        mirrored: (q, 2) one of the two mirrored.
    """

    near: Pairs
    mirrored: Pairs


def similar_pairs(prints: Fingerprints, cache: Path | None = None) -> SimilarPairs:
    """Find copies; enough pairs to connect all copies of a picture, not every pair of them.

    Args:
        prints: What images are found again by.
        cache: Folder that keeps what was found among these very fingerprints; None for none.
    """
    if cache is None or len(prints.hash) < _KEPT_FROM:
        return _similar_pairs(prints)
    path = cache / "audits" / f"{_digest(prints)}.pairs.parquet"
    with contextlib.suppress(OSError, pa.ArrowException, KeyError):
        table = read_table(path)
        both = table.select(["one", "other"]).to_pandas().to_numpy(dtype=np.int64)
        is_mirrored = table["mirrored"].to_numpy()
        return SimilarPairs(both[~is_mirrored], both[is_mirrored])
    pairs = _similar_pairs(prints)
    both = np.concatenate([pairs.near, pairs.mirrored])
    is_mirrored = np.arange(len(both)) >= len(pairs.near)
    table = pa.table({"one": both[:, 0], "other": both[:, 1], "mirrored": is_mirrored})
    with contextlib.suppress(OutputError):  # the facts have warned of it already
        write_atomic(path, lambda stream: pq.write_table(table, stream))
    return pairs


def _digest(prints: Fingerprints) -> str:
    limits = (_VERSION, RADIUS, _MOST_RMS, _LEAST_CORRELATION, _FLAT, _FLAT_RMS, _MOST_LEADERS)
    digest = hashlib.sha256(repr(limits).encode())
    for column in (prints.hash, prints.mirrored, prints.thumbnail):
        digest.update(np.ascontiguousarray(column).data)
    return digest.hexdigest()[:32]


def _similar_pairs(prints: Fingerprints) -> SimilarPairs:
    leaders, links = _leaders(prints)
    heads = np.unique(leaders)
    thumbnails = prints.thumbnail[heads].astype(np.float32)
    near = near_pairs(prints.hash[heads], prints.hash[heads], RADIUS)
    near = near[near[:, 0] < near[:, 1]]
    near = near[_agree(thumbnails[near[:, 0]], thumbnails[near[:, 1]])]
    flipped = thumbnails.reshape(-1, THUMBNAIL, THUMBNAIL, 3)[:, :, ::-1].reshape(-1, 192)
    mirrored = near_pairs(prints.mirrored[heads], prints.hash[heads], RADIUS)
    mirrored = np.unique(np.sort(mirrored[mirrored[:, 0] != mirrored[:, 1]], axis=1), axis=0)
    mirrored = mirrored[_agree(flipped[mirrored[:, 0]], thumbnails[mirrored[:, 1]])]
    return SimilarPairs(np.concatenate([links, heads[near]]), heads[mirrored])


def _leaders(prints: Fingerprints) -> tuple[Pairs, Pairs]:
    """Give each image the first image of equal hash that it agrees with, and pairs that say so."""
    order = np.argsort(prints.hash, kind="stable")
    starts = np.flatnonzero(np.diff(prints.hash[order], prepend=~prints.hash[order[:1]]))
    leaders = np.arange(len(order))
    for members in np.split(order, starts[1:]):
        waiting = members if len(members) > 1 else members[:0]
        for _ in range(_MOST_LEADERS):
            if len(waiting) < 2:
                break
            head = waiting[0]
            here = prints.thumbnail[waiting].astype(np.float32)
            same = _agree(here, np.repeat(here[:1], len(here), axis=0))
            same[0] = True
            leaders[waiting[same]] = head
            waiting = waiting[~same]
    moved = np.flatnonzero(leaders != np.arange(len(leaders)))
    return leaders, np.stack([moved, leaders[moved]], axis=1)


def _agree(one: Thumbnails, other: Thumbnails) -> NDArray[np.bool_]:
    """Tell whether thumbnails, (n, 192) each, show the same picture."""
    rms = np.sqrt(((one - other) ** 2).mean(axis=1))
    centred = [t - t.mean(axis=1, keepdims=True) for t in (one, other)]
    spread = [np.sqrt((t**2).mean(axis=1)) for t in centred]
    product = np.maximum(spread[0] * spread[1], 1e-6)
    correlation = (centred[0] * centred[1]).mean(axis=1) / product
    flat = np.minimum(*spread) < _FLAT
    agreed: NDArray[np.bool_] = np.where(
        flat, rms <= _FLAT_RMS, (rms <= _MOST_RMS) & (correlation >= _LEAST_CORRELATION)
    )
    return agreed
