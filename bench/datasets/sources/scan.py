"""Which files lie below a path: names, sizes and times, and no byte of their content."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from stat import S_ISDIR, S_ISREG
from typing import Final, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bench.datasets.policy import BadImageError
from bench.datasets.sources.header import Header, read_header
from bench.datasets.sources.image_bytes import parquet_row
from bench.errors import DataError


def _set_of(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Suffixes that announce an image. Those no policy opens are here too: such a file is listed as
# bad with the reason, where an unknown suffix might go unnoticed.
IMAGE_SUFFIXES: Final = _set_of(
    ".jpg .jpeg .jpe .jfif .png .apng .webp .bmp .gif .tif .tiff .avif .heic .heif .jxl .jp2 .ppm "
    ".pgm"
)
TABLE_SUFFIXES: Final = frozenset({".csv", ".jsonl", ".parquet"})

# What lies beside images and is meant as no image: not worth a line among the bad ones.
_SIDECARS: Final = TABLE_SUFFIXES | _set_of(
    ".txt .json .tsv .md .rst .xml .yaml .yml .toml .html .htm .npy .npz .pt .pth .pkl .log .py "
    ".sh .pdf .db .ini .cfg .zip .gz .tar .tgz .7z .rar .sha256 .md5 .lock .svg .xmp .aae .ipynb "
    ".mat .h5 .lmdb .arrow .safetensors"
)
_IGNORED: Final = frozenset({"__macosx", "thumbs.db", "desktop.ini", "__pycache__"})
_MAX_DEPTH: Final = 64
_BATCH: Final = 8192
_LISTERS: Final = 4

Folder = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FileStat:
    """One file: POSIX path relative to the root, size in bytes, modification time in ns."""

    path: str
    size: int
    mtime_ns: int


class Files(Sequence[FileStat]):
    """Files of one folder, as columns: a million of them are no million objects.

    Attributes:
        folder: POSIX path relative to the root, "" for the root itself.
        names: (n,) string array, sorted.
        sizes: (n,) int64, bytes.
        times: (n,) int64, modification times in ns.
    """

    __slots__ = ("folder", "names", "sizes", "times")

    def __init__(
        self, folder: str, names: pa.Array, sizes: NDArray[np.int64], times: NDArray[np.int64]
    ) -> None:
        self.folder, self.names, self.sizes, self.times = folder, names, sizes, times

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, at: int) -> FileStat: ...
    @overload
    def __getitem__(self, at: slice) -> list[FileStat]: ...
    def __getitem__(self, at: int | slice) -> FileStat | list[FileStat]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        path = self._path(self.names[at].as_py())
        return FileStat(path, int(self.sizes[at]), int(self.times[at]))

    def __iter__(self) -> Iterator[FileStat]:
        for start in range(0, len(self), _BATCH):
            part = slice(start, start + _BATCH)
            names = self.names[part].to_pylist()
            sizes, times = self.sizes[part].tolist(), self.times[part].tolist()
            for name, size, time in zip(names, sizes, times, strict=True):
                yield FileStat(self._path(name), size, time)

    def paths(self) -> pa.Array:
        """(n,) string array: the paths relative to the root."""
        if not self.folder:
            return self.names
        return pc.binary_join_element_wise(self.folder, self.names, "/")

    def where(self, keep: Callable[[str], bool]) -> Files:
        """Those whose name is to be kept."""
        kept = np.fromiter(
            (keep(name) for start in range(0, len(self), _BATCH)
             for name in self.names[start : start + _BATCH].to_pylist()),
            dtype=np.bool_, count=len(self),
        )  # fmt: skip
        if kept.all():
            return self
        return Files(self.folder, self.names.filter(kept), self.sizes[kept], self.times[kept])

    def _path(self, name: str) -> str:
        return f"{self.folder}/{name}" if self.folder else name


@dataclass(frozen=True)
class Tree:
    """A cheap view of what lies below a path; layouts decide on it alone.

    Attributes:
        root: the folder; for a single file, the folder it lies in.
        listing: every folder with files that are not hidden, sorted by path.
        unreadable: (path, reason) of what could not be listed.
        single: the file's name where the user pointed at one file, else "".
    """

    root: Path
    listing: tuple[Files, ...]
    unreadable: tuple[tuple[str, str], ...] = ()
    single: str = ""

    def __len__(self) -> int:
        return sum(len(files) for files in self.listing)

    @property
    def files(self) -> Iterator[FileStat]:
        """Every file, folder by folder, made as it is asked for."""
        return itertools.chain.from_iterable(self.listing)

    @cached_property
    def folders(self) -> Mapping[Folder, Files]:
        """Folder parts -> files directly in it that may be images (any suffix but a sidecar's)."""
        found: dict[Folder, Files] = {}
        for files in self.listing:
            if kept := files.where(lambda name: suffix(name) not in _SIDECARS):
                found[PurePosixPath(files.folder).parts] = kept
        return found

    @cached_property
    def image_folders(self) -> Mapping[Folder, int]:
        """Folder parts -> number of files directly in it that have an image's suffix."""
        counts = {f: len(files.where(is_image_name)) for f, files in self.folders.items()}
        return {folder: count for folder, count in counts.items() if count}

    @cached_property
    def tables(self) -> tuple[FileStat, ...]:
        """CSV, JSONL and Parquet files, sorted by path."""
        kept = (files.where(lambda name: suffix(name) in TABLE_SUFFIXES) for files in self.listing)
        return tuple(sorted(itertools.chain.from_iterable(kept), key=lambda f: f.path))

    def peek(self, path: str) -> Header | None:
        """The header of one file, or None where it is no image; reads the file."""
        try:
            return read_header((self.root / path).read_bytes())
        except (OSError, BadImageError):
            return None


def suffix(path: str) -> str:
    """The last suffix in lower case, with its dot."""
    name = path.rpartition("/")[2]
    dot = name.rfind(".")
    return name[dot:].lower() if 0 < dot < len(name) - 1 else ""


def is_image_name(path: str) -> bool:
    """Whether the suffix announces an image."""
    return suffix(path) in IMAGE_SUFFIXES


def scan(path: Path) -> Tree:
    """List what lies at a path. Symlinks are followed; a link to a folder above is not.

    Raises:
        DataError: no such path, or it cannot be listed.
    """
    path = path.expanduser()
    if path.is_file():
        stat = path.stat()
        file = _files("", [_block([(path.name, stat.st_size, stat.st_mtime_ns)])])
        return Tree(path.parent.resolve(), (file,), single=path.name)
    if not path.is_dir():
        raise DataError(f"no such file or folder: {path}{_nearby(path)}")
    listing: list[Files] = []
    unreadable: list[tuple[str, str]] = []
    for found in _walk(path):
        unreadable += found.unreadable
        if found.files is not None:
            listing.append(found.files)
    listing.sort(key=lambda files: files.folder)
    return Tree(path.resolve(), tuple(listing), tuple(sorted(unreadable)))


@dataclass(frozen=True, slots=True)
class _Visit:
    """A folder to list: where, relative to the root, and the identities of it and those above."""

    path: str
    relative: str
    above: tuple[tuple[int, int], ...]


@dataclass(slots=True)
class _Listed:
    """What one folder holds."""

    files: Files | None = None
    below: list[_Visit] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)


