"""The table of a run's scores as a file: CSV for people, Parquet for programs, written piece by piece."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.errors import BenchError
from bench.support.files import write_atomic
from leaderboards.render.csv import guard


def csv_lines(parts: Iterable[pd.DataFrame]) -> Iterator[str]:
    """Give each part as CSV, the first with the header.

    Numbers read back exactly; an empty field is no number; text that a spreadsheet would run as a formula
    has an apostrophe before it.
    """
    for number, part in enumerate(parts):
        texts = part.select_dtypes(["object", "string"]).columns
        plain = part.assign(
            **{name: part[name].map(guard, na_action="ignore") for name in texts},
            logit=part["logit"].astype("float64"),
        )
        yield plain.to_csv(index=False, header=number == 0, lineterminator="\n")


def write_scores(parts: Iterable[pd.DataFrame], path: Path) -> None:
    """Write the table as ``.csv`` or ``.parquet``, whole or not at all.

    Raises:
        BenchError: The name ends otherwise.
        OutputError: The place cannot be written.
    """
    form = path.suffix.lower()
    if form not in (".csv", ".parquet"):
        raise BenchError(f"--out {path}: give a file that ends in .csv or .parquet")

    def fill(stream: BinaryIO) -> None:
        if form == ".csv":
            for text in csv_lines(parts):
                stream.write(text.encode())
            return
        writer: pq.ParquetWriter | None = None
        try:
            for part in parts:
                table = pa.Table.from_pandas(part, schema=_schema(part), preserve_index=False)
                writer = writer or pq.ParquetWriter(stream, table.schema)
                writer.write_table(table)
        finally:
            if writer is not None:
                writer.close()

    write_atomic(path, fill)


def _schema(part: pd.DataFrame) -> pa.Schema:
    """Give the types of the columns, the same for every part: of a part alone they could not be told."""
    return pa.schema(
        [
            (name, pa.from_numpy_dtype(dtype) if dtype.kind in "fiub" else pa.string())
            for name, dtype in part.dtypes.items()
        ]
    )
