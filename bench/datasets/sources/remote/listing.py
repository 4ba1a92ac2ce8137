"""What lies below a URL, as a tree like that of a folder: names, sizes and versions; no object is read.

Keys of an object store are any text: one that no folder could hold is listed with the reason, never read.
An object counts as changed where the store gives it another version, which stands in the tree as its time.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from bench.datasets.sources.image_bytes import reads_as_inside
from bench.datasets.sources.names import (
    MOST_FOLDERS,
    is_archive_name,
    is_hidden,
    is_image_name,
    is_table_name,
    name_problem,
    printable,
)
from bench.datasets.sources.tree import Files, FilesBuilder, FileStat, Tree
from bench.errors import DataError
from bench.support.objects.place import LACKING, ObjectEntry, ObjectPath, ObjectStat
from bench.support.walk import walk

_THREADS: Final = 16  # each answer is waited for


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder to list: where it lies, and its POSIX path relative to the root ("" for the root)."""

    place: ObjectPath
    relative: str

    def path(self, name: str) -> str:
        return f"{self.relative}/{name}" if self.relative else name


@dataclass(slots=True)
class _Contents:
    """What one folder holds: files, folders to list next, and (path, reason) of what is left out."""

    files: Files | None = None
    folders: list[_Folder] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)


def list_objects(top: ObjectPath) -> Tree:
    """List what lies below a URL; archives are files of it.

    Raises:
        DataError: Nothing does, or the store does not answer.
    """
    listing: list[Files] = []
    unreadable: list[tuple[str, str]] = []
    for contents in walk(_Folder(top, ""), _list_folder, lambda each: each.folders, _THREADS):
        unreadable += contents.unreadable
        if contents.files:
            listing.append(contents.files)
    listing.sort(key=lambda files: files.folder)
    return Tree(top, tuple(listing), tuple(sorted(unreadable)))


def refuse_changed(trees: Iterable[Tree]) -> None:
    """Make sure that tables and archives are still those that were listed: they are read in parts.

    Raises:
        DataError: Names the first that has changed or is gone.
    """
    for tree in trees:
        if isinstance(tree.root, ObjectPath):
            _refuse_changed(tree, tree.root)


def _refuse_changed(tree: Tree, root: ObjectPath) -> None:
    listed = [
        file
        for file in tree.files
        if is_table_name(file.path) or is_archive_name(file.path)
        if tree.locator(file.path) == file.path
    ]

    def is_same(file: FileStat) -> bool:
        try:
            return (root / file.path).stat(anew=True) == ObjectStat(file.size, file.mtime_ns)
        except FileNotFoundError:
            return False

    with ThreadPoolExecutor(_THREADS) as pool:
        for file, same in zip(listed, pool.map(is_same, listed), strict=True):
            if not same:
                raise DataError(
                    f"{root / file.path} changed while it was indexed: run the same command again when "
                    "nobody writes there"
                )


def _list_folder(folder: _Folder) -> _Contents:
    builder = FilesBuilder(folder.relative)
    contents = _Contents()
    try:
        entries = folder.place.entries()
    except FileNotFoundError:
        if not folder.relative:
            raise DataError(
                f"no such object or folder: {folder.place}: check the address, and what this machine may list"
            ) from None
        contents.unreadable.append((folder.relative, "cannot be listed (it is gone)"))
        entries = []
    for entry in entries:
        _examine(entry, folder, builder, contents)
    contents.files = builder.build()
    return contents


def _examine(
    entry: ObjectEntry, folder: _Folder, builder: FilesBuilder, contents: _Contents
) -> None:
    """Sort an entry of a listing into files, folders and what is left out; hidden ones are passed over."""
    path = folder.path(entry.name)
    problem = _problem(entry, path)
    if not problem and is_hidden(entry.name):
        return
    if problem:
        # Nobody knows what lies in a folder that is not entered.
        if entry.is_folder or _is_data(path) or reads_as_inside(path):
            contents.unreadable.append((printable(path), problem))
    elif entry.is_folder:
        contents.folders.append(_Folder(folder.place / entry.name, path))
    else:
        assert entry.stat is not None
        builder.add(entry.name, entry.stat.st_size, entry.stat.st_mtime_ns)
        if is_table_name(path) or is_archive_name(path):
            (folder.place / entry.name).noted(entry.stat)


def _is_data(path: str) -> bool:
    """Whether a name announces images, so that leaving it out must be told."""
    return is_image_name(path) or is_table_name(path) or is_archive_name(path)


def _problem(entry: ObjectEntry, path: str) -> str:
    """Say why an entry cannot be used; "" where it can."""
    if entry.name in ("", ".") or "/" in entry.name:
        return "a name that no folder could hold"
    if problem := name_problem(path, "its folder"):
        return problem
    if entry.is_folder:
        return (
            f"more than {MOST_FOLDERS} folders deep" if path.count("/") >= MOST_FOLDERS - 1 else ""
        )
    if inside := reads_as_inside(path):
        return f"a name that reads as {inside}"
    return "" if entry.stat is not None else f"its store tells {LACKING}"
