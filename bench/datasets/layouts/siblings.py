"""Generators beside one ``real`` folder, as in RAID and ELSA-D3: ``[split/]{real,<generator>...}``."""

from __future__ import annotations

from collections.abc import Mapping

from bench.datasets.layouts.base import SHARED_REAL, Folder, FolderLayout, Place, Tree, take_split
from bench.datasets.layouts.words import label_of
from bench.datasets.record import FAKE, REAL


class Siblings(FolderLayout):
    """``[split/]real`` and ``[split/]<generator>``: whatever is not real is a generator.

    That is a guess about folders which do not say what they are, so the user has to make it.
    """

    name = "siblings"
    summary = "real beside <generator> folders: every folder but `real` is a generator (state it)"
    specificity = 0
    automatic = False

    def places(self, tree: Tree) -> Mapping[Folder, Place]:
        """Place folders by their first name below the split; nothing where none means real."""
        found: dict[Folder, Place] = {}
        for folder in tree.folders:
            context = take_split(folder[:2])
            if context is None or not context[0]:
                continue
            name, split = context[0][0], context[1]
            if label_of(name) == REAL:
                found[folder] = Place(REAL, SHARED_REAL, split=split)
            else:
                found[folder] = Place(FAKE, name, split=split)
        return found if any(p.label == REAL for p in found.values()) else {}


LAYOUTS = {"siblings": Siblings()}
