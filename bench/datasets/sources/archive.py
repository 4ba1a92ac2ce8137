"""ZIP and TAR archives read in place: what they hold, and the bytes of one member.

A member's locator is ``<archive>::<name in it>``. Archives come from strangers: a name that leads out
of the archive, an encrypted or repeated member, a link, an archive inside an archive is listed with the
reason and never read; a damaged or cut archive is refused whole, since nobody knows what it lacks.
"""

from __future__ import annotations

import re
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from bench.datasets.policy import BadImageError
from bench.datasets.sources.header import in_words
from bench.datasets.sources.names import (
    is_archive_name,
    is_hidden,
    is_image_name,
    is_other_archive_name,
    is_table_name,
    leads_out,
    name_problem,
    printable,
    suffix,
)
from bench.datasets.sources.plain_tar import ObjectTar, PlainTar, TarMember, open_plain
from bench.datasets.sources.regular_file import OpenFiles, read_image
from bench.errors import BenchError
from bench.support.objects.place import Place

_MEMBER: Final = re.compile(r"(.+?\.(?:zip|tar|tar\.gz|tgz))::(.+)", re.IGNORECASE | re.DOTALL)
_MOST_MEMBERS: Final = 5_000_000
_MAX_TABLE: Final = 1 << 30
_END: Final = b"\0" * 512  # a block of zeros ends a TAR


class ArchiveDamagedError(Exception):
    """An archive that cannot be used at all; the message is the reason in words, without the path."""


class Member(NamedTuple):
    """A file in an archive: the archive's path relative to the root, and the name in it."""

    archive: str
    name: str


@dataclass(frozen=True, slots=True)
class _Entry:
    """One member that may be read: its size in bytes, and how to open it."""

    size: int
    open: Callable[[], BinaryIO]


@dataclass(slots=True)
class Archive:
    """What an archive holds, as listed.

    Attributes:
        members: what can be read, by name: POSIX, relative to the archive.
        unreadable: name to the reason it is left out.
    """

    members: dict[str, _Entry] = field(default_factory=dict)
    unreadable: list[tuple[str, str]] = field(default_factory=list)

    def sizes(self) -> Mapping[str, int]:
        """Give the size of each readable member in bytes, by name."""
        return {name: entry.size for name, entry in self.members.items()}

    def add(self, name: str, entry: _Entry, problem: str) -> None:
        """Take one member in, or list it with what is wrong with it."""
        if len(self.members) + len(self.unreadable) >= _MOST_MEMBERS:
            raise ArchiveDamagedError(f"more than {_MOST_MEMBERS:,} members: unpack it")
        plain = _plain_name(name)
        if not leads_out(plain) and any(is_hidden(part) for part in plain.split("/")):
            return
        problem = name_problem(plain, "its archive") or problem or _kind_problem(plain)
        if problem:
            if _is_data(plain) or is_archive_name(plain) or is_other_archive_name(plain):
                self.unreadable.append((printable(plain), problem))
            return
        if plain in self.members:
            reason = (
                "a name that stands twice in the archive: the last one is read, as unpacking would"
            )
            self.unreadable.append((plain, reason))
        self.members[plain] = entry


def archive_member(locator: str) -> Member | None:
    """Split a locator such as ``fakes.zip::sd/0.png``; None for anything else."""
    if "::" not in locator:
        return None
    match = _MEMBER.fullmatch(locator)
    return Member(match[1], match[2]) if match else None


def list_archive(path: Place) -> Archive:
    """List an archive, or give what was listed before; no member is read.

    Raises:
        ArchiveDamagedError: It is damaged, cut short, encrypted as a whole, or no archive.
        OSError: It cannot be opened.
    """
    return _archives.get(path)


def read_member(path: Place, name: str) -> bytes:
    """Read one image of an archive whole.

    Raises:
        BadImageError: No such member, a damaged one, or one far larger than its pixels need.
        OSError: The archive cannot be read.
    """
    entry = _entry(path, name)
    with _member_errors(), entry.open() as stream:
        return read_image(stream, entry.size)


