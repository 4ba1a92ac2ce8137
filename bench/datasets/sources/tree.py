"""What lies below a folder: names, sizes and times of files, and no byte of their content."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import PurePosixPath
from typing import Final, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bench.datasets.policy import BadImageError
from bench.datasets.sources.archive import Member, read_member, read_member_table
from bench.datasets.sources.header import Header, read_header
from bench.datasets.sources.names import SIDECARS, is_image_name, is_table_name, stem, suffix
from bench.datasets.sources.regular_file import open_regular
from bench.errors import DataError
from bench.support.objects.place import Place

__all__ = [
    "FileStat", "Files", "FilesBuilder", "Folder", "Tree", "is_image_name", "is_table_name", "suffix",
]  # fmt: skip

_BATCH: Final = 8192

Folder = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FileStat:
    """One file: POSIX path relative to the root, size in bytes, modification time in ns.

    Of an object in a store the time is a number that stands for its version.
    """

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
    def __getitem__(self, index: int) -> FileStat: ...
    @overload
    def __getitem__(self, index: slice) -> list[FileStat]: ...
    def __getitem__(self, index: int | slice) -> FileStat | list[FileStat]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        path = self._path(self.names[index].as_py())
        return FileStat(path, int(self.sizes[index]), int(self.times[index]))

    def __iter__(self) -> Iterator[FileStat]:
        for start in range(0, len(self), _BATCH):
            batch = slice(start, start + _BATCH)
            names = self.names[batch].to_pylist()
            sizes, times = self.sizes[batch].tolist(), self.times[batch].tolist()
            for name, size, time in zip(names, sizes, times, strict=True):
                yield FileStat(self._path(name), size, time)

    def paths(self) -> pa.Array:
        """Join folder and names.

        Returns:
            (n,) string array: paths relative to the root.
        """
        if not self.folder:
            return self.names
        return pc.binary_join_element_wise(self.folder, self.names, "/")

    def where(self, condition: Callable[[str], bool]) -> Files:
        """Select the files whose name meets a condition."""
        selected = np.fromiter(map(condition, self._names()), dtype=np.bool_, count=len(self))
        if selected.all():
            return self
        names = self.names.filter(selected)
        return Files(self.folder, names, self.sizes[selected], self.times[selected])

    def _names(self) -> Iterator[str]:
        for start in range(0, len(self), _BATCH):
            yield from self.names[start : start + _BATCH].to_pylist()

    def _path(self, name: str) -> str:
        return f"{self.folder}/{name}" if self.folder else name


class FilesBuilder:
    """Collect the files of one folder in any order; only one batch of them is objects at a time.

    Attributes:
        folder: POSIX path relative to the root, "" for the root itself.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._rows: list[tuple[str, int, int]] = []
        self._batches: list[pa.RecordBatch] = []

    def add(self, name: str, size: int, mtime_ns: int) -> None:
        """Add one file: name in the folder, size in bytes, modification time in ns."""
        self._rows.append((name, size, mtime_ns))
        if len(self._rows) == _BATCH:
            self._flush()

    def build(self) -> Files:
        """Sort the files added so far by name."""
        self._flush()
        table = pa.Table.from_batches(self._batches).sort_by("name").combine_chunks()
        names = table["name"].combine_chunks()
        return Files(self.folder, names, table["size"].to_numpy(), table["time"].to_numpy())

    def _flush(self) -> None:
        names, sizes, times = zip(*self._rows, strict=True) if self._rows else ((), (), ())
        columns = {
            "name": pa.array(names, pa.string()),
            "size": pa.array(sizes, pa.int64()),
            "time": pa.array(times, pa.int64()),
        }
        self._batches.append(pa.RecordBatch.from_pydict(columns))
        self._rows.clear()


