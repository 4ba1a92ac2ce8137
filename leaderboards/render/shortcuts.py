"""Rows that no detector made: how far the files alone tell real from fake."""

from __future__ import annotations

from collections.abc import Sequence

from leaderboards.render.text import UNDEFINED, escape, rate, table, with_interval
from leaderboards.tables.notes import ShortcutRow


def shortcut_section(shortcuts: Sequence[ShortcutRow]) -> list[str]:
    """Write a row a shortcut; nothing where none was looked for."""
    if not shortcuts:
        return []
    body = [
        [
            escape(f"shortcut: {row.name}"),
            _auc(row),
            f"{escape(row.generator)} ({_rate(row.generator_auc)})" if row.generator else UNDEFINED,
            _rate(row.accuracy),
        ]
        for row in shortcuts
    ]
    header = ["Without the picture", "AUC", "Best told apart (AUC)", "Accuracy, generator unseen"]
    first = shortcuts[0]
    return [
        "## What the files alone give away",
        "",
        *table(header, body),
        f"Shortcuts are learnt from the files, the mean colours and the borders of {first.n_real} real and "
        f"{first.n_fake} fake images, and judged out of fold. A detector that does no better has shown "
        "nothing; colours may be of what is shown, all else is of how the files were made.",
        "",
    ]


def _rate(value: float | None) -> str:
    return UNDEFINED if value is None else rate(value)


def _auc(row: ShortcutRow) -> str:
    if row.auc is None or row.lo is None or row.hi is None:
        return UNDEFINED
    return with_interval(row.auc, row.lo, row.hi)
