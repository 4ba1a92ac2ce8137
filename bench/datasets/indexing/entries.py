"""What a layout says of every image, in columns: a million images are no million objects."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from bench.datasets.indexing.recognise import describe_folders
from bench.datasets.layouts.base import Entry, Layout
from bench.datasets.manifest import FREE, no_such_split, share_memory
from bench.datasets.sources.tree import Tree
from bench.errors import DataError

_BATCH: Final = 8192
_LONGEST: Final = 256  # characters of a value that anyone cuts a board by
_COLUMNS: Final = (
    "sample_id", "locator", "label", "generator", "domain", "split", "group", "belongs", "control",
)  # fmt: skip
_TYPES: Final = {"label": pa.int8(), "control": pa.bool_()}
_ENTRIES: Final = pa.schema([(name, _TYPES.get(name, pa.string())) for name in _COLUMNS])


def gather_entries(tree: Tree, layout: Layout) -> pa.Table:
    """Collect what a layout says of the images of the splits asked for.

    Returns:
        A row an image: the fields of `layouts.base.Entry`, free columns behind them.

    Raises:
        DataError: there is none, or the user speaks of columns where there are none.
        NothingSelectedError: the split is not there.
    """
    _refuse_columns(tree, layout)
    return _of_splits(_entries(tree, layout), tree)


def _refuse_columns(tree: Tree, layout: Layout) -> None:
    """Refuse what a user says of columns where there are none.

    Raises:
        DataError: names the layout.
    """
    if tree.columns and not layout.reads_columns:
        raise DataError(
            f"--columns has no effect on {tree.place}, which the layout {layout.name} reads by its folders: "
            "leave it out, or point at a table"
        )


def _entries(tree: Tree, layout: Layout) -> pa.Table:
    """Collect the layout's entries in columns, with archives' members where they are.

    Raises:
        DataError: there is none.
    """
    table = _columns_of(layout.entries(tree))
    if not len(table):
        raise DataError(
            f"the layout {layout.name} ({layout.summary}) finds no image in "
            f"{tree.place}: {describe_folders(tree)}"
        )
    if tree.archived:
        locators = pa.array([tree.locator(path) for path in table["locator"].to_pylist()])
        table = table.set_column(table.column_names.index("locator"), "locator", locators)
    return share_memory(table)


def _columns_of(entries: Iterable[Entry]) -> pa.Table:
    """Make columns of entries: only one batch of them is objects at a time."""
    batches = [_ENTRIES.empty_table()]
    entries = iter(entries)
    while batch := list(itertools.islice(entries, _BATCH)):
        columns: dict[str, list[Any]] = {n: [getattr(e, n) for e in batch] for n in _COLUMNS}
        columns["group"] = [entry.group or entry.sample_id for entry in batch]
        free = sorted({name for entry in batch for name in entry.free})
        table = pa.table(columns, schema=_ENTRIES)
        for name in free:
            values = pa.array([entry.free.get(name, "") for entry in batch], pa.string())
            table = table.append_column(FREE + name, values)
        batches.append(table)
    return _kept(pa.concat_tables(batches, promote_options="default").combine_chunks())


def _kept(table: pa.Table) -> pa.Table:
    """Fill the gaps of free columns; drop those that say nothing, or hold whole paragraphs."""
    for name in [name for name in table.column_names if name.startswith(FREE)]:
        column = pc.fill_null(table[name], "")
        position = table.column_names.index(name)
        longest = pc.max(pc.utf8_length(column)).as_py() or 0
        if 0 < longest <= _LONGEST:
            table = table.set_column(position, name, column)
        else:
            table = table.remove_column(position)
    return table


def with_reals(entries: pa.Table, real_images: Iterable[Entry], tree: Tree) -> pa.Table:
    """Add real images that lie elsewhere; those of no split are of the data's only one.

    Raises:
        DataError: they are of no split, and the data of several.
    """
    reals = _columns_of(real_images)
    if not len(reals):
        return entries
    present = sorted(pc.unique(entries["split"]).to_pylist())
    nowhere = pc.equal(reals["split"], "")
    if present != [""] and pc.any(nowhere).as_py():
        if len(present) > 1:
            raise DataError(
                f"{tree.place} has the splits {', '.join(present)}, and the images of --reals are of none: "
                "put them into folders called so, or choose one --split"
            )
        split = pc.if_else(nowhere, present[0], reals["split"])
        reals = reals.set_column(reals.column_names.index("split"), "split", split)
    if tree.splits is not None and present != [""]:
        reals = reals.filter(
            pc.is_in(reals["split"], value_set=pa.array(sorted(tree.splits), pa.string()))
        )
    both = pa.concat_tables([entries, reals], promote_options="default").combine_chunks()
    return share_memory(_kept(both))


def _of_splits(entries: pa.Table, tree: Tree) -> pa.Table:
    """Keep the entries of some splits: images of the others are never opened.

    Raises:
        NothingSelectedError: none is there; names those there are.
    """
    present = sorted(pc.unique(entries["split"]).to_pylist())
    if tree.splits is None or present == [""]:
        return entries
    selected = entries.filter(
        pc.is_in(entries["split"], value_set=pa.array(sorted(tree.splits), pa.string()))
    )
    if not len(selected):
        raise no_such_split(str(tree.place), tree.splits[0] if tree.splits else "", present)
    return selected
