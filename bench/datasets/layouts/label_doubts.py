"""Labels that say nothing, are kept back, or contradict the folders: told in one sentence each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final, Protocol

from bench.datasets.layouts.columns import LabelColumn, cell_text, shown
from bench.datasets.layouts.words import LABEL_EXAMPLES
from bench.datasets.record import FAKE, REAL
from bench.errors import DataError

_SHOWN: Final = 5
# How tables write that a label is kept back, as in the test part of a competition.
_HIDDEN: Final = frozenset(
    {"", "-1", "?", "none", "null", "nan", "hidden", "unlabeled", "unlabelled"}
)
# Names of folders and generators that leave no doubt; "human" and "original" are kinds of content too.
_PLAIN_WORDS: Final = {
    "real": REAL, "reals": REAL, "0_real": REAL, "fake": FAKE, "fakes": FAKE, "1_fake": FAKE,
}  # fmt: skip


class _Row(Protocol):
    @property
    def origin(self) -> str: ...
    @property
    def locator(self) -> str: ...
    @property
    def values(self) -> Mapping[str, Any]: ...


def is_held_back(value: Any) -> bool:
    """Whether a cell is one of the ways to say that a label is not given."""
    return cell_text(value).lower() in _HIDDEN


@dataclass(slots=True)
class Doubt:
    """Labels 0 and 1 against folders that say real and fake: a table may have them the other way round."""

    agree: int = 0
    disagree: dict[int, str] = field(default_factory=dict)
    disagreeing: int = 0
    fakes: int = 0
    fakes_called_real: int = 0

    def see(self, meaning: int, value: Any, row: _Row) -> None:
        """Compare one label with the words in the image's path."""
        if cell_text(value).lower() not in {"0", "1", "true", "false"}:
            return
        if meaning == FAKE:
            self.fakes += 1
            generator = cell_text(row.values.get("generator")).lower()
            self.fakes_called_real += _PLAIN_WORDS.get(generator) == REAL
        folders = PurePosixPath(row.locator).parts[:-1]
        words = {_PLAIN_WORDS[part.lower()] for part in folders if part.lower() in _PLAIN_WORDS}
        if len(words) != 1:
            return
        if words == {meaning}:
            self.agree += 1
        else:
            self.disagreeing += 1
            self.disagree.setdefault(
                meaning, f"{row.locator} is labelled {cell_text(value)} ({row.origin})"
            )

    def check(self, where: str) -> None:
        """Refuse labels that are the other way round for both classes and nearly all images.

        Raises:
            DataError: asks which value means AI-generated.
        """
        if self.fakes and self.fakes_called_real == self.fakes:
            raise DataError(
                f"{where} names the generator of all {self.fakes} images labelled AI-generated `real`: state "
                "which value means AI-generated, with --columns fake=0 or --columns fake=1"
            )
        if len(self.disagree) == 2 and self.disagreeing > 9 * self.agree:
            raise DataError(
                f"{where} says the opposite of the folders: {'; '.join(self.disagree.values())}; state "
                "which value means AI-generated, with --columns fake=0 or --columns fake=1"
            )


@dataclass(slots=True)
class UnreadableLabels:
    """Values that are no label: how many rows hold one, and the first few with their rows."""

    count: int = 0
    origins: dict[str, str] = field(default_factory=dict)
    held_back: dict[str, tuple[Any, _Row]] = field(default_factory=dict)

    def hold_back(self, value: Any, row: _Row, split: str) -> None:
        """Note a label that is kept back: whether that is an error depends on the rest of its split."""
        self.held_back.setdefault(split, (value, row))

    def ask_for(self, split: str, count: int) -> None:
        """Count the labels that are kept back in a split as unreadable."""
        self.add(*self.held_back[split])
        self.count += count - 1

    def add(self, value: Any, row: _Row) -> None:
        """Count a label that says nothing."""
        self.count += 1
        if len(self.origins) < _SHOWN:
            self.origins.setdefault(shown(value), row.origin)

    def message(self, label: LabelColumn, where: str) -> str:
        """Say what stands in the column, and the way out."""
        values = ", ".join(f"{value} ({origin})" for value, origin in self.origins.items())
        more = f", in {self.count} rows in all" if self.count > len(self.origins) else ""
        problem = f"{where}: column `{label.name}` holds {values}{more}"
        if label.fake or label.real:
            return f"{problem}, of which --columns says nothing: name the values of both fake= and real="
        if label.classes:
            classes = ", ".join(label.classes)
            return (
                f"{problem}; its classes are {classes}: rename them to {LABEL_EXAMPLES}, or state "
                "what they mean with --columns 'fake=VALUE|VALUE,real=VALUE'"
            )
        if not label.numbers:
            return (
                f"{problem}, and the file does not say which number is AI-generated: name the "
                "column `is_ai` if 1 is, write words (real / fake), or state it with --columns fake=1 (or "
                "fake=0)"
            )
        return (
            f"{problem}: write 1 or 0, or words such as {LABEL_EXAMPLES}, or state which values mean "
            "AI-generated and real with --columns 'fake=VALUE,real=VALUE'"
        )