@dataclass(frozen=True)
class Tree:
    """A cheap view of what lies below a path; layouts decide on it alone.

    Attributes:
        root: the folder; for a single file, the folder it lies in.
        listing: every folder with files that are not hidden, sorted by path.
        unreadable: (path, reason) of what could not be listed.
        single: the file's name where the user pointed at one file, else "".
        archive: the file's name where the user pointed at one archive, else "".
        loose: files of the listing that lie in no archive, where others do.
        archived: folder of the listing -> the archive it lies in, and its name there; files of a folder
            that several archives fill have entries of their own.
        columns: what the user says of the columns of tables; see `layouts.columns`.
        splits: the only splits that are asked for; None for all.
    """

    root: Place
    listing: tuple[Files, ...]
    unreadable: tuple[tuple[str, str], ...] = ()
    single: str = ""
    archive: str = ""
    loose: frozenset[str] = frozenset()
    archived: Mapping[str, Member] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    splits: tuple[str, ...] | None = None

    def asked(self, columns: Mapping[str, str], splits: Sequence[str] | None) -> Tree:
        """Give the same with what the user says of columns, and the splits that are asked for."""
        return replace(
            self, columns=dict(columns), splits=splits if splits is None else tuple(splits)
        )

    def __len__(self) -> int:
        return sum(len(files) for files in self.listing)

    @property
    def place(self) -> Place:
        """What the user pointed at."""
        return self.root / (self.single or self.archive)

    @property
    def name(self) -> str:
        """Name of the folder, or of the file or archive without its suffix."""
        name = self.single or self.archive
        return stem(name) if name else self.root.name

    @property
    def files(self) -> Iterator[FileStat]:
        """Every file, folder by folder, one at a time."""
        return itertools.chain.from_iterable(self.listing)

    @cached_property
    def folders(self) -> Mapping[Folder, Files]:
        """Folder parts -> files directly in it that may be images (any suffix but a sidecar's)."""
        folders: dict[Folder, Files] = {}
        for files in self.listing:
            candidates = files.where(lambda name: suffix(name) not in SIDECARS)
            if candidates:
                folders[PurePosixPath(files.folder).parts] = candidates
        return folders

    @cached_property
    def image_folders(self) -> Mapping[Folder, int]:
        """Folder parts -> number of files directly in it that have an image's suffix."""
        counts = {f: len(files.where(is_image_name)) for f, files in self.folders.items()}
        return {folder: count for folder, count in counts.items() if count}

    @cached_property
    def tables(self) -> tuple[FileStat, ...]:
        """CSV, JSONL and Parquet files, sorted by path."""
        tables = (files.where(is_table_name) for files in self.listing)
        return tuple(sorted(itertools.chain.from_iterable(tables), key=lambda file: file.path))

    def locator(self, path: str) -> str:
        """Say where the bytes of a file are: its path, or the archive it lies in and its name there."""
        member = self._member(path)
        return path if member is None else f"{member.archive}::{member.name}"

    def table_bytes(self, path: str) -> bytes | None:
        """Read a table that lies in an archive; None for one that lies in a folder.

        Raises:
            DataError: It cannot be read.
        """
        member = self._member(path)
        if member is None:
            return None
        try:
            return read_member_table(self.root / member.archive, member.name)
        except (OSError, BadImageError) as error:
            raise DataError(f"{self.root / member.archive}: {member.name}: {error}") from error

    def _member(self, path: str) -> Member | None:
        if not self.archived or path in self.loose:
            return None
        if path in self.archived:
            return self.archived[path]
        folder, _, name = path.rpartition("/")
        if folder not in self.archived:
            return None
        archive, inside = self.archived[folder]
        return Member(archive, f"{inside}/{name}" if inside else name)

    def peek(self, path: str) -> Header | None:
        """Read the header of one file; None where it is no image."""
        member = self._member(path)
        try:
            if member is not None:
                return read_header(read_member(self.root / member.archive, member.name))
            with open_regular(self.root / path) as stream:
                return read_header(stream)
        except (OSError, BadImageError):
            return None
