"""Manifests kept between calls, so that an unchanged data set is not read again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import PIL
import pyarrow as pa
import pyarrow.compute as pc

from bench.datasets.digest import FORMAT_VERSION, string_bytes
from bench.datasets.manifest import Manifest
from bench.datasets.manifest_format import read_saved
from bench.datasets.places import default_cache_dir
from bench.datasets.policy import RULES_VERSION
from bench.datasets.sources.image_bytes import containers
from bench.datasets.sources.tree import Tree
from bench.errors import DataError, OutputError
from bench.support.files import sweep, write_text
from bench.support.objects.place import below
from bench.version import __version__

_log = logging.getLogger(__name__)
_DIGITS: Final = 16  # of the hash of data set and options; twice as many of the state's
_THREADS: Final = 16  # an object store lets each answer be waited for
_BLOCK: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Slot:
    """Where the manifest of one data set, under some options and in one state, is kept.

    Attributes:
        path: path of the file; its name is <data set and options>-<state>.parquet.
        tree: what the data set looked like when the slot was named.
    """

    path: Path
    tree: Tree

    def parts_folder(self, options: Mapping[str, Any], cache_dir: Path | None) -> Path:
        """Name the folder of an index in the making.

        Args:
            options: those that change what an image says of itself. Layouts and splits do not, so
                an index under others of these may use what the folder holds.
            cache_dir: folder of the cache; the user's by default.
        """
        return _manifests(cache_dir) / f"{_data_set_hash(self.tree, options)}.parts"

    def get(self, *, refresh: bool = False) -> Manifest | None:
        """Read the manifest kept here; None where there is none, or what it lists has changed.

        Args:
            refresh: note that all that is kept of this data set, under whatever options, is out of date.
        """
        if refresh:
            self._refresh()
        if not self.path.is_file() or self._is_older_than_refresh():
            return None
        try:
            saved = read_saved(self.path)
            manifest = Manifest.restore(saved, self.tree.root)
        except DataError as error:
            _log.warning("the cached index is not used: %s", error)
            return None
        outside = _state_outside(self.tree, manifest.table["locator"])
        return manifest if saved.head["extra"].get("outside") == outside else None

    def _refresh(self) -> None:
        """Note that all that is kept of this data set, under whatever options, is to be read again."""
        # Before anything is read: what is kept after this moment is younger.
        with contextlib.suppress(OutputError):  # what cannot be kept cannot be out of date either
            write_text(self._refreshed, "")

    @property
    def _refreshed(self) -> Path:
        place = json.dumps([str(self.tree.root), self.tree.single])
        digest = hashlib.sha256(place.encode("utf-8", "backslashreplace")).hexdigest()
        return self.path.parent / f"{digest[:_DIGITS]}.refreshed"

    def _is_older_than_refresh(self) -> bool:
        try:
            return self.path.stat().st_mtime_ns < self._refreshed.stat().st_mtime_ns
        except OSError:
            return False

    def put(self, manifest: Manifest) -> None:
        """Keep a manifest, in place of those of earlier states; a failure is only a warning."""
        outside = _state_outside(self.tree, manifest.table["locator"])
        try:
            manifest.save(self.path, extra={"outside": outside})
        except OutputError as error:
            _log.warning("the index is not cached, so the next call reads all images: %s", error)
            return
        sweep(self.path.parent)
        data_set = self.path.name.split("-")[0]
        for path in self.path.parent.glob(f"{data_set}-*.parquet"):
            if path != self.path:
                with contextlib.suppress(OSError):
                    path.unlink()


def slot(
    tree: Tree, options: Mapping[str, Any], cache_dir: Path | None, beside: Sequence[Tree] = ()
) -> Slot:
    """Name the place for a tree under some options.

    Args:
        tree: what lies there.
        options: those that change what is indexed.
        cache_dir: folder of the cache; the user's by default.
        beside: what lies at other places whose images belong to the data set.
    """
    state = hashlib.sha256()
    for each in (tree, *beside):
        _update(state, each)
    name = f"{_data_set_hash(tree, options)}-{state.hexdigest()[: 2 * _DIGITS]}.parquet"
    return Slot(_manifests(cache_dir) / name, tree)


def _update(state: hashlib._Hash, tree: Tree) -> None:
    """Take names, sizes and times of a tree's files into a hash."""
    for files in tree.listing:
        state.update(json.dumps([files.folder, len(files)]).encode())
        state.update(pc.binary_length(files.names).to_numpy().astype("<i4").tobytes())
        state.update(string_bytes(files.names))
        state.update(files.sizes.astype("<i8").tobytes() + files.times.astype("<i8").tobytes())
    for path, reason in tree.unreadable:
        state.update(json.dumps([path, reason]).encode())


def _manifests(cache_dir: Path | None) -> Path:
    return (cache_dir or default_cache_dir()) / "manifests"


def _data_set_hash(tree: Tree, options: Mapping[str, Any]) -> str:
    """Hash which data set it is and how it is read, but not its state."""
    readers = [PIL.__version__, version("simplejpeg")]
    versions = [FORMAT_VERSION, RULES_VERSION, __version__, *readers]
    place = tree.single or tree.archive
    identity = json.dumps([versions, str(tree.root), place, options], sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()[:_DIGITS]


def _state_outside(tree: Tree, locators: pa.ChunkedArray) -> str:
    """Hash size and time of files a table lists that are not in the scan; "" for none."""
    outside = locators.filter(pc.invert(_in_scan(tree, locators)))
    outside = outside.filter(pc.invert(_in_scan(tree, containers(outside))))
    state = hashlib.sha256()

    def facts(locator: str) -> list[str | int | None]:
        try:
            stat = below(tree.root, locator).stat()
        except (OSError, ValueError):
            return [locator, None]
        return [locator, stat.st_size, stat.st_mtime_ns]

    with ThreadPoolExecutor(_THREADS) as pool:
        for line in pool.map(facts, sorted(outside.to_pylist())):
            state.update(json.dumps(line).encode())
    return state.hexdigest() if len(outside) else ""


def _in_scan(tree: Tree, paths: pa.ChunkedArray) -> pa.ChunkedArray:
    """Say which paths are files of the tree."""
    in_scan = pa.chunked_array([pa.array(np.zeros(len(paths), dtype=np.bool_))])
    for block in _blocks_of_paths(tree):
        in_scan = pc.or_(in_scan, pc.is_in(paths, value_set=block))
    return in_scan


def _blocks_of_paths(tree: Tree) -> Iterator[pa.ChunkedArray]:
    """Give the paths of a tree in blocks, since a look-up table of all of them is large."""
    block: list[pa.Array] = []
    for files in tree.listing:
        block.append(files.paths())
        if sum(map(len, block)) >= _BLOCK:
            yield pa.chunked_array(block, type=pa.string())
            block = []
    if block:
        yield pa.chunked_array(block, type=pa.string())
