"""The digest of a manifest: what its columns say, whatever library holds them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bench.datasets.record import SCHEMA

# Raise when a manifest says other things: every stored score stands under a digest.
FORMAT_VERSION: Final = 1
# Where the bytes lie is no part of what they are: a copy laid out otherwise has the same digest.
_DIGESTED: Final = tuple(name for name in SCHEMA.names if name != "locator")


def digest_manifest(table: pa.Table, pairing: Mapping[str, tuple[str, ...]]) -> str:
    """Digest columns and pairing in an encoding of its own, free of pyarrow's versions.

    Args:
        table: columns of `record.SCHEMA`, sorted by sample_id.
        pairing: generator -> the real sources it is compared with.

    Returns:
        SHA-256, 64 hex digits.
    """
    total = hashlib.sha256(f"bench manifest {FORMAT_VERSION}\n".encode())
    for name in _DIGESTED:
        column = table[name]
        total.update(f"{name} {len(column)}\n".encode())
        if pa.types.is_string(SCHEMA.field(name).type):
            # Lengths first: no choice of separator could be forged by a file's name.
            total.update(pc.binary_length(column).to_numpy().astype("<i8").tobytes())
            for chunk in column.chunks:
                total.update(_chunk_bytes(chunk))
        else:
            total.update(column.to_numpy().astype("<i8").tobytes())
    total.update(json.dumps({g: list(s) for g, s in sorted(pairing.items())}).encode())
    return total.hexdigest()


def string_bytes(column: pa.Array | pa.ChunkedArray) -> bytes:
    """Join the bytes of all strings of a column, without making them objects."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    return b"".join(_chunk_bytes(chunk) for chunk in chunks)


def _chunk_bytes(chunk: pa.Array) -> memoryview | bytes:
    _, offsets, data = chunk.buffers()
    if data is None or not len(chunk):
        return b""
    bounds = np.frombuffer(offsets, dtype=np.int32)[[chunk.offset, chunk.offset + len(chunk)]]
    return memoryview(data)[int(bounds[0]) : int(bounds[1])]