def read_member_table(path: Place, name: str) -> bytes:
    """Read a table that lies in an archive.

    Raises:
        BadImageError: No such member, a damaged one, or one of more than a GiB.
        OSError: The archive cannot be read.
    """
    entry = _entry(path, name)
    if entry.size > _MAX_TABLE:
        raise BadImageError(f"a table of {entry.size / 2**30:.1f} GiB in an archive: unpack it")
    with _member_errors(), entry.open() as stream:
        return stream.read(entry.size + 1)


def _entry(path: Place, name: str) -> _Entry:
    try:
        entry = list_archive(path).members.get(name)
    except ArchiveDamagedError as error:
        raise BadImageError(f"its archive is {error}") from None
    if entry is None:
        raise BadImageError("no such file in the archive")
    return entry


@contextmanager
def _member_errors() -> Iterator[None]:
    """Turn what zlib, lzma and zipfile raise about a damaged member into a reason in words."""
    try:
        yield
    except (BenchError, OSError, MemoryError):
        raise
    except Exception as error:
        raise BadImageError(f"damaged in its archive ({in_words(error)})") from error


def _open_archive(path: Place) -> Archive:
    return _list_zip(path) if suffix(path.name) == ".zip" else _list_tar(path)


def _list_zip(path: Place) -> Archive:
    archive = Archive()
    try:
        handle = zipfile.ZipFile(path if isinstance(path, Path) else path.open())
    except (OSError, MemoryError, BenchError):
        raise
    except Exception as error:  # zipfile's parser raises many kinds on hostile bytes
        raise ArchiveDamagedError(
            f"a damaged or cut ZIP archive, or a part of one ({in_words(error)}): fetch it again, or "
            "unpack all its parts together"
        ) from error
    for info in handle.infolist():
        if not info.is_dir():
            entry = _Entry(info.file_size, _zip_opener(handle, info))
            archive.add(info.orig_filename, entry, _zip_problem(info))
    return archive


def _zip_opener(handle: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], BinaryIO]:
    return lambda: handle.open(info)  # type: ignore[return-value]


def _zip_problem(info: zipfile.ZipInfo) -> str:
    if info.flag_bits & 1:
        return "encrypted in its archive: unpack it with its password"
    mode = info.external_attr >> 16
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "a link or special file in an archive"
    return ""


def _list_tar(path: Place) -> Archive:
    archive = Archive()
    try:
        plain = open_plain(path)
        members = _tar_members(plain) if isinstance(plain, PlainTar) else plain.listed(_tar_members)
        for name, start, size, problem in members:
            archive.add(name, _Entry(size, plain.opener(start, size)), problem)
    except (OSError, MemoryError, ArchiveDamagedError, BenchError):
        raise
    except Exception as error:  # tarfile's parser raises many kinds on hostile bytes
        raise ArchiveDamagedError(
            f"a damaged or cut TAR archive ({in_words(error)}): fetch it again"
        ) from error
    return archive


def _tar_members(plain: PlainTar | ObjectTar) -> Iterator[TarMember]:
    with tarfile.open(fileobj=plain.stream(), mode="r:") as handle:
        while (info := handle.next()) is not None:
            handle.members = []  # type: ignore[attr-defined]  # it would keep every one
            if not info.isdir():
                yield TarMember(info.name, info.offset_data, info.size, _tar_problem(info))
        end = plain.read(handle.offset, len(_END))
    if end != _END:
        raise ArchiveDamagedError("a TAR archive that is cut short or damaged: fetch it again")


def _tar_problem(info: tarfile.TarInfo) -> str:
    if info.issparse():
        return "a sparse file in an archive: unpack it"
    return "" if info.isreg() else "a link or special file in an archive"


def _plain_name(name: str) -> str:
    """Write a member's name as POSIX: archives made on Windows may hold backslashes."""
    if "\\" in name and "/" not in name:
        name = name.replace("\\", "/")
    root = "/" if name.startswith("/") else ""
    return root + "/".join(part for part in name.split("/") if part not in ("", "."))


def _kind_problem(name: str) -> str:
    if is_archive_name(name) or is_other_archive_name(name):
        return "an archive inside an archive: unpack it"
    if suffix(name) == ".parquet":
        return "a Parquet file inside an archive: unpack it"
    return ""


def _is_data(name: str) -> bool:
    return is_image_name(name) or is_table_name(name)


_archives: Final = OpenFiles(_open_archive)
