"""The images of a data set as one table with a digest: what every later step works from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bench.datasets.digest import digest_manifest
from bench.datasets.manifest_format import Saved, read_saved, write_saved
from bench.datasets.record import BAD_SCHEMA, FAKE, LOST_SCHEMA, SCHEMA, ImageRecord
from bench.errors import DataError, NothingSelectedError
from bench.support.objects.place import Place, place_of

if TYPE_CHECKING:
    import pandas as pd

_SAMPLE_COLUMNS: Final = ("sample_id", "label", "generator", "domain", "split", "group")
_BATCH: Final = 4096
# What the names of a data set's own further columns begin with, so that none is taken for one of ours.
FREE: Final = "free:"


@dataclass(frozen=True, slots=True, eq=False)
class Manifest:
    """A data set, indexed.

    Attributes:
        name: name of the data set, as the board prints it.
        layout: name of the layout that read it.
        recognised: what was recognised, in words.
        root: folder or URL that the locators are relative to.
        table: columns of `record.SCHEMA`, sorted by sample_id.
        pairing: generator -> the real sources it is compared with.
        lost: columns of `record.LOST_SCHEMA`: images left out, the same for every detector.
        digest: SHA-256 over the table (without locators) and the pairing; the same on every
            machine and under every root.
        free: what else the data set says of each image, row by row with the table: strings, columns
            named `FREE` and their own name. No part of the digest, as no score depends on it.
    """

    name: str
    layout: str
    recognised: str
    root: Place
    table: pa.Table
    pairing: Mapping[str, tuple[str, ...]]
    lost: pa.Table
    digest: str
    free: pa.Table = field(default_factory=lambda: pa.table({}))

    @classmethod
    def build(
        cls,
        *,
        name: str,
        layout: str,
        recognised: str,
        root: Place,
        table: pa.Table,
        pairing: Mapping[str, Sequence[str]],
        bad: pa.Table | None = None,
        free: pa.Table | None = None,
    ) -> Manifest:
        """Put a manifest together: rows sorted, digest taken; columns may come in any order.

        Args:
            name: as the attribute.
            layout: as the attribute.
            recognised: as the attribute.
            root: as the attribute.
            table: as the attribute, unsorted.
            pairing: as the attribute.
            bad: images left out; of `record.LOST_SCHEMA` path and reason are needed.
            free: as the attribute, in the order of the table; none by default.
        """
        columns = table.select(SCHEMA.names).cast(SCHEMA)
        if free is not None:
            for column in free.column_names:
                columns = columns.append_column(column, free[column])
        columns = _sorted(columns).combine_chunks()
        free = columns.drop_columns(SCHEMA.names).replace_schema_metadata(None)
        ordered = share_memory(columns.select(SCHEMA.names)).replace_schema_metadata(None)
        pairs = {generator: tuple(pairing[generator]) for generator in sorted(pairing)}
        return cls(
            name=name,
            layout=layout,
            recognised=recognised,
            root=root,
            table=ordered,
            pairing=pairs,
            lost=_with_all_facts(bad),
            digest=digest_manifest(ordered, pairs),
            free=free,
        )

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def bad(self) -> pa.Table:
        """Columns path and reason of the images left out."""
        return self.lost.select(BAD_SCHEMA.names)

    @property
    def whole_table(self) -> pa.Table:
        """The table with the free columns behind it."""
        table = self.table
        for name in self.free.column_names:
            table = table.append_column(name, self.free[name])
        return table

    @property
    def free_names(self) -> tuple[str, ...]:
        """Names of the free columns, as the data set has them."""
        return tuple(name.removeprefix(FREE) for name in self.free.column_names)

    def lost_from(self, split: str) -> pa.Table:
        """Give what is left out of a split, with the images of which no split is known; all for ""."""
        if not split or self.splits() == ("",):
            return self.lost
        of_split = pc.is_in(self.lost["split"], value_set=pa.array([split, ""], pa.string()))
        return self.lost.filter(pc.or_(of_split, pc.is_null(self.lost["split"])))

    def records(self, indices: Iterable[int] | None = None) -> Iterator[ImageRecord]:
        """Make the records at some rows, one at a time.

        Args:
            indices: rows of the table, in any order; all, in the table's order, by default.

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
        """Give sample_id, label, generator, domain, split and group, in the table's order."""
        frame: pd.DataFrame = self.table.select(_SAMPLE_COLUMNS).to_pandas()
        return frame

    def splits(self) -> tuple[str, ...]:
        """List the splits that occur, sorted; "" for images of none."""
        return tuple(sorted(pc.unique(self.table["split"]).to_pylist()))

    def rows(self, split: str = "") -> NDArray[np.int64]:
        """Find the rows of a split; of all for "", or where nothing has a split.

        Returns:
            (n,) int64, ascending.

        Raises:
            NothingSelectedError: no image is in that split; names those there are.
        """
        if not split or self.splits() == ("",):
            rows = np.arange(len(self), dtype=np.int64)
        else:
            rows = np.flatnonzero(pc.equal(self.table["split"], split).to_numpy())
        if not rows.size:
            raise no_such_split(self.name, split, self.splits())
        return rows

    def select(self, split: str) -> Manifest:
        """Keep the images of one split, as `rows` chooses them; the digest is of what is left."""
        return self.take(self.rows(split))

    def take(self, indices: Iterable[int]) -> Manifest:
        """Keep the images at some rows; digest and pairing are of what is left."""
        rows = np.sort(np.fromiter(indices, dtype=np.int64))
        table = self.table.take(rows)
        fakes = table.filter(pc.equal(table["label"], FAKE))
        generators = set(pc.unique(fakes["generator"]).to_pylist())
        return Manifest.build(
            name=self.name,
            layout=self.layout,
            recognised=self.recognised,
            root=self.root,
            table=table,
            pairing={g: sources for g, sources in self.pairing.items() if g in generators},
            bad=self.lost,
            free=self.free.take(rows) if self.free.num_columns else None,
        )

    def counts(self) -> pd.DataFrame:
        """Count images by split, label, generator and domain: those columns and ``images``."""
        keys = ["split", "label", "generator", "domain"]
        counted = self.table.group_by(keys).aggregate([([], "count_all")]).to_pandas()
        counted = counted.rename(columns={"count_all": "images"}).sort_values(keys)
        frame: pd.DataFrame = counted[[*keys, "images"]].reset_index(drop=True)
        return frame

    def save(self, path: Path, *, extra: Mapping[str, str] | None = None) -> None:
        """Write as Parquet, all the rest in the schema's metadata; whole or not at all.

        Args:
            path: path of the file.
            extra: what the caller wants to find again in the file's head.

        Raises:
            OutputError: the place cannot be written.
        """
        head = {
            "name": self.name,
            "layout": self.layout,
            "recognised": self.recognised,
            "root": str(self.root),
            "pairing": self.pairing,
            "bad": self.lost.to_pylist(),
            "digest": self.digest,
            "extra": dict(extra or {}),
        }
        write_saved(path, self.whole_table, head)

    @classmethod
    def load(cls, path: Path, *, root: Place | None = None) -> Manifest:
        """Read what `save` wrote, and make sure that it is what was written.

        Args:
            path: path of the file.
            root: where the images lie; where they lay when it was written by default.

        Raises:
            DataError: missing, damaged, not a manifest, or of another version.
        """
        return cls.restore(read_saved(path), root)

    @classmethod
    def restore(cls, saved: Saved, root: Place | None = None) -> Manifest:
        """Put together the manifest of a file that has been read; see `load`."""
        head = saved.head
        manifest = cls.build(
            name=head["name"],
            layout=head["layout"],
            recognised=head["recognised"],
            root=place_of(head["root"]) if root is None else root,
            table=saved.table,
            pairing=head["pairing"],
            bad=pa.Table.from_pylist(head["bad"], schema=LOST_SCHEMA),
            free=saved.table.select([n for n in saved.table.column_names if n.startswith(FREE)]),
        )
        if manifest.digest != head["digest"]:
            raise DataError(
                f"{saved.path} is damaged (its digest does not fit): index the data again"
            )
        return manifest


