"""The images of a run, read in parts: their kinds, their facts, and whether each stands alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bench.support.contingency import IMAGES
from leaderboards.statistics.streams.runs import SortedRuns, merged
from leaderboards.streamed.columns import LEFT_OUT

KIND_COLUMNS: Final = ("label", "generator", "domain")
_FACTS: Final = ("format", "width", "height")
_MOST_PARTS: Final = 64  # tables of counts that are held before they are put together
_HASH: Final = np.dtype(np.uint64)


class Parts:
    """Images in their order, a number of them at a time.

    Args:
        batches: The images, in parts of any length.
    """

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._rest: list[pa.RecordBatch] = []

    def take(self, n: int) -> pa.Table:
        """Give the next n images; fewer where there are no more."""
        held = sum(map(len, self._rest))
        while held < n and (batch := next(self._batches, None)) is not None:
            self._rest.append(batch)
            held += len(batch)
        table = pa.Table.from_batches(self._rest)
        self._rest = table.slice(n).to_batches()
        return table.slice(0, n)


class ImageCounts:
    """What is counted of the images while they pass.

    Args:
        folder: Where files are made; the caller removes it.
    """

    def __init__(self, folder: Path) -> None:
        self.kinds_path = folder / "kinds"
        self._codes: dict[tuple[int, str, str], int] = {}
        self._facts: list[pa.Table] = []
        self._alone = [self._hashes(folder, name) for name in ("sha256", "group")]

    def add(self, images: pa.Table, kept: NDArray[np.bool_], kinds: BinaryIO) -> None:
        """Count some images, and write the kind of each; those that are not kept count for nothing."""
        codes = self._kinds_of(images)
        kinds.write(np.where(kept, codes, LEFT_OUT).astype(np.int32).tobytes())
        table = images.append_column("kind", pa.array(codes)).filter(pa.array(kept))
        keys = ["kind", *(name for name in _FACTS if name in table.column_names)]
        self._facts.append(_sizes(table.select(keys), keys))
        if len(self._facts) > _MOST_PARTS:
            self._facts = [self._together()]
        for name, runs in zip(("sha256", "group"), self._alone, strict=True):
            if name in table.column_names:
                named = table[name].filter(pc.not_equal(table[name], ""))
                hashes = pd.util.hash_array(named.to_numpy(), categorize=False)
                runs.add(np.zeros(hashes.size, np.int64), hashes)

    def kinds(self) -> pd.DataFrame:
        """Give the kinds, a row each in the order of their numbers, with how many images each has."""
        frame = pd.DataFrame(list(self._codes), columns=list(KIND_COLUMNS))
        frame.insert(0, "sample_id", [str(code) for code in self._codes.values()])
        together = self._together().to_pandas()
        images = together.groupby("kind")[IMAGES].sum()
        frame[IMAGES] = images.reindex(range(len(frame)), fill_value=0).to_numpy()
        return frame

    def facts(self) -> pd.DataFrame:
        """Give label, generator, domain, format and size, a row each, with how many images have them."""
        together: pd.DataFrame = self._together().to_pandas()
        kinds = self.kinds().loc[together["kind"], list(KIND_COLUMNS)].reset_index(drop=True)
        together[list(KIND_COLUMNS)] = kinds
        return together.drop(columns="kind")

    def stand_alone(self) -> bool:
        """Say whether no two images share a group or their bytes.

        Names are compared by 64 bits of a hash: where two differ and their hashes do not, which one in
        thousands of data sets of 100 million images shows, the answer is False, and all is done in memory.
        """
        return not any(
            bool((rows["real"] > 1).any())
            for runs in self._alone
            for rows in merged(runs.segments([0]), _HASH)
        )

    def _kinds_of(self, images: pa.Table) -> NDArray[np.int64]:
        """Number the kinds of some images, in the order in which kinds are first seen."""
        coded = [pc.dictionary_encode(images[name].combine_chunks()) for name in KIND_COLUMNS]
        names = [array.dictionary.to_pylist() for array in coded]
        together = np.zeros(len(images), dtype=np.int64)
        for array, known in zip(coded, names, strict=True):
            together = together * len(known) + array.indices.to_numpy()
        combined, inverse = np.unique(together, return_inverse=True)
        numbers = []
        for code in combined.tolist():
            rest, domain = divmod(code, len(names[2]))
            label, generator = divmod(rest, len(names[1]))
            kind = (names[0][label], names[1][generator], names[2][domain])
            numbers.append(self._codes.setdefault(kind, len(self._codes)))
        return np.array(numbers, dtype=np.int64)[inverse]

    def _together(self) -> pa.Table:
        table = pa.concat_tables(self._facts)
        keys = [name for name in table.column_names if name != IMAGES]
        counts = table.group_by(keys, use_threads=False).aggregate([(IMAGES, "sum")])
        return counts.rename_columns([*keys, IMAGES]).select([*keys, IMAGES])

    @staticmethod
    def _hashes(folder: Path, name: str) -> SortedRuns:
        (folder / name).mkdir()
        return SortedRuns(folder / name, np.array([False]), _HASH)


def _sizes(table: pa.Table, keys: list[str]) -> pa.Table:
    """Count equal rows."""
    counts = table.group_by(keys, use_threads=False).aggregate([([], "count_all")])
    return counts.rename_columns([*keys, IMAGES]).select([*keys, IMAGES])
