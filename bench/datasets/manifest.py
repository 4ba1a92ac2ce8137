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

from bench.datasets.record import BAD_SCHEMA, FAKE, SCHEMA, ImageRecord
from bench.errors import DataError, NothingSelectedError
from bench.files import write_atomic

if TYPE_CHECKING:
    import pandas as pd

FORMAT_VERSION: Final = 1
# Where the bytes lie is no part of what they are: a copy laid out otherwise has the same digest.
_DIGESTED: Final = tuple(name for name in SCHEMA.names if name != "locator")
_SAMPLE_COLUMNS: Final = ("sample_id", "label", "generator", "domain", "split", "group")
_BATCH: Final = 4096


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
        ordered = table.select(SCHEMA.names).cast(SCHEMA).sort_by("sample_id").combine_chunks()
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

    def select(self, split: str) -> Manifest:
        """The images of one split, with the digest and the pairing of what is left.

        Raises:
            NothingSelectedError: no image is in that split; names those there are.
        """
        chosen = np.flatnonzero(pc.equal(self.table["split"], split).to_numpy())
        if not chosen.size:
            there = ", ".join(s or "(none)" for s in self.splits())
            raise NothingSelectedError(f"{self.name} has no split {split!r}: it has {there}")
        return self.take(chosen)

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
        write_atomic(path, lambda stream: pq.write_table(table, stream, compression="zstd"))

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
        table = pq.read_table(io.BytesIO(path.read_bytes()))
        head: dict[str, Any] = json.loads((table.schema.metadata or {})[b"bench"])
    except FileNotFoundError:
        raise DataError(f"no such manifest: {path}") from None
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise DataError(f"{path} is not a manifest that bench wrote, or is damaged") from error
    if head.get("version") != FORMAT_VERSION or set(SCHEMA.names) - set(table.column_names):
        raise DataError(f"{path} was written by another version of bench: index the data again")
    return Saved(path, table, head)


def _digest(table: pa.Table, pairing: Mapping[str, tuple[str, ...]]) -> str:
    """SHA-256 of columns and pairing in an encoding of its own, free of pyarrow's versions."""
    total = hashlib.sha256(f"bench manifest {FORMAT_VERSION}\n".encode())
    for name in _DIGESTED:
        values = table[name].to_pylist()
        total.update(f"{name} {len(values)}\n".encode())
        if pa.types.is_string(SCHEMA.field(name).type):
            encoded = [value.encode() for value in values]
            # Lengths first: no choice of separator could be forged by a file's name.
            total.update(np.array([len(e) for e in encoded], dtype="<i8").tobytes())
            total.update(b"".join(encoded))
        else:
            total.update(np.array(values, dtype="<i8").tobytes())
    total.update(json.dumps({g: list(s) for g, s in sorted(pairing.items())}).encode())
    return total.hexdigest()
