"""Which column of a table of scores says what, by the names that people and challenges use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from bench.datasets.layouts.columns import LABEL_COLUMNS
from bench.errors import BenchError
from bench.store.run_spec import ScoreKind
from bench.store.shards import ATTACK_COLUMNS

# Columns that only our own files have.
STATUS, REASON, FACTS = "status", "reason", "facts"
_PATHS: Final = (
    "path", "image_name", "filename", "file_name", "file", "image", "image_path", "img_path", "img",
)  # fmt: skip
_NAMED: Final[dict[str, ScoreKind]] = {
    **dict.fromkeys(("logit", "logits"), "logit"),
    **dict.fromkeys(
        ("probability", "prob", "pred", "p_fake", "prob_fake", "fake_prob", "fake_probability",
         "ai_probability", "ai_prob"),
        "probability",
    ),
    **dict.fromkeys(("verdict", "predicted_label", "pred_label"), "verdict"),
}  # fmt: skip
_ASKED: Final = ("score", "scores")
# A column of these words alone, with one that means real, is a score and no detector's name.
_REAL: Final = frozenset(
    ("real", "realness", "human", "authentic", "genuine", "natural", "nature", "pristine")
)
_SCORING: Final = frozenset(
    ("p", "prob", "probability", "proba", "pred", "prediction", "score", "scores", "logit", "logits", "z",
     "confidence", "conf", "likelihood", "percent", "class", "is", "of", "model", "output", "sigmoid",
     "softmax")
)  # fmt: skip
_OF_THE_DATA: Final = ("generator", "domain", "split", "group", "control")


@dataclass(frozen=True, slots=True)
class Source:
    """A column of scores.

    Attributes:
        column: Name of the column in the file.
        kind: What its name says that it holds; None where the name says nothing.
        detector: The detector whose scores they are, where the column is called after it; else "".
    """

    column: str
    kind: ScoreKind | None
    detector: str = ""


@dataclass(frozen=True, slots=True)
class Roles:
    """What the columns of a table of scores stand for; "" for a role that no column has.

    Attributes:
        sample_id: Column of the ids of images.
        path: Column of their paths or names.
        detector: Column of the detectors' names.
        condition: Column of the conditions.
        label: Column of the images' own labels.
        status: Column that says why a row has no score.
        reason: Column of the same in words.
        facts: Column of what else is known of a detector.
        attack: Columns of what an attack did, by the store's name for them.
        sources: The columns of scores, at least one.
    """

    sample_id: str
    path: str
    detector: str
    condition: str
    label: str
    status: str
    reason: str
    facts: str
    attack: dict[str, str]
    sources: tuple[Source, ...]


def recognise(columns: Sequence[str], where: str, asked: ScoreKind | None) -> Roles:
    """Find out what the columns of a table stand for.

    Args:
        columns: Their names in the file.
        where: Name of the file, for messages.
        asked: What the user says the scores are.

    Raises:
        BenchError: No column names images, or holds scores, or several may.
    """
    by_name = {_plain(column): column for column in reversed(columns) if column.strip()}
    path = next((by_name[name] for name in _PATHS if name in by_name), "")
    if not path and "sample_id" not in by_name:
        raise BenchError(
            f"{where} names no image (columns: {', '.join(columns) or 'none'}): add a column `path` or "
            "`sample_id`"
        )
    sources = _sources(by_name, where, asked)
    _refuse_real(sources, where)
    label = next((by_name[name] for name in LABEL_COLUMNS if name in by_name), "")
    return Roles(
        sample_id=by_name.get("sample_id", ""),
        path=path,
        detector=by_name.get("detector", ""),
        condition=by_name.get("condition", ""),
        label="" if label in {source.column for source in sources} else label,
        status=by_name.get(STATUS, ""),
        reason=by_name.get(REASON, ""),
        facts=by_name.get(FACTS, ""),
        attack={name: by_name[name] for name in ATTACK_COLUMNS if name in by_name},
        sources=sources,
    )


def _sources(by_name: dict[str, str], where: str, asked: ScoreKind | None) -> tuple[Source, ...]:
    named = [Source(by_name[name], kind) for name, kind in _NAMED.items() if name in by_name]
    chosen = [source for source in named if source.kind == asked] if len(named) > 1 else named
    if len(chosen) == 1:
        return tuple(chosen)
    if named:
        columns = ", ".join(f"`{source.column}`" for source in named)
        raise BenchError(
            f"{where} has more than one column of scores ({columns}): keep one, or choose by --scores"
        )
    plain = [by_name[name] for name in _ASKED if name in by_name]
    if len(plain) == 1:
        return (Source(plain[0], None),)
    others = [column for name, column in by_name.items() if not _is_known(name)]
    if others and "detector" not in by_name:
        return tuple(Source(column, None, column.strip()) for column in reversed(others))
    if "label" in by_name and not others and not _names_data(by_name):
        return (Source(by_name["label"], "verdict"),)
    raise BenchError(
        f"{where} has no column of scores (columns: {', '.join(reversed(by_name.values()))}): call it "
        "`logit` or `probability`"
    )


def _refuse_real(sources: Sequence[Source], where: str) -> None:
    """Refuse scores that grow towards real by their name: every verdict would be turned round.

    Raises:
        BenchError: If there are any.
    """
    for source in sources:
        words = set(_plain(source.column).split("_"))
        if words & _REAL and words <= _REAL | _SCORING:
            raise BenchError(
                f"{where}: `{source.column}` is a score of *real* by its name, and scores must grow towards "
                "AI-generated: leave the column out, or write 1 - p (of a logit, -z) under the name "
                "`probability` (`logit`)"
            )


def _names_data(names: Iterable[str]) -> bool:
    """Whether the table describes images rather than what a detector said of them."""
    return any(name in _OF_THE_DATA for name in names)


def _is_known(name: str) -> bool:
    ours = ("sample_id", "detector", "condition", STATUS, REASON, FACTS, "threshold", "sha256")
    known = (*ours, *_PATHS, *_NAMED, *_ASKED, *_OF_THE_DATA, *LABEL_COLUMNS, *ATTACK_COLUMNS)
    return name in known or re.fullmatch(r"unnamed:_\d+|index|id", name) is not None


def _plain(name: str) -> str:
    return re.sub(r"[\s\-]+", "_", name.strip().lower())
