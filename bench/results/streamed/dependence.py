"""Which images of a run depend on each other: those of one group, and those of equal bytes.

Names are told apart by 64 bits of a hash, held against 64 others wherever one occurs again. The index alone
says what occurs more than once; which of these images are kept shows only as their scores are read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from leaderboards.statistics.ranking import join_codes
from leaderboards.statistics.streams.clusters import ALONE, CODES, NO_IMAGE, ClusterFile
from leaderboards.statistics.streams.runs import SortedRuns, merged
from leaderboards.tables.measures.repeats import Repeats

NAMES: Final = ("group", "sha256")
_HASH: Final = np.dtype(np.uint64)
_OTHER_KEY: Final = "bench-other-key-"  # of the second hash, 16 bytes
_STEP: Final = 1 << 20  # codes that are rewritten at once


class Hashed(NamedTuple):
    """The names of some images, hashed.

    Attributes:
        named: (m,) positions of the images that have a name.
        hashes: (m,) uint64, theirs.
        others: (m,) uint64, theirs by another key.
    """

    named: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    others: NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class Repeated:
    """The names of one column that more than one image has.

    Attributes:
        hashes: (r,) uint64, ascending; 8 bytes of memory each.
        others: (r,) uint64, their hash by another key, 0 until it is seen.
    """

    hashes: NDArray[np.uint64]
    others: NDArray[np.uint64]

    @classmethod
    def of(cls, hashes: NDArray[np.uint64]) -> Self:
        """Begin with names of which nothing but the first hash is known."""
        return cls(hashes, np.zeros_like(hashes))

    def numbers(self, names: pa.ChunkedArray) -> tuple[NDArray[np.int64], bool]:
        """Number the names of some images.

        Returns:
            (m,) the number from 0 on of each, -1 where no other image has it or there is none; and whether
            names that differ have one hash, as happens to 100 million images in one of thousands of data
            sets.
        """
        found = np.full(len(names), -1, dtype=np.int64)
        if not self.hashes.size:
            return found, False
        rows = np.flatnonzero(pc.not_equal(names, "").to_numpy(zero_copy_only=False))
        hashes = _hashes(names, rows)
        places = np.searchsorted(self.hashes, hashes).clip(max=self.hashes.size - 1)
        known = self.hashes[places] == hashes
        rows, places = rows[known], places[known]
        others = _hashes(names, rows, _OTHER_KEY)
        new = self.others[places] == 0
        self.others[places[new]] = others[new]
        found[rows] = places
        return found, bool((self.others[places] != others).any())


def _hashes(
    names: pa.ChunkedArray, rows: NDArray[np.int64], key: str = "0123456789123456"
) -> NDArray[np.uint64]:
    """Hash some of the names; no hash is 0."""
    chosen = names.take(pa.array(rows)).to_numpy(zero_copy_only=False).astype(object)
    return np.maximum(pd.util.hash_array(chosen, hash_key=key, categorize=False), np.uint64(1))


def repeated(batches: Iterable[pa.RecordBatch], folder: Path) -> dict[str, Repeated]:
    """Find what occurs more than once in the index of a run, in one pass over it.

    Args:
        batches: The images, with the columns of ``NAMES`` that there are.
        folder: Where files are made, up to 24 bytes a name; they are removed.

    Returns:
        Column to names; empty where every image stands alone.
    """
    sorted_runs: dict[str, SortedRuns] = {}
    for batch in batches:
        for name in set(NAMES).intersection(batch.schema.names):
            if name not in sorted_runs:
                (folder / name).mkdir()
                sorted_runs[name] = SortedRuns(folder / name, np.array([False]), _HASH)
            column = pa.chunked_array([batch[name]])
            rows = np.flatnonzero(pc.not_equal(column, "").to_numpy(zero_copy_only=False))
            sorted_runs[name].add(np.zeros(rows.size, np.int64), _hashes(column, rows))
    found = {}
    for name, runs in sorted_runs.items():
        several = [rows["value"][rows["real"] > 1] for rows in merged(runs.segments([0]), _HASH)]
        hashes = np.concatenate([np.zeros(0, _HASH), *several])
        for path in runs.folder.iterdir():
            path.unlink()
        if hashes.size:
            found[name] = Repeated.of(hashes)
    return found


@dataclass(slots=True, eq=False)
class Dependence:
    """The images that depend on others, as they pass in their order.

    Attributes:
        repeated: Column to the names that more than one image of the index has.
        path: Where the code of each image is written.
        has_collision: Whether names that differ had one hash, so that nothing here may be used.
    """

    repeated: dict[str, Repeated]
    path: Path
    has_collision: bool = False
    _counts: NDArray[np.int32] = field(init=False)
    _links: list[NDArray[np.int64]] = field(default_factory=list)
    _file: BinaryIO = field(init=False)

    def __post_init__(self) -> None:
        self._counts = np.zeros((self.n_groups + self.n_contents, 2), np.int32)
        self._file = self.path.open("wb")

    @property
    def n_groups(self) -> int:
        """Groups that hold more than one image of the index."""
        return self.repeated["group"].hashes.size if "group" in self.repeated else 0

    @property
    def n_contents(self) -> int:
        """Contents that more than one file of the index has."""
        return self.repeated["sha256"].hashes.size if "sha256" in self.repeated else 0

    def add(self, images: pa.Table, kept: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Take the next images.

        Args:
            images: Their rows of the index.
            kept: (m,) bool, who counts; the others depend on nobody.

        Returns:
            (m,) the number of the content of each; -1 where no other file has it.
        """
        numbers = {name: np.full(len(images), -1, np.int64) for name in NAMES}
        for name, names in self.repeated.items():
            numbers[name], collide = names.numbers(images[name])
            self.has_collision |= collide
        group, content = numbers["group"], numbers["sha256"]
        codes = np.where(group >= 0, group, np.where(content >= 0, self.n_groups + content, ALONE))
        codes = np.where(kept, codes, NO_IMAGE)
        labels = images["label"].to_numpy().astype(np.int64)
        for number, first in ((group, 0), (content, self.n_groups)):
            there = kept & (number >= 0)
            np.add.at(self._counts, (first + number[there], labels[there]), 1)
        both = kept & (group >= 0) & (content >= 0)
        if both.any():
            pairs = np.stack([group[both], self.n_groups + content[both]], axis=1)
            self._links.append(np.unique(pairs, axis=0))
        self._file.write(codes.astype(CODES).tobytes())
        return np.where(kept, content, -1)

    def repeats(self) -> Repeats:
        """Count the files of equal bytes among the images that are kept."""
        counts = self._counts[self.n_groups :].astype(np.int64)
        real, fake = np.maximum(counts - 1, 0).sum(axis=0).tolist()
        both = counts.all(axis=1)
        return Repeats(real, fake, int(counts[both].sum()), int(np.count_nonzero(both)))

    def finished(self) -> ClusterFile | None:
        """End with what depends on what; None where every image that is kept stands alone."""
        self._file.close()
        if not (self._counts.sum(axis=1) > 1).any():
            return None
        n = len(self._counts)
        if not self._links:
            return ClusterFile(self.path, n)
        # Groups are put together that files of equal bytes link; every code has one link to itself.
        links = np.concatenate([np.repeat(np.arange(n)[:, None], 2, axis=1), *self._links])
        joined = join_codes(links[:, 0], links[:, 1])[:n].astype(CODES)
        path = self.path.with_name(f"{self.path.name}-joined")
        with self.path.open("rb") as read, path.open("wb") as write:
            while (codes := np.fromfile(read, CODES, _STEP)).size:
                codes[codes >= 0] = joined[codes[codes >= 0]]
                write.write(codes.tobytes())
        self.path.unlink()
        return ClusterFile(path, n)
