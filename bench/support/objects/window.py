"""A part of something that is read by position, as a stream of its own."""

from __future__ import annotations

import io
from collections.abc import Callable


class Window(io.RawIOBase):
    """A stream over a range of bytes; each has a position of its own, so threads may have one each.

    Args:
        read: Gives bytes from a position on: (start, size) -> at most ``size`` bytes.
        start: Where the range begins.
        size: Bytes in it.
    """

    def __init__(self, read: Callable[[int, int], bytes], start: int, size: int) -> None:
        self._read, self._start, self._size, self._at = read, start, size, 0

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be sought."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a position; before the beginning is the beginning."""
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def tell(self) -> int:
        """Give the position in the range."""
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer as far as the range goes; 0 at its end."""
        wanted = min(len(buffer), max(0, self._size - self._at))
        data = self._read(self._start + self._at, wanted) if wanted else b""
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
