"""The images of a run, read in parts: their kinds and their facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bench.results.streamed.dependence import Dependence
from bench.support.contingency import IMAGES
from leaderboards.streamed.columns import LEFT_OUT
from leaderboards.tables.slicing import EARLIER

KIND_COLUMNS: Final = ("label", "generator", "domain")
_FACTS: Final = ("format", "width", "height")
_MOST_PARTS: Final = 64  # tables of counts that are held before they are put together


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


class Kind(NamedTuple):
    """What slices are made of; they tell images of one kind from no others.

    Attributes:
        label: 1 = AI-generated.
        generator: The generator, or the source of a real.
        domain: The domain, or "".
        earlier: Generator and domain of each image of the class, before it, that has its bytes.
    """

    label: int
    generator: str
    domain: str
    earlier: frozenset[tuple[str, str]] = frozenset()


class ImageCounts:
    """What is counted of the images while they pass.

    Args:
        folder: Where files are made; the caller removes it.
        dependence: Which of them depend on others.
    """

    def __init__(self, folder: Path, dependence: Dependence) -> None:
        self.kinds_path, self.dependence = folder / "kinds", dependence
        self._codes: dict[Kind, int] = {}
        self._facts: list[pa.Table] = []
        # Of each content and class the kind that its next file is of, but for its names: a number.
        self._earlier = np.zeros((dependence.n_contents, 2), dtype=np.int32)
        self._sets: dict[frozenset[tuple[str, str]], int] = {frozenset(): 0}

    def add(self, images: pa.Table, kept: NDArray[np.bool_], kinds: BinaryIO) -> None:
        """Count some images, and write the kind of each; those that are not kept count for nothing."""
        contents = self.dependence.add(images, kept)[kept]
        table = images.filter(pa.array(kept))
        codes = np.full(len(images), LEFT_OUT, dtype=np.int32)
        codes[kept] = of_kept = self._kinds_of(table, contents)
        kinds.write(codes.tobytes())
        table = table.append_column("kind", pa.array(of_kept))
        keys = ["kind", *(name for name in _FACTS if name in table.column_names)]
        self._facts.append(_sizes(table.select(keys), keys))
        if len(self._facts) > _MOST_PARTS:
            self._facts = [self._together()]

    def kinds(self) -> pd.DataFrame:
        """Give the kinds, a row each in the order of their numbers, with how many images each has."""
        frame = pd.DataFrame([kind[:3] for kind in self._codes], columns=list(KIND_COLUMNS))
        frame.insert(0, "sample_id", [str(code) for code in self._codes.values()])
        frame[EARLIER] = pd.Series([kind.earlier for kind in self._codes], dtype=object)
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

    def _kinds_of(self, images: pa.Table, contents: NDArray[np.int64]) -> NDArray[np.int64]:
        """Number the kinds of some images, in the order in which kinds are first seen."""
        coded = [pc.dictionary_encode(images[name].combine_chunks()) for name in KIND_COLUMNS]
        names = [array.dictionary.to_pylist() for array in coded]
        together = np.zeros(len(images), dtype=np.int64)
        for array, known in zip(coded, names, strict=True):
            together = together * len(known) + array.indices.to_numpy()
        combined, inverse = np.unique(together, return_inverse=True)
        plain = []
        for code in combined.tolist():
            rest, domain = divmod(code, len(names[2]))
            label, generator = divmod(rest, len(names[1]))
            plain.append(Kind(names[0][label], names[1][generator], names[2][domain]))
        again = self._again(contents, inverse, plain)
        numbers = np.full(len(plain), -1, dtype=np.int64)
        alone = np.ones(len(images), dtype=bool)
        alone[list(again)] = False
        for at in np.unique(inverse[alone]).tolist():
            numbers[at] = self._number(plain[at])
        found = numbers[inverse]
        for row, kind in again.items():
            found[row] = self._number(kind)
        return found

    def _again(
        self, contents: NDArray[np.int64], inverse: NDArray[np.int64], plain: Sequence[Kind]
    ) -> dict[int, Kind]:
        """Find the images whose bytes another of their class has had before; row to kind."""
        sets, again = list(self._sets), {}
        for row in np.flatnonzero(contents >= 0).tolist():
            content, kind = int(contents[row]), plain[inverse[row]]
            before = sets[self._earlier[content, kind.label]]
            if before:
                again[row] = kind._replace(earlier=before)
            after = before | {(kind.generator, kind.domain)}
            number = self._sets.setdefault(after, len(self._sets))
            if number == len(sets):
                sets.append(after)
            self._earlier[content, kind.label] = number
        return again

    def _number(self, kind: Kind) -> int:
        return self._codes.setdefault(kind, len(self._codes))

    def _together(self) -> pa.Table:
        table = pa.concat_tables(self._facts)
        keys = [name for name in table.column_names if name != IMAGES]
        counts = table.group_by(keys, use_threads=False).aggregate([(IMAGES, "sum")])
        return counts.rename_columns([*keys, IMAGES]).select([*keys, IMAGES])


def _sizes(table: pa.Table, keys: list[str]) -> pa.Table:
    """Count equal rows."""
    counts = table.group_by(keys, use_threads=False).aggregate([([], "count_all")])
    return counts.rename_columns([*keys, IMAGES]).select([*keys, IMAGES])
