"""The worked examples at the end of every help page."""

from __future__ import annotations

HEADING = "Examples:"


def examples(first: str, second: str, third: str) -> str:
    """Set three command lines as a block; the leading backspace keeps them from being wrapped."""
    return "\n".join(["\b", HEADING, first, second, third])


def example_lines(epilog: str) -> list[str]:
    """Read the command lines back from a block."""
    return epilog.split(HEADING, 1)[1].split("\n")[1:]
