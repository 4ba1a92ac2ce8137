"""What lies below a folder: names, sizes and times of files, and no byte of their content."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Final, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bench.datasets.policy import BadImageError
from bench.datasets.sources.header import Header, read_header
from bench.datasets.sources.regular_file import open_regular


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
_BATCH: Final = 8192

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
    """

    root: Path
    listing: tuple[Files, ...]
    unreadable: tuple[tuple[str, str], ...] = ()
    single: str = ""

    def __len__(self) -> int:
        return sum(len(files) for files in self.listing)

    @property
    def files(self) -> Iterator[FileStat]:
        """Every file, folder by folder, one at a time."""
        return itertools.chain.from_iterable(self.listing)

    @cached_property
    def folders(self) -> Mapping[Folder, Files]:
        """Folder parts -> files directly in it that may be images (any suffix but a sidecar's)."""
        folders: dict[Folder, Files] = {}
        for files in self.listing:
            candidates = files.where(lambda name: suffix(name) not in _SIDECARS)
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

    def peek(self, path: str) -> Header | None:
        """Read the header of one file; None where it is no image."""
        try:
            with open_regular(self.root / path) as stream:
                return read_header(stream)
        except (OSError, BadImageError):
            return None


def suffix(path: str) -> str:
    """Give the last suffix of a path in lower case, with its dot; "" for none.

    As pathlib has it, without a path object for every file of a data set.
    """
    name = path.rpartition("/")[2]
    dot = name.rfind(".")
    return name[dot:].lower() if 0 < dot < len(name) - 1 else ""


def is_image_name(path: str) -> bool:
    """Whether the suffix announces an image."""
    return suffix(path) in IMAGE_SUFFIXES


def is_table_name(path: str) -> bool:
    """Whether the suffix announces a CSV, JSONL or Parquet table."""
    return suffix(path) in TABLE_SUFFIXES
