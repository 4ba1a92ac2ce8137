"""``run.log``: what a run said while it went on, with times; for whoever asks later why it took so long."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench.support.progress import Progress
from bench.version import __version__

LOG_NAME: Final = "run.log"
MOST_BYTES: Final = 1 << 20
EVERY_S: Final = 30.0
_CUT: Final = "(older lines are cut)\n"


class RunLog:
    """A listener that passes everything on, and keeps it as lines of text in the folder of the run.

    Remarks, warnings, tasks and how far they are go into the file; names of images only where a remark
    has them, and nothing of the environment. It is no part of the result: nothing is compared with it, and
    what cannot be written is left out.

    Args:
        inner: Who is told as well.
    """

    def __init__(self, inner: Progress) -> None:
        self._inner = inner
        self._lines: list[str] = []
        self._path: Path | None = None
        self._written = 0
        self._task, self._total, self._finished, self._at = "", 0, 0, ""
        self._logged = time.monotonic()
        self._line("start", f"bench {__version__}")

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Note how the work ended."""
        try:
            yield
        except BaseException as error:
            self._line("end", f"{type(error).__name__}: {error}"[:2000])
            raise
        self._line("end", "finished")

    def keep(self, folder: Path) -> None:
        """Write what was said so far, and what will be, behind what an earlier call left in the folder."""
        self._path = folder / LOG_NAME
        with suppress(OSError):
            if self._path.is_file() and self._path.stat().st_size > MOST_BYTES:
                rest = self._path.read_bytes()[-MOST_BYTES // 2 :]
                self._path.write_bytes(_CUT.encode() + rest[rest.find(b"\n") + 1 :])
        lines, self._lines = self._lines, []
        for line in lines:
            self._append(line)

    def at(self, place: str) -> None:
        """Say what is worked on: a detector and a condition; listeners without such a word are not told."""
        self._at = place
        tell = getattr(self._inner, "at", None)
        if tell is not None:
            tell(place)

    def note(self, text: str) -> None:
        """Pass a remark on, and keep it."""
        self._line("note", text)
        self._inner.note(text)

    def warn(self, text: str) -> None:
        """Pass a warning on, and keep it."""
        self._line("warning", text)
        self._inner.warn(text)

    def start(self, task: str, total: int) -> None:
        """Begin a task, and note its size."""
        self._task, self._total, self._finished = task, total, 0
        self._line("task", f"{task}: {total} steps")
        self._inner.start(task, total)

    def advance(self, steps: int = 1) -> None:
        """Count steps; now and then one line says how far it is."""
        self._finished += steps
        self._inner.advance(steps)
        now = time.monotonic()
        if now - self._logged >= EVERY_S or self._finished >= self._total:
            self._logged = now
            where = f", {self._at}" if self._at else ""
            self._line("task", f"{self._task}: {self._finished} of {self._total}{where}")

    def _line(self, kind: str, text: str) -> None:
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        line = f"{stamp} {kind:<7} {' '.join(text.split())}\n"
        if self._path is None:
            self._lines.append(line)
        else:
            self._append(line)

    def _append(self, line: str) -> None:
        data = line.encode("utf-8", "backslashreplace")
        self._written += len(data)
        if self._path is None or self._written > MOST_BYTES:
            return
        with suppress(OSError), self._path.open("ab") as stream:
            stream.write(data)
