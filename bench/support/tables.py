"""Tables that bench wrote itself, read in the calling thread alone."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def read_table(source: Path | bytes) -> pa.Table:
    """Read a Parquet file whole, its checksums checked where it has any.

    Not ``pq.read_table``: that scans by threads of pyarrow's own, which read on while the interpreter ends
    where something failed before them, and takes four times as long for a small file.

    Args:
        source: The file, or its bytes.

    Raises:
        OSError: It cannot be read, or is damaged.
        ArrowException: It is no Parquet file, or is damaged.
    """
    place = pa.BufferReader(source) if isinstance(source, bytes) else source
    with pq.ParquetFile(place, page_checksum_verification=True) as file:
        return file.read(use_threads=False)
