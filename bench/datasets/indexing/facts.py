"""What reading the images gave, kept in parts while indexing goes on: a killed index goes on too.

A part says of some files, by path, size and time of change, what they hold. Once the manifest stands
the parts are removed.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.datasets.indexing.reader import BadImage, ImageFacts, Reader
from bench.datasets.sources.image_bytes import containers
from bench.datasets.sources.tree import Tree
from bench.errors import OutputError
from bench.support.files import write_atomic
from bench.support.tables import read_table

_log = logging.getLogger(__name__)

# Images a part: a kill loses the reading of at most so many.
PART: Final = 8192

FACTS: Final = pa.schema(
    [
        ("locator", pa.string()),
        ("file_size", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("format", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
        ("reason", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Parts:
    """A folder of parts; a place that cannot be written is a warning, once.

    Attributes:
        folder: where the parts lie, one Parquet file each; made when the first is added.
    """

    folder: Path

    def load(self) -> pa.Table:
        """Read all parts into one table of `FACTS`; a damaged one is as good as none."""
        tables = [FACTS.empty_table()]
        for path in sorted(self.folder.glob("[!.]*.parquet")):
            with contextlib.suppress(OSError, pa.ArrowException, KeyError):
                tables.append(read_table(path).select(FACTS.names).cast(FACTS))
        return pa.concat_tables(tables)

    def add(self, number: int, table: pa.Table) -> bool:
        """Keep one more part.

        Returns:
            Whether it could be written.
        """
        path = self.folder / f"{number:06d}.parquet"
        try:
            write_atomic(path, lambda stream: pq.write_table(table, stream, compression="zstd"))
        except OutputError as error:
            _log.warning("the index is not kept while it is made: %s", error)
            return False
        return True

    def remove(self) -> None:
        """Remove all parts and their folder."""
        for path in self.folder.glob("*.parquet"):
            with contextlib.suppress(OSError):
                path.unlink()
        with contextlib.suppress(OSError):
            self.folder.rmdir()


def gather(tree: Tree, locators: pa.ChunkedArray, reader: Reader, parts: Parts) -> pa.Table:
    """Say what every image is, from the parts where they know it, else by reading it.

    Args:
        tree: the scan, for sizes and times.
        locators: (n,) strings; rows of Parquet files in file order.
        reader: reads the images, in threads.
        parts: those of an index that was stopped; more are added on the way.

    Returns:
        (n,) rows of `FACTS`, but for the file's own columns, in the order of the locators.
    """
    stats = _file_stats(tree, locators)
    earlier = parts.load()
    rows = _rows_in(earlier, locators, stats)  # of each image in all tables together, -1 = unread
    unread = np.flatnonzero(rows < 0)
    tables, length = [earlier], len(earlier)
    total, before = len(locators), len(locators) - len(unread)
    # A small data set is read again as quickly as it is kept.
    keep = total > PART
    first = len(list(parts.folder.glob("*.parquet")))
    for number, start in enumerate(range(0, len(unread), PART), start=first):
        batch = unread[start : start + PART]
        batch_locators = locators.take(batch)
        results = reader.read_all(batch_locators.to_pylist(), before + start, total)
        table = _table(batch_locators, stats.take(batch), results)
        rows[batch] = np.arange(length, length + len(table))
        tables.append(table)
        length += len(table)
        keep = keep and parts.add(number, table)
    facts = pa.concat_tables(tables).drop_columns(["locator", "file_size", "mtime_ns"])
    in_order = len(facts) == total and bool((rows == np.arange(total)).all())
    return facts if in_order else facts.take(rows)


class _FileStats(NamedTuple):
    """Sizes in bytes and modification times in ns of files, (n,) int64; -1 = not in the scan."""

    sizes: NDArray[np.int64]
    times: NDArray[np.int64]

    def take(self, rows: NDArray[np.int64]) -> _FileStats:
        return _FileStats(self.sizes[rows], self.times[rows])


def _file_stats(tree: Tree, locators: pa.ChunkedArray) -> _FileStats:
    """Look up the file behind each locator in the scan."""
    paths = pa.chunked_array([f.paths() for f in tree.listing], type=pa.string()).combine_chunks()
    sizes = np.concatenate([*(f.sizes for f in tree.listing), np.array([-1])])
    times = np.concatenate([*(f.times for f in tree.listing), np.array([-1])])
    rows = pc.index_in(locators, value_set=paths)
    if rows.null_count:
        rows = pc.coalesce(rows, pc.index_in(containers(locators), value_set=paths))
    not_in_scan = len(sizes) - 1
    return _FileStats(sizes, times).take(_filled(rows, not_in_scan))


def _rows_in(earlier: pa.Table, locators: pa.ChunkedArray, stats: _FileStats) -> NDArray[np.int64]:
    """Find the row of each image in the earlier table; -1 where its file is absent or changed."""
    matches = pc.index_in(locators, value_set=earlier["locator"].combine_chunks())
    rows = _filled(matches, -1)
    if len(earlier):
        unchanged = earlier["file_size"].to_numpy()[rows] == stats.sizes
        unchanged &= earlier["mtime_ns"].to_numpy()[rows] == stats.times
        unchanged &= stats.times >= 0
        rows[~unchanged] = -1
    return rows


def _filled(indices: pa.ChunkedArray, missing: int) -> NDArray[np.int64]:
    filled: NDArray[np.int64] = pc.fill_null(indices, missing).to_numpy().astype(np.int64)
    return filled


def _table(
    locators: pa.ChunkedArray, stats: _FileStats, results: Sequence[ImageFacts | BadImage]
) -> pa.Table:
    good = [result if isinstance(result, ImageFacts) else None for result in results]
    columns = {
        "locator": locators,
        "file_size": stats.sizes,
        "mtime_ns": stats.times,
        "format": [facts and facts.header.format for facts in good],
        "width": [facts and facts.header.width for facts in good],
        "height": [facts and facts.header.height for facts in good],
        "bytes": [facts and facts.size for facts in good],
        "sha256": [facts and facts.sha256 for facts in good],
        "reason": [result.reason if isinstance(result, BadImage) else None for result in results],
    }
    return pa.table(columns, schema=FACTS)
