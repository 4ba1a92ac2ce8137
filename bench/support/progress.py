"""Listeners to long work: the CLI draws a bar, the Python API stays silent."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """What a listener to long work must offer; one task runs at a time."""

    def note(self, text: str) -> None:
        """Pass a remark on to a person."""

    def warn(self, text: str) -> None:
        """Pass on what a person must know even where remarks are not wanted."""

    def start(self, task: str, total: int) -> None:
        """Begin a task of ``total`` steps, under a name for a person."""

    def advance(self, steps: int = 1) -> None:
        """Count further steps of the current task as finished."""


class Silent:
    """A listener that shows nothing."""

    def note(self, text: str) -> None:
        """Drop a remark without a word."""

    def warn(self, text: str) -> None:
        """Drop a warning without a word."""

    def start(self, task: str, total: int) -> None:
        """Begin a task without a word."""

    def advance(self, steps: int = 1) -> None:
        """Count further steps without a word."""
