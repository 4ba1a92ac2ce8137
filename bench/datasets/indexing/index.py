"""From a path to a manifest: scan, recognise the layout, read every image once, check, cache."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from bench.datasets.indexing.cache import slot
from bench.datasets.indexing.entries import gather_entries, with_reals
from bench.datasets.indexing.facts import Parts, gather
from bench.datasets.indexing.reader import Progress, Reader
from bench.datasets.indexing.reals import real_entries, scan_reals
from bench.datasets.indexing.recognise import Recognised, recognise
from bench.datasets.layouts import builtin_layouts
from bench.datasets.layouts.base import Entry, Layout
from bench.datasets.manifest import FREE, Manifest, share_memory
from bench.datasets.policy import DEFAULT, DecodePolicy
from bench.datasets.record import FAKE, LOST_SCHEMA, REAL, SCHEMA
from bench.datasets.sources.remote.listing import refuse_changed
from bench.datasets.sources.scan import scan
from bench.datasets.sources.tree import Tree
from bench.errors import DataError
from bench.support.objects.place import ObjectPath, Place, place_of

_log = logging.getLogger(__name__)

_MOST_THREADS: Final = 16


def index(
    path: str | Place,
    layout: str = "auto",
    cache_dir: Path | None = None,
    split: str | Sequence[str] | None = None,
    *,
    hash: bool = True,  # noqa: A002
    progress: Progress | None = None,
    workers: int | None = None,
    name: str | None = None,
    refresh: bool = False,
    policy: DecodePolicy = DEFAULT,
    layouts: Mapping[str, Layout] | None = None,
    columns: Mapping[str, str] | None = None,
    reals: Sequence[Place] = (),
    reals_alone: bool = False,
) -> Manifest:
    """Index a data set: which images there are and what each is; a second call reads no unchanged image.

    Args:
        path: a folder, an archive, or a URL of one, or a CSV, JSONL or Parquet file.
        layout: a layout's name, or ``auto`` to recognise it.
        cache_dir: where manifests are kept; `cache.default_cache_dir` by default. A place that
            cannot be written is a logged warning, not an error.
        split: index only the images of this split, or of these; a data set without splits is
            taken whole.
        hash: whether every image is read whole for its SHA-256; without it a damaged or changed
            image shows only when it is decoded.
        progress: called with (images read, images in all) now and then, in the calling thread.
        workers: threads that read images; two a core by default, as reading waits.
        name: name of the data set; by default the layout's or the folder's.
        refresh: read all images again, whatever the cache holds.
        policy: which formats and sizes are allowed.
        layouts: those to choose from; the built-in ones by default.
        columns: which columns of tables are which; see `layouts.columns.parse_columns`.
        reals: places of further real images, shared by all generators.
        reals_alone: whether a data set without AI-generated images will do.

    Raises:
        DataError: no such path; no layout or several fit; a generator without reals.
        NothingSelectedError: the split is not there.
    """
    splits = (split,) if isinstance(split, str) else split
    tree, places = scan(place_of(path)).asked(columns or {}, splits), scan_reals(reals)
    layouts = builtin_layouts() if layouts is None else layouts
    reading = {"hash": hash, "policy": asdict(policy)}
    options = {
        "layout": layout, "split": splits and sorted(splits), "known": sorted(layouts), "name": name,
        "columns": tree.columns, "reals": [str(place.place) for place in places], **reading,
        **({"reals alone": True} if reals_alone else {}),
    }  # fmt: skip
    cached = slot(tree, options, cache_dir, places)
    manifest = cached.get(refresh=refresh)
    if manifest is None:
        recognised = recognise(tree, layout, layouts, reals_elsewhere=bool(places))
        parts = Parts(cached.parts_folder(reading, cache_dir))
        if refresh:
            parts.remove()
        reader = Reader(tree.root, policy, hash, workers or _threads(tree.root), progress)
        reals_there = real_entries(places, layouts, tree.root)
        entries = with_reals(gather_entries(tree, recognised.layout), reals_there, tree)
        manifest = _index(
            tree, recognised, entries, name=name, reader=reader, parts=parts, alone=reals_alone
        )
        refuse_changed([tree, *places])
        cached.put(manifest)
        parts.remove()
    pa.default_memory_pool().release_unused()  # of a million images some 200 MB
    return manifest


def _threads(root: Place) -> int:
    """Count the threads that read: a few a core, and as many as may wait for an object store."""
    is_far = isinstance(root, ObjectPath)
    return _MOST_THREADS if is_far else min(_MOST_THREADS, 2 * (os.cpu_count() or 1))


def _index(
    tree: Tree,
    recognised: Recognised,
    entries: pa.Table,
    *,
    name: str | None,
    reader: Reader,
    parts: Parts,
    alone: bool,
) -> Manifest:
    """Put a manifest together from what the layout says of each image and what reading it gave."""
    layout, match = recognised
    facts = gather(tree, entries["locator"], reader, parts)
    good, bad = pc.is_null(facts["reason"]), LOST_SCHEMA.empty_table()
    if not pc.all(good).as_py():
        names = [entries[name] for name in ("label", "generator", "domain", "split")]
        outcomes = pa.table([entries["sample_id"], facts["reason"], *names], LOST_SCHEMA.names)
        bad = outcomes.filter(pc.invert(good)).cast(LOST_SCHEMA)
        entries, facts = share_memory(entries.filter(good)), facts.filter(good)
    bad = _with_rows(bad, [*tree.unreadable, *layout.left_out(tree)])
    if not len(entries):
        raise DataError(_none_readable(tree, bad))
    kinds = _kinds(entries)
    pairing = layout.pairing([kind.entry for kind in kinds])
    if alone and all(kind.entry.label == REAL for kind in kinds):
        # No generator is there to be compared with; what counts is still said by the pairing.
        pairing = {"": tuple(sorted({k.entry.generator for k in kinds if not k.entry.control}))}
    else:
        _check_comparable(tree, kinds, pairing)
    columns = {n: entries[n] for n in SCHEMA.names if n in entries.column_names}
    columns |= {n: facts[n] for n in SCHEMA.names if n not in columns}
    return Manifest.build(
        name=name or match.dataset or tree.name,
        layout=layout.name,
        recognised=match.description + _read_in_place(tree),
        root=tree.root,
        table=pa.table({n: columns[n] for n in SCHEMA.names}),
        pairing=pairing,
        bad=bad,
        free=entries.select([n for n in entries.column_names if n.startswith(FREE)]),
    )


def _read_in_place(tree: Tree) -> str:
    """Say which archives were read in place; "" for none."""
    archives = sorted({member.archive for member in tree.archived.values()})
    if not archives:
        return ""
    more = f" and {len(archives) - 1} more" if len(archives) > 1 else ""
    return f" (read in place from the archive {archives[0]}{more})"


class _Kind(NamedTuple):
    """Images of which a layout says the same: an entry without an id, and how many they are."""

    entry: Entry
    images: int


def _kinds(entries: pa.Table) -> list[_Kind]:
    """Count the kinds of image there are."""
    keys = ["label", "generator", "domain", "split", "belongs", "control"]
    counted = entries.group_by(keys).aggregate([([], "count_all")])
    return [
        _Kind(Entry(sample_id="", locator="", **{key: row[key] for key in keys}), row["count_all"])
        for row in counted.to_pylist()
    ]


def _with_rows(bad: pa.Table, more: Sequence[tuple[str, str]]) -> pa.Table:
    """Add (path, reason) to the bad images, sorted, each once."""
    rows = {(row["path"], row["reason"]): row for row in bad.to_pylist()}
    for path, reason in more:
        rows.setdefault((path, reason), {"path": path, "reason": reason})
    return pa.Table.from_pylist([rows[key] for key in sorted(rows)], schema=LOST_SCHEMA)


def _none_readable(tree: Tree, bad: pa.Table) -> str:
    path, reason = bad["path"][0].as_py(), bad["reason"][0].as_py()
    return (
        f"{tree.place}: none of {len(bad)} images can be read; the first, {path!r}: "
        f"{reason} (paths are relative to {tree.root})"
    )


def _check_comparable(
    tree: Tree, kinds: Sequence[_Kind], pairing: Mapping[str, Sequence[str]]
) -> None:
    """Refuse data in which a generator has nothing real to be compared with."""
    where = tree.place
    fakes: dict[str, int] = {}
    for entry, images in kinds:
        if entry.label == FAKE:
            fakes[entry.generator] = fakes.get(entry.generator, 0) + images
    if not fakes:
        total = sum(kind.images for kind in kinds)
        raise DataError(
            f"{where} holds {total} real images and no AI-generated one: add some, or run a suite whose "
            "conditions change reals alone, such as benign"
        )
    reals = [kind.entry for kind in kinds if kind.entry.label == REAL]
    sources = {entry.generator for entry in reals if not entry.control}
    unused = sorted(sources - {source for paired in pairing.values() for source in paired})
    if unused:
        _log.warning("%s: no generator is compared with the reals of %s", where, ", ".join(unused))
    for generator, count in sorted(fakes.items()):
        if not sources & set(pairing.get(generator, ())):
            others = f" (real sources found: {', '.join(sorted(sources))})" if sources else ""
            raise DataError(
                f"{where}: generator {generator!r} has {count} fake images and no real ones to be "
                f"compared with{others}: add them, name where they lie with --reals PATH, or list both in a "
                "CSV with the columns path,label,generator"
            )
