"""What a layout is: from the names of files alone to a label, a generator, a domain and a split.

One file adds a layout: subclass `FolderLayout` where each folder has one meaning (most data sets),
or `Layout` for anything else, and end the module with a literal ``LAYOUTS = {"name": Mine()}``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from bench.datasets.layouts.words import label_of, split_of
from bench.datasets.record import FAKE, REAL
from bench.datasets.sources.scan import FileStat, Folder, Tree

__all__ = [
    "SHARED_REAL",
    "UNKNOWN",
    "Entry",
    "FileStat",
    "Folder",
    "FolderLayout",
    "Labelled",
    "Layout",
    "Match",
    "Place",
    "Tree",
    "labelled",
    "real_place",
    "take_split",
]

UNKNOWN = "unknown"  # the generator of fakes whose data set names none
SHARED_REAL = "real"  # the source of reals whose data set names none


@dataclass(frozen=True, slots=True)
class Match:
    """A layout that reads a tree.

    Attributes:
        specificity: the highest wins; two at the same height are an ambiguity.
        says: what was recognised, for the user.
        dataset: name of the data set where the layout is that of one; "" for the folder's name.
    """

    specificity: int
    says: str
    dataset: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """What a folder says about the images in it.

    Attributes:
        label: 1 = AI-generated, 0 = real.
        generator: generator of the fakes, or name of the source of the reals.
        domain: or "".
        split: ``train``, ``val``, ``test`` or "".
        belongs: for reals, the one generator they are compared with; "" = shared by all.
    """

    label: int
    generator: str
    domain: str = ""
    split: str = ""
    belongs: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One image a layout found, before anyone opened it; fields as in `Place` and the record.

    Attributes:
        control: for reals: compared with no generator; only how often it is called fake is shown.
    """

    sample_id: str
    locator: str
    label: int
    generator: str
    domain: str = ""
    split: str = ""
    group: str = ""
    belongs: str = ""
    control: bool = False


class Layout(ABC):
    """One way in which data sets lie on disk."""

    name: ClassVar[str]
    summary: ClassVar[str]
    automatic: ClassVar[bool] = True  # False: used only where the user names it

    @abstractmethod
    def match(self, tree: Tree) -> Match | None:
        """Whether the tree is laid out this way; None where any image would be left over."""

    @abstractmethod
    def entries(self, tree: Tree) -> Iterable[Entry]:
        """Every image, in any order; asked also where the user names the layout.

        Raises:
            DataError: a table with a value that has no meaning.
        """

    def pairing(self, entries: Sequence[Entry]) -> dict[str, tuple[str, ...]]:
        """Which real sources each generator is compared with: its own, then the shared ones.

        A source of controls alone is compared with none.
        """
        own: dict[str, set[str]] = {e.generator: set() for e in entries if e.label == FAKE}
        shared: set[str] = set()
        for entry in entries:
            if entry.control:
                continue
            if entry.label == REAL and not entry.belongs:
                shared.add(entry.generator)
            elif entry.label == REAL:
                own.setdefault(entry.belongs, set()).add(entry.generator)
        fakes = {e.generator for e in entries if e.label == FAKE}
        return {g: tuple(sorted(own[g] | shared)) for g in sorted(fakes)}

    def left_out(self, tree: Tree) -> Iterator[tuple[str, str]]:  # noqa: ARG002
        """(path, reason) of images in the tree that the layout has no place for: here none."""
        return iter(())


class FolderLayout(Layout):
    """A layout in which the folder of an image says everything about it."""

    specificity: ClassVar[int]
    dataset: ClassVar[str] = ""

    @abstractmethod
    def places(self, tree: Tree) -> Mapping[Folder, Place]:
        """The folders (parts relative to the root) that have a meaning in this layout."""

    def match(self, tree: Tree) -> Match | None:
        """Match where every folder that holds images has a place."""
        if not self.automatic or not self.covers(tree):
            return None
        return Match(self.specificity, self.summary, self.dataset)

    def covers(self, tree: Tree) -> bool:
        """Whether every folder that holds images has a place, and there is one."""
        places = self.places(tree)
        return bool(places) and all(folder in places for folder in tree.image_folders)

    def entries(self, tree: Tree) -> Iterator[Entry]:
        """The files of the placed folders, whatever their suffix: their header decides."""
        for folder, place in self.places(tree).items():
            for file in tree.folders[folder]:
                yield Entry(
                    sample_id=file.path,
                    locator=file.path,
                    label=place.label,
                    generator=place.generator,
                    domain=place.domain,
                    split=place.split,
                    belongs=place.belongs,
                )

    def left_out(self, tree: Tree) -> Iterator[tuple[str, str]]:
        """Images outside the placed folders (possible only where the user named the layout)."""
        places = self.places(tree)
        for folder in tree.image_folders:
            if folder not in places:
                for file in tree.folders[folder]:
                    yield file.path, f"outside the folders of the layout {self.name}"


@dataclass(frozen=True, slots=True)
class Labelled:
    """A folder's parts around the one that says real or fake."""

    before: Folder
    word: str
    label: int
    after: Folder


def labelled(folder: Folder, reads: Callable[[str], int | None] = label_of) -> Labelled | None:
    """Split a folder at its label word; None where it has none, or two that contradict."""
    hits = [(i, label) for i, part in enumerate(folder) if (label := reads(part)) is not None]
    if not hits or len({label for _, label in hits}) > 1:
        return None
    at, label = hits[0]
    return Labelled(folder[:at], folder[at], label, folder[at + 1 :])


def take_split(parts: Folder) -> tuple[Folder, str] | None:
    """The parts without the one that names a split, and that split; None where two do."""
    hits = [i for i, part in enumerate(parts) if split_of(part)]
    if len(hits) > 1:
        return None
    if not hits:
        return parts, ""
    at = hits[0]
    return parts[:at] + parts[at + 1 :], split_of(parts[at]) or ""


def real_place(generator: str, domain: str, split: str, word: str = SHARED_REAL) -> Place:
    """Reals beside the fakes of a generator: theirs alone, or shared where it has no name."""
    if generator == UNKNOWN:
        return Place(REAL, word, domain, split)
    return Place(REAL, f"{generator}/{word}", domain, split, belongs=generator)
