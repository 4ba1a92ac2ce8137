"""What a layout is: from the names of files alone to a label, a generator, a domain and a split.

One file adds a layout: subclass `FolderLayout` where each folder has one meaning (most data sets),
or `Layout` for anything else, and end the module with a literal ``LAYOUTS = {"name": Mine()}``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from bench.datasets.record import FAKE, REAL
from bench.datasets.sources.tree import FileStat, Folder, Tree

__all__ = [
    "SHARED_REAL",
    "UNKNOWN",
    "DataCard",
    "Entry",
    "FileStat",
    "Folder",
    "FolderLayout",
    "Layout",
    "Match",
    "Place",
    "Tree",
]

UNKNOWN = "unknown"  # the generator of fakes whose data set names none
SHARED_REAL = "real"  # the source of reals whose data set names none


@dataclass(frozen=True, slots=True)
class DataCard:
    """Whose work a published data set is.

    Attributes:
        reference: authors, title, venue and where to read it, in one line.
        licence: what the authors state, or that they state none.
        citation: BibTeX, one entry.
    """

    reference: str
    licence: str
    citation: str


@dataclass(frozen=True, slots=True)
class Match:
    """A layout that reads a tree.

    Attributes:
        specificity: the highest wins; two at the same height are an ambiguity. Plain words have
            10, folders of published data sets 20 or 30, tables and Parquet 35 to 50.
        description: what was recognised, for the user.
        dataset: name of the data set where the layout is that of one; "" for the folder's name.
    """

    specificity: int
    description: str
    dataset: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """What a folder says about the images in it.

    Attributes:
        label: 1 = AI-generated, 0 = real.
        generator: generator of the fakes, or name of the source of the reals.
        domain: kind of content or place of delivery, or "".
        split: ``train``, ``val``, ``test`` or "".
        belongs: for reals, the one generator they are compared with; "" = shared by all.
    """

    label: int
    generator: str
    domain: str = ""
    split: str = ""
    belongs: str = ""

    @classmethod
    def of_generator(
        cls,
        label: int,
        generator: str,
        *,
        domain: str = "",
        split: str = "",
        source: str = SHARED_REAL,
    ) -> Place:
        """Describe the fakes of a generator, or the reals that lie beside them.

        Args:
            label: 1 = AI-generated, 0 = real.
            generator: name of the generator, or `UNKNOWN`. Reals beside a named generator are
                compared with it alone; beside an unnamed one they are shared by all.
            domain: kind of content or place of delivery, or "".
            split: ``train``, ``val``, ``test`` or "".
            source: name of the reals.
        """
        if label == FAKE:
            return cls(FAKE, generator, domain, split)
        if generator == UNKNOWN:
            return cls(REAL, source, domain, split)
        return cls(REAL, f"{generator}/{source}", domain, split, belongs=generator)


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of a layout, before its file is opened.

    Attributes:
        sample_id: POSIX path relative to the root, or the table's own id.
        locator: where the bytes are: a path relative to the root, or ``file.parquet#row``.
        label: 1 = AI-generated, 0 = real.
        generator: generator of a fake, or name of the source of a real image.
        domain: kind of content or place of delivery, or "".
        split: ``train``, ``val``, ``test`` or "".
        group: source photograph or prompt; "" for the image itself.
        belongs: for reals, the one generator they are compared with; "" = shared by all.
        control: for reals: compared with no generator; only how often it is called fake is shown.
        free: what else the data set says of the image, by name: kept, and no part of its identity.
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
    free: Mapping[str, str] = field(default_factory=dict)


class Layout(ABC):
    """One way in which data sets lie on disk.

    ``automatic = False`` keeps a layout for users who name it; ``card`` says whose data set it is,
    where it is that of one; ``reads_columns`` says that it minds what users say of columns.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    automatic: ClassVar[bool] = True
    card: ClassVar[DataCard | None] = None
    reads_columns: ClassVar[bool] = False

    @abstractmethod
    def match(self, tree: Tree) -> Match | None:
        """Say whether the tree is laid out this way; None where any image would be left over."""

    @abstractmethod
    def entries(self, tree: Tree) -> Iterable[Entry]:
        """List every image, in any order; asked also where the user names the layout.

        Raises:
            DataError: a table with a value that has no meaning.
        """

    def pairing(self, entries: Sequence[Entry]) -> dict[str, tuple[str, ...]]:
        """Pair each generator with the real sources it is compared with.

        These are its own and the shared ones; a source of controls is compared with none.
        """
        sources: dict[str, set[str]] = {e.generator: set() for e in entries if e.label == FAKE}
        reals = [e for e in entries if e.label == REAL and not e.control]
        shared = {e.generator for e in reals if not e.belongs}
        for entry in reals:
            if entry.belongs in sources:
                sources[entry.belongs].add(entry.generator)
        return {name: tuple(sorted(sources[name] | shared)) for name in sorted(sources)}

    def left_out(self, tree: Tree) -> Iterator[tuple[str, str]]:  # noqa: ARG002
        """List (path, reason) of images that the layout has no place for: here none."""
        return iter(())


class FolderLayout(Layout):
    """A layout in which the folder of an image says everything about it."""

    specificity: ClassVar[int]
    dataset: ClassVar[str] = ""

    @abstractmethod
    def places(self, tree: Tree) -> Mapping[Folder, Place]:
        """Say what the folders mean: names relative to the root -> label, generator and so on.

        Folders without a meaning in this layout are left out.
        """

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
        """List the files of the placed folders, whatever their suffix: their header decides."""
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
        """List images outside the placed folders (there are some only if the user named us)."""
        places = self.places(tree)
        for folder in tree.image_folders:
            if folder not in places:
                for file in tree.folders[folder]:
                    yield file.path, f"outside the folders of the layout {self.name}"
