"""The images of a data set as one table with a digest: what every later step works from."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.datasets.record import BAD_SCHEMA, FAKE, SCHEMA, ImageRecord
from bench.errors import DataError, NothingSelectedError
from bench.support.files import write_atomic

if TYPE_CHECKING:
    import pandas as pd

FORMAT_VERSION: Final = 1
# Where the bytes lie is no part of what they are: a copy laid out otherwise has the same digest.
_DIGESTED: Final = tuple(name for name in SCHEMA.names if name != "locator")
_SAMPLE_COLUMNS: Final = ("sample_id", "label", "generator", "domain", "split", "group")
_BATCH: Final = 4096
_GROUP: Final = 65536  # rows a row group: what reading needs beside the table stays small


@dataclass(frozen=True, slots=True, eq=False)
class Manifest:
    """A data set, indexed.

    Attributes:
        name: of the data set, as the board prints it.
        layout: name of the layout that read it.
        recognised: what was recognised, in words.
        root: folder that the locators are relative to.
        table: columns of `record.SCHEMA`, sorted by sample_id.
        pairing: generator -> the real sources it is compared with.
        bad: columns path and reason: images left out, the same for every detector.
        digest: SHA-256 over the table (without locators) and the pairing; the same on every
            machine and under every root.
    """

    name: str
    layout: str
    recognised: str
    root: Path
    table: pa.Table
    pairing: Mapping[str, tuple[str, ...]]
    bad: pa.Table
    digest: str

    @classmethod
    def build(
        cls,
        *,
        name: str,
        layout: str,
        recognised: str,
        root: Path,
        table: pa.Table,
        pairing: Mapping[str, Sequence[str]],
        bad: pa.Table | None = None,
    ) -> Manifest:
        """Sort, digest and put together; the columns may come in any order."""
        ordered = shared(_sorted(table.select(SCHEMA.names).cast(SCHEMA)).combine_chunks())
        ordered = ordered.replace_schema_metadata(None)
        pairs = {g: tuple(pairing[g]) for g in sorted(pairing)}
        return cls(
            name=name,
            layout=layout,
            recognised=recognised,
            root=root,
            table=ordered,
            pairing=pairs,
            bad=BAD_SCHEMA.empty_table() if bad is None else bad,
            digest=_digest(ordered, pairs),
        )

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def records(self, indices: Iterable[int] | None = None) -> Iterator[ImageRecord]:
        """The records at the given rows (all, in order, by default), made as they are asked for.

        Raises:
            IndexError: a row that the table does not have.
        """
        rows = np.fromiter(indices if indices is not None else range(len(self)), dtype=np.int64)
        if rows.size and (rows.min() < 0 or rows.max() >= len(self)):
            raise IndexError(f"rows {rows.min()}..{rows.max()} of a manifest of {len(self)}")
        for start in range(0, len(rows), _BATCH):
            for values in self.table.take(rows[start : start + _BATCH]).to_pylist():
                yield ImageRecord(**values)

    def samples(self) -> pd.DataFrame:
        """The columns sample_id, label, generator, domain, split, group, in the table's order."""
        frame: pd.DataFrame = self.table.select(_SAMPLE_COLUMNS).to_pandas()
        return frame

    def splits(self) -> tuple[str, ...]:
        """The splits that occur, sorted; "" for images of none."""
        return tuple(sorted(pc.unique(self.table["split"]).to_pylist()))

    def rows(self, split: str = "") -> NDArray[np.int64]:
        """(n,) int64, ascending: the rows of a split; of all for "", or where nothing has a split.

        Raises:
            NothingSelectedError: no image is in that split; names those there are.
        """
        if not split or self.splits() == ("",):
            chosen = np.arange(len(self), dtype=np.int64)
        else:
            chosen = np.flatnonzero(pc.equal(self.table["split"], split).to_numpy())
        if not chosen.size:
            raise no_such_split(self.name, split, self.splits())
        return chosen

    def select(self, split: str) -> Manifest:
        """The images of one split, as `rows` chooses them, with the digest of what is left."""
        return self.take(self.rows(split))

    def take(self, indices: Iterable[int]) -> Manifest:
        """The images at some rows, with the digest and the pairing of what is left."""
        rows = np.sort(np.fromiter(indices, dtype=np.int64))
        table = self.table.take(rows)
        fakes = set(
            pc.unique(table.filter(pc.equal(table["label"], FAKE))["generator"]).to_pylist()
        )
        return Manifest.build(
            name=self.name,
            layout=self.layout,
            recognised=self.recognised,
            root=self.root,
            table=table,
            pairing={g: sources for g, sources in self.pairing.items() if g in fakes},
            bad=self.bad,
        )

    def counts(self) -> pd.DataFrame:
        """Images by split, label, generator and domain: those columns and ``images``."""
        keys = ["split", "label", "generator", "domain"]
        counted = self.table.group_by(keys).aggregate([([], "count_all")]).to_pandas()
        counted = counted.rename(columns={"count_all": "images"}).sort_values(keys)
        frame: pd.DataFrame = counted[[*keys, "images"]].reset_index(drop=True)
        return frame

    def save(self, path: Path, *, extra: Mapping[str, str] | None = None) -> None:
        """Write as Parquet, all the rest in the schema's metadata; whole or not at all.

        Raises:
            OutputError: the place cannot be written.
        """
        head = {
            "version": FORMAT_VERSION,
            "name": self.name,
            "layout": self.layout,
            "recognised": self.recognised,
            "root": str(self.root),
            "pairing": self.pairing,
            "bad": self.bad.to_pylist(),
            "digest": self.digest,
            "extra": dict(extra or {}),
        }
        table = self.table.replace_schema_metadata({"bench": json.dumps(head, sort_keys=True)})
        write_atomic(
            path,
            lambda stream: pq.write_table(table, stream, compression="zstd", row_group_size=_GROUP),
        )

    @classmethod
    def load(cls, path: Path, *, root: Path | None = None) -> Manifest:
        """Read what `save` wrote, and make sure that it is what was written.

        Args:
            path: the file.
            root: where the images are now; where they were when it was written by default.

        Raises:
            DataError: missing, damaged, not a manifest, or of another version.
        """
        return cls.restore(read_saved(path), root)

    @classmethod
    def restore(cls, saved: Saved, root: Path | None = None) -> Manifest:
        """The manifest of a file already read; see `load`."""
        head = saved.head
        manifest = cls.build(
            name=head["name"],
            layout=head["layout"],
            recognised=head["recognised"],
            root=Path(head["root"]) if root is None else root,
            table=saved.table,
            pairing=head["pairing"],
            bad=pa.Table.from_pylist(head["bad"], schema=BAD_SCHEMA),
        )
        if manifest.digest != head["digest"]:
            raise DataError(
                f"{saved.path} is damaged (its digest does not fit): index the data again"
            )
        return manifest


