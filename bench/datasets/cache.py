"""Manifests kept between calls, so that an unchanged data set is not read again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import PIL

from bench.datasets.manifest import FORMAT_VERSION, Manifest, read_saved
from bench.datasets.scan import FileStat, Tree
from bench.errors import DataError, OutputError
from bench.version import __version__

_log = logging.getLogger(__name__)
_SHORT: Final = 16


@dataclass(frozen=True, slots=True)
class Slot:
    """Where the manifest of one data set, under some options and in one state, is kept.

    Attributes:
        path: of the file; its name is <data set and options>-<state>.parquet.
        tree: what the data set looked like when the slot was named.
    """

    path: Path
    tree: Tree

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
        outside = _outside(self.tree, manifest.table["locator"].to_pylist())
        return manifest if saved.head["extra"].get("outside") == outside else None

    def put(self, manifest: Manifest) -> None:
        """Keep a manifest, in place of those of earlier states; a failure is only a warning."""
        outside = _outside(self.tree, manifest.table["locator"].to_pylist())
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


def slot(tree: Tree, options: Mapping[str, Any], cache_dir: Path | None) -> Slot:
    """The place for a tree under some options (those that change what is indexed)."""
    versions = [FORMAT_VERSION, __version__, PIL.__version__]
    what = json.dumps([versions, str(tree.root), tree.single, options], sort_keys=True)
    state = hashlib.sha256()
    for file in tree.files:
        state.update(_line(file))
    for path, reason in tree.unreadable:
        state.update(json.dumps([path, reason]).encode())
    family = hashlib.sha256(what.encode()).hexdigest()[:_SHORT]
    name = f"{family}-{state.hexdigest()[: 2 * _SHORT]}.parquet"
    return Slot((cache_dir or default_cache_dir()) / "manifests" / name, tree)


def _outside(tree: Tree, locators: Iterable[str]) -> str:
    """The state of files a table lists that are not in the scan: SHA-256, or "" for none."""
    inside = {file.path for file in tree.files}
    others = [loc for loc in locators if loc not in inside and loc.rpartition("#")[0] not in inside]
    state = hashlib.sha256()
    for locator in sorted(others):
        try:
            stat = (tree.root / locator).stat()
            state.update(_line(FileStat(locator, stat.st_size, stat.st_mtime_ns)))
        except (OSError, ValueError):
            state.update(json.dumps([locator, None]).encode())
    return state.hexdigest() if others else ""


def _line(file: FileStat) -> bytes:
    return json.dumps([file.path, file.size, file.mtime_ns]).encode()


def default_cache_dir() -> Path:
    """``$BENCH_CACHE``, else ``$XDG_CACHE_HOME/bench``, else ``~/.cache/bench``."""
    if own := os.environ.get("BENCH_CACHE"):
        return Path(own).expanduser()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared).expanduser() / "bench"
    return Path("~/.cache/bench").expanduser()
