"""Which files lie below a path: names, sizes and times, and no byte of their content."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Final

from bench.datasets.header import Header, read_header
from bench.datasets.policy import BadImageError
from bench.datasets.source import parquet_row
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

Folder = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FileStat:
    """One file: POSIX path relative to the root, size in bytes, modification time in ns."""

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Tree:
    """A cheap view of what lies below a path; layouts decide on it alone.

    Attributes:
        root: the folder; for a single file, the folder it lies in.
        files: every file that is not hidden, sorted by path.
        unreadable: (path, reason) of what could not be listed.
        single: the file's name where the user pointed at one file, else "".
    """

    root: Path
    files: tuple[FileStat, ...]
    unreadable: tuple[tuple[str, str], ...] = ()
    single: str = ""

    @cached_property
    def folders(self) -> Mapping[Folder, tuple[FileStat, ...]]:
        """Folder parts -> files directly in it that may be images (any suffix but a sidecar's)."""
        found: dict[Folder, list[FileStat]] = {}
        for file in self.files:
            path = PurePosixPath(file.path)
            if path.suffix.lower() not in _SIDECARS:
                found.setdefault(path.parts[:-1], []).append(file)
        return {folder: tuple(files) for folder, files in found.items()}

    @cached_property
    def image_folders(self) -> Mapping[Folder, int]:
        """Folder parts -> number of files directly in it that have an image's suffix."""
        counts = {f: sum(is_image_name(x.path) for x in files) for f, files in self.folders.items()}
        return {folder: count for folder, count in counts.items() if count}

    @cached_property
    def tables(self) -> tuple[FileStat, ...]:
        """CSV, JSONL and Parquet files, sorted by path."""
        return tuple(f for f in self.files if suffix(f.path) in TABLE_SUFFIXES)

    def peek(self, path: str) -> Header | None:
        """The header of one file, or None where it is no image; reads the file."""
        try:
            return read_header((self.root / path).read_bytes())
        except (OSError, BadImageError):
            return None


def suffix(path: str) -> str:
    """The last suffix in lower case, with its dot."""
    return PurePosixPath(path).suffix.lower()


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
        file = FileStat(path.name, stat.st_size, stat.st_mtime_ns)
        return Tree(path.parent.resolve(), (file,), single=path.name)
    if not path.is_dir():
        raise DataError(f"no such file or folder: {path}{_nearby(path)}")
    scanner = _Scanner()
    scanner.walk(path)
    scanner.files.sort(key=lambda f: f.path)
    return Tree(path.resolve(), tuple(scanner.files), tuple(sorted(scanner.unreadable)))


class _Scanner:
    """Walks folders; holds what it found so far."""

    def __init__(self) -> None:
        self.files: list[FileStat] = []
        self.unreadable: list[tuple[str, str]] = []
        # Folders to visit: where, relative to the root, and the identities of those above.
        self._todo: list[tuple[str, str, tuple[tuple[int, int], ...]]] = []

    def walk(self, top: Path) -> None:
        stat = top.stat()
        self._todo.append((str(top), "", ((stat.st_dev, stat.st_ino),)))
        while self._todo:
            folder, relative, above = self._todo.pop()
            try:
                with os.scandir(folder) as listing:
                    entries = list(listing)
            except OSError as error:
                if not relative:
                    raise DataError(f"{top} cannot be listed: {error.strerror}") from error
                self.unreadable.append((relative, f"cannot be listed ({error.strerror})"))
                continue
            for entry in entries:
                if not entry.name.startswith(".") and entry.name.lower() not in _IGNORED:
                    inside = f"{relative}/{entry.name}" if relative else entry.name
                    self._visit(entry, inside, above)

    def _visit(
        self, entry: os.DirEntry[str], inside: str, above: tuple[tuple[int, int], ...]
    ) -> None:
        """Take up one entry: a folder to visit, a file, or unreadable."""
        try:
            inside.encode("utf-8")
        except UnicodeEncodeError:
            raw = inside.encode("utf-8", "surrogateescape")
            shown = raw.decode("utf-8", "backslashreplace")
            self.unreadable.append((shown, "a name that is not valid UTF-8"))
            return
        try:
            stat = entry.stat()
            if entry.is_dir():
                identity = (stat.st_dev, stat.st_ino)
                if identity in above:
                    self.unreadable.append((inside, "a link to a folder above itself"))
                elif len(above) >= _MAX_DEPTH:
                    self.unreadable.append((inside, f"more than {_MAX_DEPTH} folders deep"))
                else:
                    self._todo.append((entry.path, inside, (*above, identity)))
            elif entry.is_file() and parquet_row(inside) is not None:
                self.unreadable.append((inside, "a name that reads as a row of a Parquet file"))
            elif entry.is_file():
                self.files.append(FileStat(inside, stat.st_size, stat.st_mtime_ns))
        except OSError as error:
            if is_image_name(entry.name):
                self.unreadable.append((inside, f"cannot be read ({error.strerror})"))


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
