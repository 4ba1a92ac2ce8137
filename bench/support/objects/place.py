"""A place in an object store, to be used like a path where one is only read."""

from __future__ import annotations

import hashlib
import io
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, TypeAlias

from bench.errors import BenchError
from bench.support.objects.remote import (
    DeniedError,
    ObjectError,
    ask,
    check_harmless,
    file_system,
    is_url,
    split_url,
)
from bench.support.objects.window import Window

# What stores call that which changes with an object; the first that is there is taken.
_VERSIONS: Final = (
    "ETag", "etag", "generation", "md5Hash", "Content-MD5", "content_md5", "checksum", "sha", "blob_id",
    "mtime", "LastModified", "last_modified", "Last-Modified", "modified", "modify", "created",
)  # fmt: skip
_AHEAD: Final = 1 << 20
# So long an object counts as what it was: an archive of a thousand images is not asked about for each.
_FRESH_S: Final = 10.0
_KNOWN: Final = 4096


class ObjectStat(NamedTuple):
    """Size in bytes and version of an object, under the names that `os.stat` has for size and time.

    The version is a number made of what the store says of it: another one is another object.
    """

    st_size: int
    st_mtime_ns: int


class ObjectEntry(NamedTuple):
    """What a listing says of one name: a folder, or an object with its facts, if the store tells them."""

    name: str
    is_folder: bool
    stat: ObjectStat | None


@dataclass(frozen=True, slots=True)
class ObjectPath:
    """A place in an object store.

    Attributes:
        url: Without credentials and without a slash at the end; what stands after ``://`` is taken as it is.
    """

    url: str

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, below: str) -> ObjectPath:
        """Go below, by a POSIX path; none leads out of the bucket, and one from the root goes below too."""
        protocol, rest = split_url(self.url)
        parts = rest.split("/")
        for part in below.split("/"):
            if part == "..":
                parts = parts[:-1] if len(parts) > 1 else parts
            elif part not in ("", "."):
                parts.append(part)
        return ObjectPath(f"{protocol}://{'/'.join(parts)}")

    def joinpath(self, *below: str) -> ObjectPath:
        """Go below, name by name."""
        return self / "/".join(below)

    @property
    def name(self) -> str:
        """The last part of the URL."""
        return split_url(self.url)[1].rpartition("/")[2]

    @property
    def parent(self) -> ObjectPath:
        """What it lies in; the bucket lies in itself."""
        return self / ".."

    def with_name(self, name: str) -> ObjectPath:
        """Give its neighbour of that name."""
        return self.parent / name

    def resolve(self) -> ObjectPath:
        """Give itself: there are no links."""
        return self

    def stat(self, *, anew: bool = False) -> ObjectStat:
        """Ask for size and version of an object; an answer of the last seconds will do.

        Args:
            anew: Ask in any case.

        Raises:
            FileNotFoundError: There is no such object.
            ObjectError: The store does not answer, or knows neither size nor version.
        """
        known = None if anew else _recent.get(self.url)
        if known is not None:
            return known
        info = self._info()
        if info.get("type") == "directory":
            raise FileNotFoundError(self.url)
        stat = _stat(info)
        if stat is None:
            raise ObjectError(
                f"{self.url} cannot be read (its server tells {LACKING}): download it, or take it from "
                "a store that does"
            )
        _recent.put(self.url, stat)
        return stat

    def noted(self, stat: ObjectStat) -> None:
        """Take note of what a listing has just said."""
        _recent.put(self.url, stat)

    def exists(self) -> bool:
        """Whether there is an object or a folder; no where the store does not let us look."""
        return self._kind() != ""

    def is_file(self) -> bool:
        """Whether there is an object; no where the store does not let us look."""
        return self._kind() == "file"

    def is_dir(self) -> bool:
        """Whether there is a folder, that is, anything below; no where the store does not let us look."""
        return self._kind() == "directory"

    def kind(self) -> str:
        """Ask what there is: ``file``, ``directory``, or "" for nothing.

        Raises:
            ObjectError: The store does not answer.
        """
        try:
            return str(self._info().get("type"))
        except FileNotFoundError:
            return ""

    def check_installed(self) -> None:
        """Make sure that this process can speak to the store; nothing is asked of it.

        Raises:
            BenchError: A package is missing.
        """
        file_system(self.url)

    def entries(self) -> list[ObjectEntry]:
        """List what lies directly below, by name as the store has it: check it before it is used.

        Raises:
            FileNotFoundError: Nothing does.
            ObjectError: The store does not answer.
        """
        own = self._key()
        above = f"{own.rstrip('/')}/"
        answer = ask(self.url, lambda system: system.ls(own, detail=True))
        return [
            ObjectEntry(
                str(info["name"]).removeprefix(above).removesuffix("/"),
                info.get("type") == "directory",
                _stat(info),
            )
            for info in answer
            if not _is_marker(info, own)
        ]

    def read_range(self, start: int, size: int) -> bytes:
        """Read bytes from a position on, all of them.

        Raises:
            FileNotFoundError: The object is gone.
            ObjectError: The store does not answer, or with another number of bytes.
        """
        data = self._fetch(start, start + size)
        if len(data) != size:
            raise ObjectError(
                f"{self.url} cannot be read ({len(data)} bytes came where {size} were asked for: it has "
                "changed, or its server sends no parts): run the same command again, or download it"
            )
        return data

    def read_bytes(self, most: int | None = None) -> bytes:
        """Read an object whole.

        Args:
            most: The most bytes that are fetched; one more says that there are more.

        Raises:
            FileNotFoundError: There is none.
            ObjectError: The store does not answer.
        """
        if most is None:
            key = self._key()
            return bytes(ask(self.url, lambda system: system.cat_file(key)))
        try:
            return self._fetch(0, most + 1)
        except DeniedError:
            raise
        except ObjectError:
            if self.stat(anew=True).st_size == 0:  # of which stores give no part
                return b""
            raise

    def open(self, ahead: int = _AHEAD) -> BinaryIO:
        """Open an object as a stream that can be sought; only the parts that are asked for are fetched.

        Args:
            ahead: Bytes that are fetched at least.

        Raises:
            FileNotFoundError: There is none.
            ObjectError: The store does not answer.
        """
        return io.BufferedReader(Window(self.read_range, 0, self.stat().st_size), ahead)

    def _key(self) -> str:
        return str(file_system(self.url)._strip_protocol(self.url))

    def _fetch(self, start: int, end: int) -> bytes:
        key = self._key()
        return bytes(ask(self.url, lambda system: system.cat_file(key, start=start, end=end)))

    def _info(self) -> Mapping[str, Any]:
        key = self._key()
        info: Mapping[str, Any] = ask(self.url, lambda system: system.info(key))
        return info

    def _kind(self) -> str:
        try:
            return self.kind()
        except DeniedError:
            return ""


