"""Parquet files that people give us: where the images are, and one sentence where one is damaged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from bench.datasets.sources.header import in_words
from bench.errors import DataError
from bench.support.objects.place import Place

_IMAGE_COLUMNS: Final = ("image", "img", "image_bytes", "bytes", "data", "image_data")


@contextmanager
def parquet_errors(path: Place) -> Iterator[None]:
    """Turn what pyarrow raises about a damaged file into one sentence that names it.

    The footer of a file may be whole and the pages damaged, so reading the schema alone proves
    nothing: every reading of a file goes in here.

    Raises:
        DataError: the file cannot be read as Parquet.
    """
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # damaged bytes, names that are no text, sizes that no memory holds
        raise DataError(
            f"{path} cannot be read as Parquet ({in_words(error)}): fetch it again or move it away"
        ) from error


def parquet_source(path: Place) -> Path | BinaryIO:
    """Give what pyarrow reads a file from: its path, or a stream that fetches the parts it asks for."""
    return path if isinstance(path, Path) else path.open()


def read_schema(path: Place) -> pa.Schema:
    """Read the columns of a Parquet file and their types; no row is read.

    Raises:
        DataError: the file cannot be read as Parquet.
    """
    with parquet_errors(path):
        return pq.read_schema(parquet_source(path))


def image_column(schema: pa.Schema) -> str | None:
    """Find the column that holds encoded images: binary, or a struct with binary ``bytes``.

    Returns:
        Its name; the conventional names come first. None where no column holds bytes.
    """
    candidates = [field.name for field in schema if _holds_bytes(field.type)]
    for name in _IMAGE_COLUMNS:
        if name in candidates:
            return name
    return candidates[0] if len(candidates) == 1 else None


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and _holds_bytes(kind.field(index).type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
