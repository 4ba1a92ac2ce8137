"""What reading the images gave, kept in parts while indexing goes on: a killed index goes on too.

A part says of some files, by place, size and time of change, what they hold. Once the manifest stands
the parts are removed.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.datasets.indexing.reader import Found, Outcome, Reader
from bench.datasets.sources.tree import Tree
from bench.errors import OutputError
from bench.support.files import write_atomic

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
    """A folder of parts; a place that cannot be written is a warning, once."""

    folder: Path

    def load(self) -> pa.Table:
        """All parts together; a damaged one is as good as none."""
        tables = [FACTS.empty_table()]
        for path in sorted(self.folder.glob("[!.]*.parquet")):
            with contextlib.suppress(OSError, pa.ArrowException, KeyError):
                tables.append(pq.read_table(path).select(FACTS.names).cast(FACTS))
        return pa.concat_tables(tables)

    def add(self, number: int, table: pa.Table) -> bool:
        """Keep one more part; gives whether it could be written."""
        path = self.folder / f"{number:06d}.parquet"
        try:
            write_atomic(path, lambda stream: pq.write_table(table, stream, compression="zstd"))
        except OutputError as error:
            _log.warning("the index is not kept while it is made: %s", error)
            return False
        return True

    def remove(self) -> None:
        """Forget them all."""
        for path in self.folder.glob("*.parquet"):
            with contextlib.suppress(OSError):
                path.unlink()
        with contextlib.suppress(OSError):
            self.folder.rmdir()


def gather(tree: Tree, locators: pa.ChunkedArray, reader: Reader, parts: Parts) -> pa.Table:
    """What every image is, from the parts where they know it, else by reading it.

    Args:
        tree: the scan, for sizes and times.
        locators: (n,) strings; rows of Parquet files in file order.
        reader: reads the images, in threads.
        parts: those of an index that was stopped; more are added on the way.

    Returns:
        (n,) rows of `FACTS`, but for the file's own columns, in the order of the locators.
    """
    sizes, times = _stats(tree, locators)
    known = parts.load()
    at = pc.index_in(locators, value_set=known["locator"].combine_chunks())
    found = pc.fill_null(at, -1).to_numpy().astype(np.int64)
    if len(known):
        same = known["file_size"].to_numpy()[found] == sizes
        same &= (known["mtime_ns"].to_numpy()[found] == times) & (times >= 0)
        found[~same] = -1
    todo = np.flatnonzero(found < 0)
    tables, writable, first = [known], True, len(list(parts.folder.glob("*.parquet")))
    before, total = len(locators) - len(todo), len(locators)
    for number, start in enumerate(range(0, len(todo), PART), start=first):
        rows = todo[start : start + PART]
        outcomes = reader.read_all(locators.take(rows).to_pylist(), before + start, total)
        table = _table(locators.take(rows), sizes[rows], times[rows], outcomes)
        found[rows] = np.arange(len(rows)) + sum(len(t) for t in tables)
        tables.append(table)
        # A small data set is read again as quickly as it is kept.
        writable = writable and (total <= PART or parts.add(number, table))
    facts = pa.concat_tables(tables).drop_columns(["locator", "file_size", "mtime_ns"])
    in_order = len(facts) == total and bool((found == np.arange(total)).all())
    return facts if in_order else facts.take(found)


def _stats(tree: Tree, locators: pa.ChunkedArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Size and time of the file behind each locator; -1 for those outside the scan."""
    paths = pa.chunked_array([f.paths() for f in tree.listing], type=pa.string()).combine_chunks()
    sizes = np.concatenate([np.array([-1]), *(f.sizes for f in tree.listing)])
    times = np.concatenate([np.array([-1]), *(f.times for f in tree.listing)])
    at = pc.index_in(locators, value_set=paths)
    if at.null_count:
        files = pc.replace_substring_regex(locators, r"#\d+$", "")
        at = pc.coalesce(at, pc.index_in(files, value_set=paths))
    rows = pc.fill_null(at, -1).to_numpy().astype(np.int64) + 1
    return sizes[rows], times[rows]


def _table(
    locators: pa.ChunkedArray,
    sizes: NDArray[np.int64],
    times: NDArray[np.int64],
    outcomes: Sequence[Outcome],
) -> pa.Table:
    good = [o if isinstance(o, Found) else None for o in outcomes]
    columns = {
        "locator": locators,
        "file_size": sizes,
        "mtime_ns": times,
        "format": [g and g.header.format for g in good],
        "width": [g and g.header.width for g in good],
        "height": [g and g.header.height for g in good],
        "bytes": [g and g.size for g in good],
        "sha256": [g and g.sha256 for g in good],
        "reason": [o if isinstance(o, str) else None for o in outcomes],
    }
    return pa.table(columns, schema=FACTS)
