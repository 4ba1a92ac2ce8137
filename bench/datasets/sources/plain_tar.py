"""TAR archives as plain bytes: a compressed one is unpacked into the cache once, to be read anywhere.

Reading one member of a compressed archive means unpacking all before it. Images do not compress, so
the copy is about as large as the archive; one that grows far beyond it is refused.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from bench.datasets.places import default_cache_dir
from bench.datasets.sources.names import suffix
from bench.support.files import write_atomic, write_text
from bench.support.objects.copies import identity
from bench.support.objects.place import ObjectPath, Place
from bench.support.objects.window import Window
from bench.support.user_file import MOST_TABLE, open_regular, read_text

_BLOCK: Final = 1 << 20
# The heads of members lie among their bytes: to list an archive in a store is to fetch it, in such parts.
_STRETCH: Final = 8 << 20
# A bomb grows a thousandfold; uncompressed pictures of one colour come near, so small ones may.
_GROWTH: Final = 64
_SMALL: Final = 1 << 30


class TarDamagedError(Exception):
    """A compressed archive that cannot be unpacked; the message is the reason in words."""


class TarMember(NamedTuple):
    """A member: its name, where its bytes begin and how many, and why it cannot be read, if so."""

    name: str
    start: int
    size: int
    problem: str


@dataclass(frozen=True, slots=True)
class PlainTar:
    """The bytes of a TAR archive, read by position: threads and forks do not disturb one another.

    Attributes:
        descriptor: of the open file; closed with the object.
    """

    descriptor: int

    def __del__(self) -> None:
        os.close(self.descriptor)

    def read(self, start: int, size: int) -> bytes:
        """Read bytes from a position on; fewer at the end."""
        return os.pread(self.descriptor, size, start)

    def stream(self) -> BinaryIO:
        """Open the whole of it as a stream of its own."""
        return os.fdopen(os.dup(self.descriptor), "rb")

    def opener(self, start: int, size: int) -> Callable[[], BinaryIO]:
        """Give a function that opens one member; a large one is read piece by piece."""
        return lambda: io.BufferedReader(Window(self.read, start, size))


@dataclass(frozen=True, slots=True)
class ObjectTar:
    """The bytes of a TAR archive in an object store: only the parts that are asked for are fetched.

    Attributes:
        place: where it lies.
        size: bytes in it.
    """

    place: ObjectPath
    size: int

    def read(self, start: int, size: int) -> bytes:
        """Read bytes from a position on; fewer at the end."""
        return self.place.read_range(start, max(0, min(size, self.size - start)))

    def stream(self) -> BinaryIO:
        """Open the whole of it as a stream of its own, to be read from the beginning on."""
        return self.place.open(_STRETCH)

    def listed(self, list_members: Callable[[ObjectTar], Iterable[TarMember]]) -> list[TarMember]:
        """List the members, from what was kept of an earlier time: to list anew is to fetch all.

        Raises:
            OutputError: The cache cannot be written.
        """
        kept = default_cache_dir() / "archives" / f"{identity(self.place)}.json"
        with contextlib.suppress(OSError, ValueError, TypeError):
            digest, _, text = read_text(kept, MOST_TABLE).partition("\n")
            if hashlib.sha256(text.encode()).hexdigest() == digest:
                return [TarMember(*member) for member in json.loads(text)]
        members = list(list_members(self))
        text = json.dumps(members)
        write_text(kept, f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}")
        return members

    def opener(self, start: int, size: int) -> Callable[[], BinaryIO]:
        """Give a function that opens one member, to be fetched at once."""
        return lambda: io.BufferedReader(
            Window(self.read, start, size), max(1, min(size, _STRETCH))
        )


def open_plain(path: Place) -> PlainTar | ObjectTar:
    """Open a TAR archive, compressed or not.

    Raises:
        TarDamagedError: It cannot be unpacked: damaged, cut short, or far larger than it looks.
        OutputError: The cache cannot be written.
        OSError: It cannot be opened.
    """
    if isinstance(path, ObjectPath) and suffix(path.name) == ".tar":
        return ObjectTar(path, path.stat().st_size)
    plain = path if isinstance(path, Path) and suffix(path.name) == ".tar" else _unpacked(path)
    return PlainTar(os.open(plain, os.O_RDONLY))


def _unpacked(path: Place) -> Path:
    state = path.stat()
    identity = f"{path.resolve()}\n{state.st_size}\n{state.st_mtime_ns}"
    name = hashlib.sha256(identity.encode()).hexdigest()[:32]
    plain = default_cache_dir() / "archives" / f"{name}.tar"
    if not plain.is_file():
        write_atomic(plain, lambda stream: _unpack(path, state.st_size, stream))
    return plain


def _unpack(path: Place, size: int, target: BinaryIO) -> None:
    limit = max(_SMALL, _GROWTH * size)
    written = 0
    try:
        with open_regular(path) as packed, gzip.open(packed) as source:
            while block := source.read(_BLOCK):
                written += len(block)
                if written > limit:
                    raise TarDamagedError(
                        f"{size:,} bytes grow to more than {limit:,}: unpack it yourself if that is right"
                    )
                if shutil.disk_usage(target.fileno()).free < 2 * _BLOCK:
                    raise TarDamagedError("the cache has no room for it: set BENCH_CACHE elsewhere")
                target.write(block)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise TarDamagedError(str(error)) from error
