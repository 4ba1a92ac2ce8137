"""Camera raw files and other TIFF containers whose first picture is a preview of the one meant."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import BinaryIO, Final

from bench.datasets.policy import BadImageError

# Tags of TIFF 6.0, of TIFF/EP and of DNG.
_SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _PHOTOMETRIC = 254, 255, 256, 257, 262
_MAKER, _SUB_IFDS, _DNG = 271, 330, 50706
_REDUCED: Final = 1  # bit of tag 254
_OLD_REDUCED: Final = 2  # value of tag 255
_SENSOR: Final = frozenset({32803, 34892})  # colour filter array, linear raw
_FORMATS: Final = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}  # of values, by field type
_MOST_ENTRIES: Final = 4096
_MOST_VALUES: Final = 64

WAY_OUT: Final = "convert it to PNG, TIFF or JPEG first"

# First bytes of raw files that are no TIFF or call themselves none.
_SIGNATURES: Final = (
    (b"FUJIFILMCCD-RAW", "Fujifilm RAF"),
    (b"IIU\0", "Panasonic RW2"),
    (b"IIRO", "Olympus ORF"),
    (b"IIRS", "Olympus ORF"),
    (b"MMOR", "Olympus ORF"),
    (b"FOVb", "Sigma X3F"),
    (b"\0MRM", "Minolta MRW"),
)


def name_of_raw(start: bytes) -> str:
    """Name the kind of camera raw file from its first bytes; "" for none."""
    for signature, name in _SIGNATURES:
        if start.startswith(signature):
            return name
    if start[4:12] == b"ftypcrx ":
        return "Canon CR3"
    if start[:4] == b"II*\0" and start[8:10] == b"CR":
        return "Canon CR2"
    if start[:4] in {b"II*\0", b"MM\0*"} and start[8:12] in {b"IIII", b"MMMM"}:
        return "Phase One IIQ"
    return ""


def refuse_raw(stream: BinaryIO) -> None:
    """Refuse a camera raw file, and a TIFF whose first picture is a preview or thumbnail.

    The stream is read from its start and left anywhere.

    Raises:
        BadImageError: names the kind, and the way out.
    """
    stream.seek(0)
    start = stream.read(16)
    if name := name_of_raw(start):
        raise BadImageError(
            f"a camera raw file ({name}), which holds no finished picture: {WAY_OUT}"
        )
    reader = _Ifds.of(stream, start)
    if reader is None:
        return
    first = reader.read(reader.first)
    if _DNG in first:
        raise BadImageError(f"a camera raw file (DNG), which holds no finished picture: {WAY_OUT}")
    if first.get(_PHOTOMETRIC, (0,))[0] in _SENSOR:
        raise BadImageError(
            f"a camera raw file (data of a sensor), not a finished picture: {WAY_OUT}"
        )
    size = _size(first)
    reduced = bool(first.get(_SUBFILE, (0,))[0] & _REDUCED) or (
        first.get(_OLD_SUBFILE, (0,))[0] == _OLD_REDUCED
    )
    children = [reader.read(offset) for offset in first.get(_SUB_IFDS, ())]
    if reduced or any(_size(child) > size for child in children):
        kind = "a camera raw file" if _MAKER in first else "a TIFF"
        raise BadImageError(
            f"{kind} whose first picture is a preview or thumbnail of {_words(first)}: {WAY_OUT}"
        )


def _size(tags: Mapping[int, tuple[int, ...]]) -> int:
    return tags.get(_WIDTH, (0,))[0] * tags.get(_HEIGHT, (0,))[0]


def _words(tags: Mapping[int, tuple[int, ...]]) -> str:
    return f"{tags.get(_WIDTH, (0,))[0]} x {tags.get(_HEIGHT, (0,))[0]} pixels"


class _Ifds:
    """The directories of a TIFF or BigTIFF file: integers by tag.

    Attributes:
        first: offset of the first directory.
    """

    def __init__(self, stream: BinaryIO, order: str, *, big: bool) -> None:
        self._stream, self._order = stream, order
        self._count, self._entry, self._inline = ("Q", "HHQ", 8) if big else ("H", "HHI", 4)
        self.first = 0

    @classmethod
    def of(cls, stream: BinaryIO, start: bytes) -> _Ifds | None:
        """Read the file's header; None where it is no TIFF."""
        order = {b"II": "<", b"MM": ">"}.get(start[:2])
        if order is None or len(start) < 16:
            return None
        (magic,) = struct.unpack_from(f"{order}H", start, 2)
        if magic not in {42, 43}:
            return None
        big = magic == 43
        ifds = cls(stream, order, big=big)
        (ifds.first,) = struct.unpack_from(order + ("Q" if big else "I"), start, 8 if big else 4)
        return ifds

    def read(self, offset: int) -> dict[int, tuple[int, ...]]:
        """Read one directory; what is cut or damaged is left out, as Pillow will complain."""
        return dict(self._entries(offset))

    def _entries(self, offset: int) -> Iterator[tuple[int, tuple[int, ...]]]:
        length = struct.calcsize(self._order + self._count)
        head = self._at(offset, length)
        if len(head) < length:
            return
        (count,) = struct.unpack(self._order + self._count, head)
        size = struct.calcsize(self._order + self._entry) + self._inline
        table = self._at(offset + len(head), min(count, _MOST_ENTRIES) * size)
        for position in range(0, len(table) - size + 1, size):
            tag, kind, length = struct.unpack_from(self._order + self._entry, table, position)
            letter = _FORMATS.get(kind)
            if tag == _MAKER:
                yield tag, ()
            elif letter is not None and 0 < length <= _MOST_VALUES:
                values = f"{self._order}{length}{letter}"
                content = table[position + size - self._inline : position + size]
                if struct.calcsize(values) > self._inline:
                    word = "Q" if self._inline == 8 else "I"
                    content = self._at(
                        struct.unpack(self._order + word, content)[0], struct.calcsize(values)
                    )
                if len(content) >= struct.calcsize(values):
                    yield tag, struct.unpack_from(values, content)

    def _at(self, offset: int, size: int) -> bytes:
        try:
            self._stream.seek(offset)
        except (OSError, ValueError, OverflowError):
            return b""
        return self._stream.read(size)