def no_such_split(name: str, split: str, splits: Iterable[str]) -> NothingSelectedError:
    """Make the error about a split without images: which splits there are, and how to choose."""
    names = ", ".join(repr(s) for s in splits if s)
    hint = f"choose --split from {names}, or --split all" if names else "it holds no readable image"
    return NothingSelectedError(f"{name} has no images in split {split!r}: {hint}")


def _with_all_facts(bad: pa.Table | None) -> pa.Table:
    """Bring bad images to `LOST_SCHEMA`; what nobody said of them is null."""
    if bad is None:
        return LOST_SCHEMA.empty_table()
    columns = {
        field.name: bad[field.name]
        if field.name in bad.column_names
        else pa.nulls(len(bad), field.type)
        for field in LOST_SCHEMA
    }
    return pa.table(columns, schema=LOST_SCHEMA)


def _sorted(table: pa.Table) -> pa.Table:
    """Sort by sample_id; a table that is in order already, as every saved one, is not copied."""
    ids = table["sample_id"]
    if len(ids) < 2 or pc.all(pc.less_equal(ids[:-1], ids[1:])).as_py():
        return table
    return table.sort_by("sample_id")


def share_memory(table: pa.Table) -> pa.Table:
    """Keep columns that say the same, as id, locator and group mostly do, in memory once."""
    for name in ("locator", "group"):
        if table[name].equals(table["sample_id"]):
            index = table.schema.get_field_index(name)
            table = table.set_column(index, table.schema.field(name), table["sample_id"])
    return table
