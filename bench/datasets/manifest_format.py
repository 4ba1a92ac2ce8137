"""The file a manifest is kept in: its table as Parquet, all the rest in the schema's metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from bench.datasets.digest import FORMAT_VERSION
from bench.datasets.record import SCHEMA
from bench.errors import DataError
from bench.support.files import write_atomic
from bench.support.user_file import MOST_TABLE, read_bytes

_GROUP: Final = 65536  # rows a row group: what reading needs beside the table stays small


@dataclass(frozen=True, slots=True, eq=False)
class Saved:
    """A manifest's file as read.

    Attributes:
        path: path of the file.
        table: columns of `record.SCHEMA`.
        head: all the rest, as `write_saved` was given it.
    """

    path: Path
    table: pa.Table
    head: dict[str, Any]


def write_saved(path: Path, table: pa.Table, head: Mapping[str, Any]) -> None:
    """Write table and head; whole or not at all.

    Args:
        path: path of the file.
        table: columns of `record.SCHEMA`.
        head: all the rest, as JSON can hold it.

    Raises:
        OutputError: the place cannot be written.
    """
    metadata = {"bench": json.dumps({"version": FORMAT_VERSION, **head}, sort_keys=True)}
    table = table.replace_schema_metadata(metadata)
    write_atomic(
        path,
        lambda stream: pq.write_table(table, stream, compression="zstd", row_group_size=_GROUP),
    )


def read_saved(path: Path) -> Saved:
    """Read what `write_saved` wrote, not yet checked against its digest.

    Raises:
        DataError: missing, damaged, not a manifest, or of another version.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(read_bytes(path, MOST_TABLE)))
        head: dict[str, Any] = json.loads((file.schema_arrow.metadata or {})[b"bench"])
        table = _read_columns(file)
    except FileNotFoundError:
        raise DataError(f"no such manifest: {path}") from None
    except Exception as error:  # whatever a decoder makes of damaged bytes
        raise DataError(f"{path} is not a manifest that bench wrote, or is damaged") from error
    if head.get("version") != FORMAT_VERSION or set(SCHEMA.names) - set(table.column_names):
        raise DataError(f"{path} was written by another version of bench: index the data again")
    return Saved(path, table, head)


def _read_columns(file: pq.ParquetFile) -> pa.Table:
    """Read one column at a time: what repeats the ids is dropped before the next is read."""
    names = file.schema_arrow.names
    table = file.read(columns=[names[0]]).combine_chunks()
    for name in names[1:]:
        column = file.read(columns=[name]).combine_chunks()[name]
        ids = table["sample_id"] if "sample_id" in table.column_names else None
        if ids is not None and column.equals(ids):
            column = ids
        table = table.append_column(name, column)
    return table
