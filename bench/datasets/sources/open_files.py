"""The few files that were read last, kept open; a file that changed on disk is opened anew."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

Opened = TypeVar("Opened")

_OPEN_FILES: Final = 8


class OpenFiles(Generic[Opened]):
    """Files by path, size and time of change; safe to use from several threads and after a fork."""

    def __init__(self, open_file: Callable[[Path], Opened]) -> None:
        self._open_file = open_file
        self._files: OrderedDict[tuple[int, str, int, int], Opened] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: Path) -> Opened:
        """Give a file, opened now or before.

        Raises:
            OSError: There is none.
        """
        stat = path.stat()
        # A child of this process would share the position in a file that its parent opened.
        key = (os.getpid(), str(path), stat.st_size, stat.st_mtime_ns)
        with self._lock:
            if key not in self._files:
                self._files[key] = self._open_file(path)
                while len(self._files) > _OPEN_FILES:
                    self._files.popitem(last=False)
            self._files.move_to_end(key)
            return self._files[key]
