"""Digests that stored files carry of their own content, so that what is read is what was written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc

from bench.datasets.digest import string_bytes
from bench.store.provenance import fingerprint

SEAL: Final = "digest"
_BLOCK: Final = 1 << 20  # bytes


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """Add the digest of a JSON document to it, under ``digest``; one that is there is replaced."""
    content = {key: value for key, value in document.items() if key != SEAL}
    return {**content, SEAL: fingerprint(content)}


def is_intact(document: Mapping[str, Any]) -> bool:
    """Say whether a JSON document is what was sealed; False where it has no digest."""
    return SEAL in document and sealed(document)[SEAL] == document[SEAL]


def bytes_digest(content: bytes) -> str:
    """Digest a whole file: SHA-256, 64 hex digits."""
    return hashlib.sha256(content).hexdigest()


def stream_digest(stream: BinaryIO) -> str:
    """Digest what is left of an open file, as ``bytes_digest`` does, without holding it."""
    total = hashlib.sha256()
    while block := stream.read(_BLOCK):
        total.update(block)
    return total.hexdigest()


def table_digest(table: pa.Table) -> str:
    """Digest names, types and values of a table, whatever encodes or compresses them in a file.

    Args:
        table: Columns of strings, numbers and booleans, nulls allowed.

    Returns:
        SHA-256, 64 hex digits.
    """
    total = hashlib.sha256()
    for field in table.schema:
        column = table[field.name].combine_chunks()
        total.update(f"{field.name} {field.type} {len(column)}\n".encode())
        total.update(column.is_null().to_numpy(zero_copy_only=False).tobytes())
        if pa.types.is_string(field.type):
            text = column.fill_null("")
            # Lengths first: no choice of separator could be forged by a file's name.
            total.update(pc.binary_length(text).to_numpy().astype("<i8").tobytes())
            total.update(string_bytes(text))
        else:
            values = column.fill_null(False if pa.types.is_boolean(field.type) else 0)
            numbers = values.to_numpy(zero_copy_only=False)
            total.update(numbers.astype(numbers.dtype.newbyteorder("<")).tobytes())
    return total.hexdigest()
