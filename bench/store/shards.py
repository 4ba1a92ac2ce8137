"""Score shards by fingerprint: one Parquet file a unit of work, whole or absent.

A shard's name is the hash of everything that could change a score in it, so finding the name *is* the
proof that the unit has been scored. Shards are small and never rewritten; several runs, processes and
machines may share one store.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bench.errors import BenchError
from bench.support.files import ensure_writable, write_atomic

# One row an image, in chunk order. A null logit comes with the reason the image could not be decoded.
SCHEMA = pa.schema(
    [
        ("sample_id", pa.string()),
        ("logit", pa.float32()),
        ("bad", pa.string()),
        ("changed", pa.bool_()),
        ("linf", pa.float32()),
        ("l2", pa.float32()),
        ("steps", pa.int32()),
        ("grad_zero", pa.float32()),
        ("unbounded", pa.int8()),
        ("unrounded", pa.float32()),
    ]
)
# Null where there is no attack, or it left the image alone; see `bench.scoring.attack_job.Attacked`.
ATTACK_COLUMNS = ("linf", "l2", "steps", "grad_zero", "unbounded", "unrounded")


class ShardDamagedError(BenchError):
    """A shard that exists and cannot be read: the disk, not the harness, broke it."""


class Store:
    """A folder of score shards."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def prepare(self) -> None:
        """Make the folder and prove it can be written.

        Raises:
            OutputError: If it cannot.
        """
        ensure_writable(self.root)

    def path(self, fingerprint: str) -> Path:
        """Give the path at which the shard of ``fingerprint`` stands or would stand."""
        return self.root / fingerprint[:2] / f"{fingerprint}.parquet"

    def has(self, fingerprint: str) -> bool:
        """Tell whether the unit has been scored."""
        return self.path(fingerprint).is_file()

    def write(self, fingerprint: str, scores: pa.Table) -> None:
        """Keep one unit's scores; a crash at any moment leaves the shard whole or absent."""
        table = scores.cast(SCHEMA).replace_schema_metadata({"fingerprint": fingerprint})
        write_atomic(
            self.path(fingerprint), lambda stream: pq.write_table(table, stream, compression="zstd")
        )

    def read(self, fingerprint: str) -> pa.Table:
        """Read the scores of one unit, columns as in ``SCHEMA``.

        Raises:
            ShardDamagedError: If the file is unreadable or another unit's; it is set aside, so that
                running the command again scores the unit anew.
            FileNotFoundError: If the unit has not been scored.
        """
        path = self.path(fingerprint)
        if not path.is_file():
            raise FileNotFoundError(path)
        try:
            table = pq.read_table(path)
            if (table.schema.metadata or {}).get(b"fingerprint") != fingerprint.encode():
                raise pa.ArrowInvalid("it holds another unit")
            return _completed(table).cast(SCHEMA)
        except (pa.ArrowException, OSError, ValueError) as error:
            path.replace(path.with_suffix(".damaged"))
            raise ShardDamagedError(
                f"score shard {path.name[:12]} was damaged on disk and set aside ({error}): "
                "run the same command again to score it anew"
            ) from error


def _completed(table: pa.Table) -> pa.Table:
    """Add the columns that a shard of an earlier version lacks, as null: its run can still be shown."""
    for name in ATTACK_COLUMNS:
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(len(table), SCHEMA.field(name).type))
    return table
