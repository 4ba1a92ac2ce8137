"""Manifests kept between calls, so that an unchanged data set is not read again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import PIL
import pyarrow as pa
import pyarrow.compute as pc

from bench.datasets.manifest import FORMAT_VERSION, Manifest, read_saved, string_bytes
from bench.datasets.sources.tree import FileStat, Tree
from bench.errors import DataError, OutputError
from bench.version import __version__

_log = logging.getLogger(__name__)
_SHORT: Final = 16
_BLOCK: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Slot:
    """Where the manifest of one data set, under some options and in one state, is kept.

    Attributes:
        path: of the file; its name is <data set and options>-<state>.parquet.
        tree: what the data set looked like when the slot was named.
    """

    path: Path
    tree: Tree

    def folder_of(self, options: Mapping[str, Any], cache_dir: Path | None) -> Path:
        """The folder of an index in the making; other layouts or splits may use what it holds."""
        name = f"{_family(self.tree, options)}.parts"
        return (cache_dir or default_cache_dir()) / "manifests" / name

    def get(self) -> Manifest | None:
        """The manifest kept here, if nothing it lists has changed; None otherwise."""
        if not self.path.is_file():
            return None
        try:
            saved = read_saved(self.path)
            manifest = Manifest.restore(saved, self.tree.root)
        except DataError as error:
            _log.warning("the cached index is not used: %s", error)
            return None
        outside = _outside(self.tree, manifest.table["locator"])
        return manifest if saved.head["extra"].get("outside") == outside else None

    def put(self, manifest: Manifest) -> None:
        """Keep a manifest, in place of those of earlier states; a failure is only a warning."""
        outside = _outside(self.tree, manifest.table["locator"])
        try:
            manifest.save(self.path, extra={"outside": outside})
        except OutputError as error:
            _log.warning("the index is not cached, so the next call reads all images: %s", error)
            return
        family = self.path.name.split("-")[0]
        for old in self.path.parent.glob(f"{family}-*.parquet"):
            if old != self.path:
                with contextlib.suppress(OSError):
                    old.unlink()


def _family(tree: Tree, options: Mapping[str, Any]) -> str:
    versions = [FORMAT_VERSION, __version__, PIL.__version__]
    what = json.dumps([versions, str(tree.root), tree.single, options], sort_keys=True)
    return hashlib.sha256(what.encode()).hexdigest()[:_SHORT]


def slot(tree: Tree, options: Mapping[str, Any], cache_dir: Path | None) -> Slot:
    """The place for a tree under some options (those that change what is indexed)."""
    state = hashlib.sha256()
    for files in tree.listing:
        state.update(json.dumps([files.folder, len(files)]).encode())
        state.update(pc.binary_length(files.names).to_numpy().astype("<i4").tobytes())
        state.update(string_bytes(files.names))
        state.update(files.sizes.astype("<i8").tobytes() + files.times.astype("<i8").tobytes())
    for path, reason in tree.unreadable:
        state.update(json.dumps([path, reason]).encode())
    family = _family(tree, options)
    name = f"{family}-{state.hexdigest()[: 2 * _SHORT]}.parquet"
    return Slot((cache_dir or default_cache_dir()) / "manifests" / name, tree)


def _outside(tree: Tree, locators: pa.ChunkedArray) -> str:
    """The state of files a table lists that are not in the scan: SHA-256, or "" for none."""
    others = locators.filter(pc.invert(_inside(tree, locators)))
    files = pc.replace_substring_regex(others, r"#\d+$", "")
    others = others.filter(pc.invert(_inside(tree, files)))
    state = hashlib.sha256()
    for locator in sorted(others.to_pylist()):
        try:
            stat = (tree.root / locator).stat()
            state.update(_line(FileStat(locator, stat.st_size, stat.st_mtime_ns)))
        except (OSError, ValueError):
            state.update(json.dumps([locator, None]).encode())
    return state.hexdigest() if len(others) else ""


def _inside(tree: Tree, paths: pa.ChunkedArray) -> pa.ChunkedArray:
    """Which paths are files of the tree; looked up in blocks, since a look-up table is large."""
    found = pa.chunked_array([pa.array(np.zeros(len(paths), dtype=np.bool_))])
    block: list[pa.Array] = []
    for files in (*tree.listing, None):
        if files is not None:
            block.append(files.paths())
        if block and (files is None or sum(map(len, block)) >= _BLOCK):
            known = pa.chunked_array(block, type=pa.string())
            found = pc.or_(found, pc.is_in(paths, value_set=known))
            block = []
    return found


def _line(file: FileStat) -> bytes:
    return json.dumps([file.path, file.size, file.mtime_ns]).encode()


def default_cache_dir() -> Path:
    """``$BENCH_CACHE``, else ``$XDG_CACHE_HOME/bench``, else ``~/.cache/bench``."""
    if own := os.environ.get("BENCH_CACHE"):
        return Path(own).expanduser()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared).expanduser() / "bench"
    return Path("~/.cache/bench").expanduser()