def _walk(top: Path) -> Iterator[_Listed]:
    """List the folder and all below, several at a time: on a network each answer takes its time."""
    stat = top.stat()
    with ThreadPoolExecutor(max_workers=_LISTERS) as pool:
        waiting = {pool.submit(_listed, _Visit(str(top), "", ((stat.st_dev, stat.st_ino),)))}
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                found = future.result()
                waiting |= {pool.submit(_listed, visit) for visit in found.below}
                yield found


def _listed(visit: _Visit) -> _Listed:
    found = _Listed()
    rows: list[tuple[str, int, int]] = []
    blocks: list[pa.RecordBatch] = []
    try:
        with os.scandir(visit.path) as listing:
            for entry in listing:
                if not entry.name.startswith(".") and entry.name.lower() not in _IGNORED:
                    row = _take(entry, visit, found)
                    if row is not None:
                        rows.append(row)
                    if len(rows) == _BATCH:
                        blocks.append(_block(rows))
                        rows.clear()
    except OSError as error:
        if not visit.relative:
            raise DataError(f"{visit.path} cannot be listed: {error.strerror}") from error
        found.unreadable.append((visit.relative, f"cannot be listed ({error.strerror})"))
        return found
    if rows or blocks:
        found.files = _files(visit.relative, [*blocks, _block(rows)])
    return found


def _take(entry: os.DirEntry[str], visit: _Visit, found: _Listed) -> tuple[str, int, int] | None:
    """Take up one entry: a file's name, size and time, or a folder to visit, or unreadable."""
    inside = f"{visit.relative}/{entry.name}" if visit.relative else entry.name
    try:
        if not inside.isascii():
            inside.encode("utf-8")
    except UnicodeEncodeError:
        raw = inside.encode("utf-8", "surrogateescape")
        shown = raw.decode("utf-8", "backslashreplace")
        found.unreadable.append((shown, "a name that is not valid UTF-8"))
        return None
    try:
        stat = entry.stat()
        if S_ISDIR(stat.st_mode):
            identity = (stat.st_dev, stat.st_ino)
            if identity in visit.above:
                found.unreadable.append((inside, "a link to a folder above itself"))
            elif len(visit.above) >= _MAX_DEPTH:
                found.unreadable.append((inside, f"more than {_MAX_DEPTH} folders deep"))
            else:
                found.below.append(_Visit(entry.path, inside, (*visit.above, identity)))
        elif S_ISREG(stat.st_mode) and "#" in entry.name and parquet_row(inside):
            found.unreadable.append((inside, "a name that reads as a row of a Parquet file"))
        elif S_ISREG(stat.st_mode):
            return entry.name, stat.st_size, stat.st_mtime_ns
    except OSError as error:
        if is_image_name(entry.name):
            found.unreadable.append((inside, f"cannot be read ({error.strerror})"))
    return None


def _block(rows: Sequence[tuple[str, int, int]]) -> pa.RecordBatch:
    names, sizes, times = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.RecordBatch.from_arrays(
        [pa.array(names, pa.string()), pa.array(sizes, pa.int64()), pa.array(times, pa.int64())],
        names=["name", "size", "time"],
    )


def _files(folder: str, blocks: Sequence[pa.RecordBatch]) -> Files:
    table = pa.Table.from_batches(blocks).sort_by("name").combine_chunks()
    names = table["name"].combine_chunks()
    return Files(folder, names, table["size"].to_numpy(), table["time"].to_numpy())


def _nearby(path: Path) -> str:
    """What the nearest existing folder above holds, as a hint about a mistyped path."""
    folder = path.parent
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    try:
        names = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
    except OSError:
        return ""
    listing = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    return f" ({folder} holds {listing})" if names else ""
