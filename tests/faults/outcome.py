"""What one injected fault did, in one of seven words, and the table of all of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

# right: the right result, or a refusal of one sentence under a documented exit code.
# silent: a wrong number or a dropped input that nothing tells of.
# lost: what was finished before, or is somebody else's, is gone.
# crash: the process died, or ended with a code that nobody documents.
# internal: exit code 70, a traceback, or an exception that is no sentence.
# hang: it took longer than its limit.
WORDS = ("right", "silent", "lost", "crash", "internal", "hang")
DOCUMENTED = {0, 2, 5, 10, 11, 12, 13}
REFUSED = {2, 5}
_RAW = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x9b]")


@dataclass(frozen=True)
class Seen:
    """What a case saw: the exit code of the command, what it said, and what was wrong with its result."""

    code: int = 0
    said: str = ""
    wrong: str = ""
    lost: str = ""


@dataclass(frozen=True)
class Ended:
    """How the process of a case ended: an answer, an exception, a death, or none of them in time."""

    seen: Seen | None = None
    raised: str = ""
    died: str = ""
    is_late: bool = False


@dataclass(frozen=True)
class Outcome:
    """One fault, classified."""

    kind: str
    case: str
    word: str
    why: str = ""


def classify(ended: Ended) -> tuple[str, str]:
    """Give the word for how a case ended, and why it is no better one."""
    if ended.is_late:
        return "hang", "no answer in time"
    if ended.died:
        return "crash", ended.died
    if ended.raised or ended.seen is None:
        return "internal", ended.raised or "no answer"
    seen = ended.seen
    if seen.code == 70 or "internal error" in seen.said or "Traceback (most recent" in seen.said:
        return "internal", last_line(seen.said)
    if seen.wrong:  # whatever the exit code: a number that is wrong was shown
        return "silent", seen.wrong
    if seen.lost:
        return "lost", seen.lost
    if seen.code not in DOCUMENTED:
        return "crash", f"exit code {seen.code}: {last_line(seen.said)}"
    if seen.code in REFUSED and not is_a_sentence(seen.said):
        return "internal", f"exit code {seen.code} without a sentence: {seen.said!r:.300}"
    if _RAW.search(seen.said.replace("\t", " ")):
        return "internal", f"control characters: {seen.said!r:.300}"
    return "right", ""


def is_a_sentence(said: str) -> bool:
    """Whether a refusal ends in one line that says what is wrong; remarks may stand before it."""
    lines = [line for line in said.splitlines() if line.startswith("error: ")]
    return len(lines) == 1 and len(lines[0]) > len("error: ") + 10


def last_line(text: str) -> str:
    """The last line that says anything, for a table's reader."""
    return (text.strip().splitlines() or [""])[-1][:300]


def table(outcomes: Iterable[Outcome]) -> str:
    """Count by kind and word, as aligned columns with a sum below."""
    found = list(outcomes)
    kinds = list(dict.fromkeys(outcome.kind for outcome in found))
    rows = [("kind", "tried", *WORDS)]
    for kind in [*kinds, "all"]:
        own = [o for o in found if kind in (o.kind, "all")]
        rows.append((kind, str(len(own)), *(str(sum(o.word == w for o in own)) for w in WORDS)))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
