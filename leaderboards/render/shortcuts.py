"""The rows under the headline that no detector made: how far the files alone tell real from fake."""

from __future__ import annotations

from collections.abc import Sequence

from leaderboards.render.text import UNDEFINED, escape, rate, table, with_interval
from leaderboards.tables.extras import Extras
from leaderboards.tables.notes import ShortcutRow


def shortcut_rows(shortcuts: Sequence[ShortcutRow]) -> list[str]:
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
        *table(header, body),
        f"Shortcuts are learnt from the files of {first.n_real} real and {first.n_fake} fake images, not "
        "from their pictures, and judged out of fold. A detector that does no better has shown nothing.",
        "",
    ]


def equalised_section(extras: Extras | None) -> list[str]:
    """Write raw and equalised side by side; nothing where no condition equalises."""
    if extras is None or extras.equalised.empty:
        return []
    records = extras.equalised.to_dict("records")
    body = [
        [
            escape(row["detector"]),
            rate(row["auc"]),
            rate(row["auc_equalised"]),
            with_interval(row["difference"], row["difference_lo"], row["difference_hi"]),
        ]
        for row in records
    ]
    header = ["Detector", "AUC as they are", "AUC equalised", "Paired difference"]
    return [
        "## As they are, and equalised",
        "",
        *table(header, body),
        f"Equalised by {escape(records[0]['condition'])}, both classes alike, before every other condition. "
        "Means over the slices of the headline; the difference is of the same images, with its 95% "
        "interval. What is lost was the files', not the pictures'.",
        "",
    ]


def _rate(value: float | None) -> str:
    return UNDEFINED if value is None else rate(value)


def _auc(row: ShortcutRow) -> str:
    if row.auc is None or row.lo is None or row.hi is None:
        return UNDEFINED
    return with_interval(row.auc, row.lo, row.hi)
