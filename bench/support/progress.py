"""Who is told how long work goes on: the CLI draws a bar, the Python API stays silent."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """A listener to long work."""

    def note(self, text: str) -> None:
        """One remark for a person."""

    def start(self, task: str, total: int) -> None:
        """A task of ``total`` steps begins."""

    def advance(self, steps: int = 1) -> None:
        """So many steps of the current task are done."""


class Silent:
    """A progress that says nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def start(self, task: str, total: int) -> None:
        """Say nothing."""

    def advance(self, steps: int = 1) -> None:
        """Say nothing."""
