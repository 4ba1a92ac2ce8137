"""Imported scores as units of a store: of a kind of their own, so that no run ever takes them for its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from bench.datasets.manifest import Manifest
from bench.protocol.condition import Condition
from bench.runs.imported.cells import Cell, Cells
from bench.store.provenance import fingerprint
from bench.store.seal import table_digest
from bench.store.shards import ATTACK_COLUMNS, SCHEMA, Store
from bench.store.units import Chunk, Plan, Unit


@dataclass(frozen=True, slots=True, eq=False)
class Shards:
    """The units of a plan and the scores that there are of them.

    Attributes:
        plan: A unit every chunk, detector and condition.
        tables: Fingerprint to the scores of its unit; a unit without any is not there.
    """

    plan: Plan
    tables: Mapping[str, pa.Table]

    @classmethod
    def of(
        cls,
        cells: Cells,
        manifest: Manifest,
        chunks: Sequence[Chunk],
        conditions: Mapping[str, Condition],
    ) -> Shards:
        """Cut imported scores into units.

        Args:
            cells: The scores by detector and condition.
            manifest: All images that were indexed.
            chunks: Which of them, in order.
            conditions: Conditions in board order, by canonical spelling.
        """
        tables: dict[str, pa.Table] = {}
        units: dict[int, tuple[Unit, ...]] = {}
        for chunk in chunks:
            made = []
            for detector in cells.detectors:
                for spelled, condition in conditions.items():
                    cell = cells.cells.get((detector, spelled))
                    table = _table(cell, manifest, chunk)
                    name = _fingerprint(table, chunk, detector, condition)
                    made.append(Unit(chunk.index, detector, spelled, name))
                    if table is not None:
                        tables[name] = table
            units[chunk.index] = tuple(made)
        everything = tuple(unit for chunk in chunks for unit in units[chunk.index])
        images = sum(len(chunk.rows) for chunk in chunks)
        return cls(Plan(tuple(chunks), everything, images, units), tables)

    def write(self, store: Store) -> None:
        """Keep every unit that there are scores of.

        Raises:
            OutputError: The place cannot be written.
        """
        for name, table in self.tables.items():
            store.write(name, table)


def _table(cell: Cell | None, manifest: Manifest, chunk: Chunk) -> pa.Table | None:
    """The shard of one chunk; None where no row of the table of scores is about it, or it failed."""
    if cell is None or cell.failure is not None or not cell.present[chunk.rows].any():
        return None
    logits = cell.logits[chunk.rows]
    reasons = [
        None if np.isfinite(logit) else cell.bad.get(row, "no row in the table of scores")
        for row, logit in zip(chunk.rows.tolist(), logits, strict=True)
    ]
    stated = {
        "sample_id": manifest.table["sample_id"].take(chunk.rows),
        "logit": pa.array(logits, pa.float32(), from_pandas=True),
        "bad": pa.array(reasons, pa.string()),
        **dict(_attack_columns(cell, chunk)),
    }
    # Whatever else bench measures while it scores, a table of scores does not tell.
    columns = {
        field.name: stated.get(field.name, pa.nulls(len(logits), field.type)) for field in SCHEMA
    }
    return pa.table(columns, schema=SCHEMA)


def _attack_columns(cell: Cell, chunk: Chunk) -> Iterator[tuple[str, pa.Array]]:
    for name in ATTACK_COLUMNS:
        kind = SCHEMA.field(name).type
        values = cell.attack.get(name)
        if values is None:
            yield name, pa.nulls(len(chunk.rows), kind)
            continue
        numbers = values[chunk.rows]
        if pa.types.is_integer(kind):
            whole = np.isfinite(numbers) & (np.abs(numbers) < 2**7 if kind == pa.int8() else True)
            numbers = np.where(whole, np.round(numbers), np.nan)
        yield name, pa.array(numbers, pa.float64(), from_pandas=True).cast(kind, safe=False)


def _fingerprint(table: pa.Table | None, chunk: Chunk, detector: str, condition: Condition) -> str:
    # No unit that bench scores has the key "imported", nor lacks the others that it has.
    return fingerprint(
        {
            "imported": "" if table is None else table_digest(table),
            "chunk": chunk.digest,
            "detector": detector,
            "condition": condition.resolved,
        }
    )
