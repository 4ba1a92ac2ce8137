"""What goes to a person: remarks and progress on stderr, never on stdout, which is for data."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Self

PLAIN_EVERY = 30.0  # seconds between two plain lines


def say(text: str) -> None:
    """Write one line to the person at the terminal; names in it are data, never markup."""
    sys.stderr.write(printable(text) + "\n")
    sys.stderr.flush()


def printable(text: str) -> str:
    """Spell control characters out: a file name must not steer a terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)


def put_json(value: Any) -> None:
    """Write one strict JSON document on stdout."""
    import json

    sys.stdout.write(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def put(text: str) -> None:
    """Write text that is data on stdout."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def table(rows: list[dict[str, Any]]) -> str:
    """Lay rows of equal keys out as aligned columns, for reading."""
    if not rows:
        return ""
    head = list(rows[0])
    cells = [head, *([printable(str(row[key])).replace("\n", " ") for key in head] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


class Bar:
    """Progress with an ETA: a rich bar on a terminal, elsewhere a plain line every 30 s."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._live: Any = None
        self._task: Any = None
        self._name, self._total, self._finished = "", 0, 0
        self._began = self._printed = time.monotonic()

    def __enter__(self) -> Self:
        if sys.stderr.isatty() and not self._quiet:
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeElapsedColumn,
                TimeRemainingColumn,
            )

            self._live = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("eta", markup=False),
                TimeRemainingColumn(),
                console=Console(stderr=True, markup=False, highlight=False),
                transient=True,
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def note(self, text: str) -> None:
        """Print one remark, above the bar."""
        if not self._quiet:
            self.warn(text)

    def warn(self, text: str) -> None:
        """Print what must be known even with ``--quiet``, above the bar."""
        if self._live is not None:
            self._live.console.print(printable(text), soft_wrap=True)
        else:
            say(text)

    def start(self, task: str, total: int) -> None:
        """Begin a task of ``total`` steps and end the one before."""
        self._name, self._total, self._finished = task, total, 0
        self._began = self._printed = time.monotonic()
        if self._live is not None:
            if self._task is not None:
                self._live.remove_task(self._task)
            self._task = self._live.add_task(task, total=total)

    def advance(self, steps: int = 1) -> None:
        """Count steps of the task as done."""
        self._finished += steps
        if self._live is not None:
            self._live.advance(self._task, steps)
            return
        now = time.monotonic()
        if self._quiet or now - self._printed < PLAIN_EVERY:
            return
        self._printed = now
        left = (now - self._began) * (self._total - self._finished) / max(self._finished, 1)
        say(f"{self._name}: {self._finished} of {self._total}, about {_clock(left)} left")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