@dataclass(frozen=True, slots=True, eq=False)
class Saved:
    """A manifest's file as read: the table, and all the rest that stood in its metadata."""

    path: Path
    table: pa.Table
    head: dict[str, Any]


def read_saved(path: Path) -> Saved:
    """Read what `Manifest.save` wrote, not yet checked against its digest.

    Raises:
        DataError: missing, damaged, not a manifest, or of another version.
    """
    try:
        file = pq.ParquetFile(io.BytesIO(path.read_bytes()))
        head: dict[str, Any] = json.loads((file.schema_arrow.metadata or {})[b"bench"])
        table = _columns(file)
    except FileNotFoundError:
        raise DataError(f"no such manifest: {path}") from None
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise DataError(f"{path} is not a manifest that bench wrote, or is damaged") from error
    if head.get("version") != FORMAT_VERSION or set(SCHEMA.names) - set(table.column_names):
        raise DataError(f"{path} was written by another version of bench: index the data again")
    return Saved(path, table, head)


def no_such_split(name: str, split: str, there: Iterable[str]) -> NothingSelectedError:
    """The error about a split without images: which there are, and how to choose."""
    known = ", ".join(repr(s) for s in there if s)
    hint = f"choose --split from {known}, or --split all" if known else "it holds no readable image"
    return NothingSelectedError(f"{name} has no images in split {split!r}: {hint}")


def _sorted(table: pa.Table) -> pa.Table:
    """By sample_id; a table that is in order already, as every saved one, is not copied."""
    ids = table["sample_id"]
    if len(ids) < 2 or pc.all(pc.less_equal(ids[:-1], ids[1:])).as_py():
        return table
    return table.sort_by("sample_id")


def _columns(file: pq.ParquetFile) -> pa.Table:
    """The table, a column at a time: what repeats the ids is dropped before the next is read."""
    names = file.schema_arrow.names
    table = file.read(columns=[names[0]]).combine_chunks()
    for name in names[1:]:
        column = file.read(columns=[name]).combine_chunks()[name]
        known = table["sample_id"] if "sample_id" in table.column_names else None
        if known is not None and column.equals(known):
            column = known
        table = table.append_column(name, column)
    return table


def shared(table: pa.Table) -> pa.Table:
    """Columns that say the same, as id, place and group mostly do, take their memory once."""
    for name in ("locator", "group"):
        if table[name].equals(table["sample_id"]):
            at = table.schema.get_field_index(name)
            table = table.set_column(at, table.schema.field(name), table["sample_id"])
    return table


def string_bytes(column: pa.Array | pa.ChunkedArray) -> bytes:
    """The bytes of all strings of a column, one after the other, without making them objects."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    return b"".join(_bytes_of(chunk) for chunk in chunks)


def _bytes_of(chunk: pa.Array) -> memoryview | bytes:
    _, offsets, data = chunk.buffers()
    if data is None or not len(chunk):
        return b""
    bounds = np.frombuffer(offsets, dtype=np.int32)[[chunk.offset, chunk.offset + len(chunk)]]
    return memoryview(data)[int(bounds[0]) : int(bounds[1])]


def _digest(table: pa.Table, pairing: Mapping[str, tuple[str, ...]]) -> str:
    """SHA-256 of columns and pairing in an encoding of its own, free of pyarrow's versions."""
    total = hashlib.sha256(f"bench manifest {FORMAT_VERSION}\n".encode())
    for name in _DIGESTED:
        column = table[name]
        total.update(f"{name} {len(column)}\n".encode())
        if pa.types.is_string(SCHEMA.field(name).type):
            # Lengths first: no choice of separator could be forged by a file's name.
            total.update(pc.binary_length(column).to_numpy().astype("<i8").tobytes())
            for chunk in column.chunks:
                total.update(_bytes_of(chunk))
        else:
            total.update(column.to_numpy().astype("<i8").tobytes())
    total.update(json.dumps({g: list(s) for g, s in sorted(pairing.items())}).encode())
    return total.hexdigest()
