"""What goes to a person: remarks and progress on stderr, never on stdout, which is for data."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from bench.errors import OutputError
from bench.support.plain import lines, one_line
from bench.support.user_file import why

PLAIN_EVERY = 30.0  # seconds between two plain lines
VERBOSE_EVERY = 1.0


def say(text: str) -> None:
    """Write one line to the person at the terminal; names in it are data, never markup or commands."""
    _to_person(one_line(text))


def say_lines(text: str) -> None:
    """Write lines of our own to the person at the terminal; names in them end no line."""
    _to_person(lines(text))


def say_command(line: str) -> None:
    """Write a line that a CI system is to read as a command; whoever makes it escapes what is in it."""
    _to_person("".join(c for c in line if c.isprintable()))


def _to_person(text: str) -> None:
    # Nobody can be told that nobody can be told anything.
    with contextlib.suppress(OSError, ValueError):
        encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
        sys.stderr.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        sys.stderr.flush()


def put_json(value: Any) -> None:
    """Write one strict JSON document on stdout."""
    import json

    put_json_text(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False))


def put_json_text(text: str) -> None:
    """Write a JSON document on stdout; characters that would steer a terminal are escaped as JSON does."""
    escaped = "".join(c if c.isprintable() or c == "\n" else _json_escape(c) for c in text)
    put(escaped.replace("##[", "#\\u0023["))  # a command to a CI system, wherever it stands


def _json_escape(char: str) -> str:
    import json

    return json.dumps(char)[1:-1]


def put(text: str) -> None:
    """Write text that is data on stdout.

    Raises:
        OutputError: It cannot be written; a reader that has gone away is no error.
    """
    text = text if text.endswith("\n") else text + "\n"
    with writable_output():
        if _is_read_as_it_comes():
            text = lines(text)
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        # Names that are no text of that encoding are spelt out, as JSON does.
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()


def put_lines(text: str) -> None:
    """Write lines for people on stdout; names in them end no line and steer nothing."""
    put(lines(text))


def _is_read_as_it_comes() -> bool:
    """Tell whether stdout goes to a terminal, or a CI system's log reader, rather than to a program."""
    if sys.stdout.isatty():
        return True
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return False
    try:
        return not stat.S_ISREG(os.fstat(sys.stdout.fileno()).st_mode)
    except (OSError, ValueError):  # no file at all
        return True


@contextmanager
def writable_output() -> Iterator[None]:
    """Turn a standard output that cannot be written into one sentence.

    Raises:
        OutputError: In place of the operating system's error.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        raise OutputError(
            f"cannot write the standard output ({why(error)}): free some space or send it elsewhere"
        ) from error


def table(rows: list[dict[str, Any]]) -> str:
    """Lay rows of equal keys out as aligned columns, for reading."""
    if not rows:
        return ""
    head = list(rows[0])
    cells = [head, *([one_line(str(row[key])) for key in head] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


class Bar:
    """Progress with an ETA: a rich bar on a terminal, elsewhere a plain line every 30 s."""

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self._quiet, self._verbose = quiet, verbose
        self._live: Any = None
        self._task: Any = None
        self._name, self._total, self._finished, self._place = "", 0, 0, ""
        self._began = self._printed = time.monotonic()

    def __enter__(self) -> Self:
        if sys.stderr.isatty() and not self._quiet and not self._verbose:
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
            self._live.console.print(one_line(text), soft_wrap=True)
        else:
            say(f"{time.strftime('%H:%M:%S')} {text}" if self._verbose else text)

    def start(self, task: str, total: int) -> None:
        """Begin a task of ``total`` steps and end the one before."""
        self._name, self._total, self._finished, self._place = task, total, 0, ""
        self._began = self._printed = time.monotonic()
        if self._live is not None:
            if self._task is not None:
                self._live.remove_task(self._task)
            self._task = self._live.add_task(task, total=total)

    def at(self, place: str) -> None:
        """Say what is worked on, beside the bar."""
        self._place = place
        if self._live is not None:
            self._live.update(self._task, description=one_line(f"{self._name}, {place}")[:60])

    def advance(self, steps: int = 1) -> None:
        """Count steps of the task as done."""
        self._finished += steps
        if self._live is not None:
            self._live.advance(self._task, steps)
            return
        now = time.monotonic()
        if self._quiet or now - self._printed < (VERBOSE_EVERY if self._verbose else PLAIN_EVERY):
            return
        self._printed = now
        left = (now - self._began) * (self._total - self._finished) / max(self._finished, 1)
        where = f", {self._place}" if self._place else ""
        say(f"{self._name}: {self._finished} of {self._total}{where}, about {_clock(left)} left")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