Place: TypeAlias = Path | ObjectPath

LACKING: Final = "no size or no version of it, so that nobody would notice a change"


def place_of(named: str | Path | ObjectPath) -> Place:
    """Read what somebody calls a place: a path, or a URL; ``file://`` is a path.

    Raises:
        BenchError: A URL that holds credentials, or names nothing.
    """
    if not isinstance(named, str):
        return named.expanduser() if isinstance(named, Path) else named
    if not is_url(named):
        return Path(named).expanduser()
    check_harmless(named)
    return _by_url(named)


def ask_anew() -> None:
    """Forget what was heard of objects in the last seconds."""
    _recent.clear()


def below(root: Place, locator: str) -> Place:
    """Give the place that a locator names: below a root, unless it is a URL itself."""
    return _by_url(locator) if is_url(locator) else root / locator


def locator_from(root: Place, place: Place) -> str:
    """Name a place, absolute, so that `below` finds it from a root."""
    is_elsewhere = isinstance(root, ObjectPath) and isinstance(place, Path)
    return f"file://{place}" if is_elsewhere else str(place)


def _by_url(url: str) -> Place:
    protocol, rest = split_url(url)
    on_disk = protocol in ("file", "local")
    if not (rest if on_disk else rest.strip("/")):
        raise BenchError(f"the URL {protocol}:// names nothing: write out what follows")
    return Path(rest) if on_disk else ObjectPath(f"{protocol}://{rest.rstrip('/')}")


def _stat(info: Mapping[str, Any]) -> ObjectStat | None:
    """Take size and version out of what a store says; None where it lacks one."""
    size = info.get("size")
    version = next((name for name in _VERSIONS if info.get(name)), None)
    if size is None or version is None:
        return None
    value = info[version]
    # Of one object listings and answers have times as numbers, dates or texts.
    text = str(value.timestamp() if hasattr(value, "timestamp") else value)
    digest = hashlib.sha256(f"{version}={text}".encode()).digest()
    return ObjectStat(int(size), int.from_bytes(digest[:8]) >> 1)


def _is_marker(info: Mapping[str, Any], folder: str) -> bool:
    """Whether an entry of a folder's listing is the folder itself, kept as an object without bytes.

    A folder with no name in it (of ``a//b.png``) has the same name, and is no object.
    """
    is_object = info.get("type") != "directory" or _stat(info) is not None
    return is_object and str(info["name"]).rstrip("/") == folder.rstrip("/")


class _Recent:
    """What was heard of objects in the last seconds; safe in threads."""

    def __init__(self) -> None:
        self._heard: OrderedDict[str, tuple[float, ObjectStat]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, url: str) -> ObjectStat | None:
        with self._lock:
            at, stat = self._heard.get(url, (0.0, None))
            return stat if time.monotonic() - at < _FRESH_S else None

    def clear(self) -> None:
        with self._lock:
            self._heard.clear()

    def put(self, url: str, stat: ObjectStat) -> None:
        with self._lock:
            self._heard[url] = time.monotonic(), stat
            self._heard.move_to_end(url)
            while len(self._heard) > _KNOWN:
                self._heard.popitem(last=False)


_recent: Final = _Recent()
