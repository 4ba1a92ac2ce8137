"""Walk a folder and list every file below it. No file is opened.

A folder's entries are sorted into files, folders to walk next, and what cannot be used, with the
reason. `Tree` is the result, and does not depend on the order in which the file system answers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISDIR
from typing import Final, NamedTuple

from bench.datasets.sources.archived import with_archives
from bench.datasets.sources.image_bytes import reads_as_inside
from bench.datasets.sources.names import (
    MOST_FOLDERS,
    is_archive_name,
    is_hidden,
    is_image_name,
    is_other_archive_name,
    is_table_name,
    printable,
)
from bench.datasets.sources.remote.listing import list_objects
from bench.datasets.sources.tree import Files, FilesBuilder, Tree
from bench.errors import DataError, nearest
from bench.support.objects.place import ObjectPath, Place, ask_anew
from bench.support.user_file import special_kind
from bench.support.walk import walk

_THREADS: Final = 4  # over a network each listing waits for an answer


def scan(path: Place) -> Tree:
    """List what lies at a place. Symlinks are followed; a link to a folder above is not.

    Raises:
        DataError: no such place, or it cannot be listed.
    """
    if isinstance(path, ObjectPath):
        ask_anew()
        kind = path.kind()
        return _single_file(path) if kind == "file" else with_archives(list_objects(path))
    path = path.expanduser()
    if path.is_file():
        return _single_file(path)
    if path.exists() and not path.is_dir():
        kind = special_kind(path.stat().st_mode)
        raise DataError(f"{path} is {kind}, not a file or folder: give a copy of what it holds")
    if not path.is_dir():
        raise DataError(f"no such file or folder: {path}{_nearby(path)}")
    listing: list[Files] = []
    unreadable: list[tuple[str, str]] = []
    for contents in _walk(path):
        unreadable += contents.unreadable
        if contents.files:
            listing.append(contents.files)
    listing.sort(key=lambda files: files.folder)
    return with_archives(Tree(path.resolve(), tuple(listing), tuple(sorted(unreadable))))


class _FolderId(NamedTuple):
    """What a folder is whatever path leads to it: device and inode."""

    device: int
    inode: int


@dataclass(frozen=True, slots=True)
class _Visit:
    """A folder to list.

    Attributes:
        path: where it lies.
        relative: POSIX path relative to the root, "" for the root itself.
        lineage: the folder and all above it, from the root down; a link back to one is a loop.
    """

    path: str
    relative: str
    lineage: tuple[_FolderId, ...]


class _File(NamedTuple):
    """A regular file: name in its folder, size in bytes, modification time in ns."""

    name: str
    size: int
    mtime_ns: int


class _Unreadable(NamedTuple):
    """What is left out: path relative to the root, and why."""

    path: str
    reason: str


@dataclass(slots=True)
class _Contents:
    """What one folder holds, its entries sorted by what is to be done with them."""

    files: Files
    folders: list[_Visit] = field(default_factory=list)
    unreadable: list[_Unreadable] = field(default_factory=list)


def _walk(top: Path) -> Iterator[_Contents]:
    """List a folder and all below it, several at a time, in the order in which they answer."""
    stat = top.stat()
    root = _Visit(str(top), "", (_FolderId(stat.st_dev, stat.st_ino),))
    yield from walk(root, _list_folder, lambda contents: contents.folders, _THREADS)


def _list_folder(visit: _Visit) -> _Contents:
    files = FilesBuilder(visit.relative)
    folders: list[_Visit] = []
    unreadable: list[_Unreadable] = []
    try:
        with os.scandir(visit.path) as entries:
            for entry in entries:
                if is_hidden(entry.name):
                    continue
                match _examine(entry, visit):
                    case _File() as file:
                        files.add(*file)
                    case _Visit() as folder:
                        folders.append(folder)
                    case _Unreadable() as problem:
                        unreadable.append(problem)
    except OSError as error:
        if not visit.relative:
            raise DataError(f"{visit.path} cannot be listed: {error.strerror}") from error
        reason = f"cannot be listed ({error.strerror})"
        unreadable.append(_Unreadable(visit.relative, reason))
        return _Contents(FilesBuilder(visit.relative).build(), folders, unreadable)
    return _Contents(files.build(), folders, unreadable)


def _examine(entry: os.DirEntry[str], visit: _Visit) -> _File | _Visit | _Unreadable | None:
    """Say what an entry of a folder is; None for what is neither a file nor called an image or table."""
    relative = f"{visit.relative}/{entry.name}" if visit.relative else entry.name
    if not _is_utf8(relative):
        return _Unreadable(printable(relative), "a name that is not valid UTF-8")
    try:
        stat = entry.stat()
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
        return _Unreadable(relative, reason) if _is_data(entry.name) else None
    if S_ISDIR(stat.st_mode):
        return _enter(_FolderId(stat.st_dev, stat.st_ino), entry.path, relative, visit.lineage)
    if kind := special_kind(stat.st_mode):
        return (
            _Unreadable(relative, f"{kind}, not a regular file") if _is_data(entry.name) else None
        )
    if inside := reads_as_inside(relative):
        return _Unreadable(relative, f"a name that reads as {inside}")
    return _File(entry.name, stat.st_size, stat.st_mtime_ns)


def _enter(
    folder: _FolderId, path: str, relative: str, lineage: tuple[_FolderId, ...]
) -> _Visit | _Unreadable:
    """Walk into a folder, unless that would never end."""
    if folder in lineage:
        return _Unreadable(relative, "a link to a folder above itself")
    if len(lineage) >= MOST_FOLDERS:
        return _Unreadable(relative, f"more than {MOST_FOLDERS} folders deep")
    return _Visit(path, relative, (*lineage, folder))


def _is_data(name: str) -> bool:
    """Whether a name announces an image or a table, so that leaving it out must be told."""
    return is_image_name(name) or is_table_name(name)


def _is_utf8(name: str) -> bool:
    """Whether a name can be written down: bytes that are no UTF-8 come as lone surrogates."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _single_file(path: Place) -> Tree:
    stat = path.stat()
    files = FilesBuilder("")
    files.add(path.name, stat.st_size, stat.st_mtime_ns)
    listing, root = (files.build(),), path.parent.resolve()
    if is_archive_name(path.name):
        return with_archives(Tree(root, listing, archive=path.name))
    if is_other_archive_name(path.name):
        raise DataError(
            f"{path} is an archive, or a part of one, of a kind that is not read in place: unpack it"
        )
    return Tree(root, listing, single=path.name)


def _nearby(path: Path) -> str:
    """Say what the nearest existing folder above holds, as a hint about a mistyped path."""
    folder = path.parent
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    try:
        names = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
    except OSError:
        return ""
    listing = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    # Of a path, the first part that is not there is the one that was mistyped.
    mistyped = path.relative_to(folder).parts[0]
    close = nearest(mistyped, names)
    if close.startswith("did you mean"):
        return f": {close} ({folder} holds {listing})"
    return f" ({folder} holds {listing})" if names else ""
