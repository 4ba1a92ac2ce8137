"""What of a data set makes numbers unusable, or must be known beside them: in words, the worst first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from bench.audit.copies.duplicates import (
    ALIKE,
    CONFLICT,
    GENERATORS,
    OTHER_SET,
    REPEATS,
    SHARED_REALS,
    SPLITS,
    Copies,
)
from bench.audit.shortcuts import Shortcut
from leaderboards.tables.notes import Caution

Level = Literal["warning", "note"]

_MOST_NAMED: Final = 3
_ADVICE: Final = {
    "metadata": "A detector may have learned how the files were made, not how the pictures were. Score both "
    "classes alike (--equalise 'resize(size=256)+jpeg(quality=90)') before believing these numbers.",
    "bytes per pixel": "One class is packed further than the other: its encoder or its contents differ. "
    "Score both classes alike (--equalise 'resize(size=256)+jpeg(quality=90)') and compare.",
    "colour": "The classes differ in their colours: what is shown in them may differ, and a detector may "
    "have learned that.",
    "border": "The pictures of one class have a constant border. Crop both classes alike (--equalise "
    "'crop(fraction=0.9)') before believing these numbers.",
}
_EQUALISED_ADVICE: Final = {
    "metadata": "The chain leaves this standing: make all images one size and one shape (--equalise "
    "'resize(size=256)+crop(size=256)+jpeg(quality=90)').",
    "bytes per pixel": "The files are no longer the reason: the pictures of one class are smoother, or the "
    "chain leaves traces of how they were made.",
    "border": "The chain leaves this standing: crop more of both classes (crop(fraction=0.8)).",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that the audit found out.

    Attributes:
        level: ``warning`` where numbers made with this data must not be taken at face value.
        caution: What it is, and what to do.
    """

    level: Level
    caution: Caution


def shortcut_findings(
    shortcuts: Sequence[Shortcut], *, equalised: bool = False
) -> Iterator[Finding]:
    """Warn of every baseline that tells real from fake beyond chance.

    Args:
        shortcuts: Baselines and features alone.
        equalised: Whether they were learnt from images that were equalised first.
    """
    for shortcut in shortcuts:
        if shortcut.warns and ": " not in shortcut.name:
            alone = [
                s for s in shortcuts if s.name.startswith(f"{shortcut.name}: ") and s.auc.warns
            ]
            advice = _ADVICE[shortcut.name]
            if equalised and shortcut.name in _EQUALISED_ADVICE:
                advice = _EQUALISED_ADVICE[shortcut.name]
            yield Finding("warning", _shortcut_caution(shortcut, alone, advice))


def _shortcut_caution(shortcut: Shortcut, alone: Sequence[Shortcut], advice: str) -> Caution:
    auc = shortcut.auc
    where = ""
    if not auc.warns:
        parts = sorted(
            (g for g in shortcut.generators if g.auc.warns), key=lambda g: -g.auc.judged_lo
        )
        auc = parts[0].auc
        names = ", ".join(part.generator for part in parts[:_MOST_NAMED])
        more = ", ..." if len(parts) > _MOST_NAMED else ""
        where = f" at most, in {len(parts)} generators ({names}{more})"
    by = ""
    if alone:
        ranked = sorted(alone, key=lambda s: -s.auc.value)[:_MOST_NAMED]
        named = [f"{s.name.partition(': ')[2]} {s.auc.value:.2f}" for s in ranked]
        by = f" (alone: {', '.join(named)})"
    return Caution(
        code=f"shortcut: {shortcut.name}",
        title=f"WARNING: {shortcut.name} alone tells real from fake with AUC {auc.value:.2f} "
        f"[{auc.lo:.2f}, {auc.hi:.2f}]{where}{by}",
        advice=advice,
    )


def copy_findings(copies: Copies) -> Iterator[Finding]:
    """Warn of copies that spoil numbers, and note the others."""
    sentences = (
        (CONFLICT, "warning", "stand in both classes",
         "One of the two labels is wrong, whatever a detector says. Mend the data, or leave them out "
         "(--drop-duplicates)."),
        (OTHER_SET, "warning", "are also in the data set they are held against",
         "A detector that was trained on that set has seen them: leave them out."),
        (SPLITS, "warning", "have a copy in another split",
         "A detector that was trained on one split has seen images of the other."),
        (GENERATORS, "note", "stand under several generators",
         "They count for each of them."),
        (ALIKE, "note", "are much like an image of the other class",
         "Variations of a photograph are; where none was meant, a label may be wrong. Name what belongs "
         "together in the column group."),
        (REPEATS, "note", "repeat another image of their class",
         "They count more than once; --drop-duplicates leaves them out."),
        (SHARED_REALS, "note", "are real images that several generators are compared with",
         "That is how many benchmarks are made, and no leak."),
    )  # fmt: skip
    for relation, level, words, advice in sentences:
        kinds = {
            kind: n for kind in ("file", "pixels", "near", "mirrored") if (n := copies.images(relation, kind))
        }  # fmt: skip
        if kinds:
            total = sum(kinds.values())
            each = ", ".join(f"{n} {_KIND_WORDS[kind]}" for kind, n in kinds.items())
            title = f"{level.upper()}: {total} images {words} ({each}{_largest(copies, relation)})"
            yield Finding(
                "warning" if level == "warning" else "note",
                Caution(code=f"copies: {relation}", title=title, advice=advice),
            )
    if copies.split_groups:
        yield Finding(
            "warning",
            Caution(
                code="groups across splits",
                title=f"WARNING: {copies.split_groups} groups lie in several splits",
                advice="Images of one source photograph or prompt are on both sides: what was learnt from "
                "the one helps with the other.",
            ),
        )


def _largest(copies: Copies, relation: str) -> str:
    """Name the two places that most of it is about."""
    counts = [count for count in copies.counts if count.relation == relation]
    most = max(counts, key=lambda count: count.images)
    if most.where == most.copied_from:
        return f"; most in {most.where}"
    return f"; most: {most.images} of {most.where} in {most.copied_from}"


_KIND_WORDS: Final = {
    "file": "byte for byte",
    "pixels": "pixel for pixel",
    "near": "encoded anew or resized",
    "mirrored": "mirrored",
}


def metadata_findings(unreadable: int, says_generated: int, software: int) -> Iterator[Finding]:
    """Note what the metadata give away image by image, and what could not be read."""
    if says_generated or software:
        yield Finding(
            "note",
            Caution(
                code="metadata name the generator",
                title=f"NOTE: {max(software, says_generated)} images say in their metadata that, or by "
                "which software, they were generated",
                advice="No detector here reads metadata; a tool that does would need none.",
            ),
        )
    if unreadable:
        yield Finding(
            "note",
            Caution(
                code="images not described",
                title=f"NOTE: {unreadable} images could not be read again",
                advice="They changed or went after the data were indexed, and stand in no table here.",
            ),
        )
