"""Generators beside one ``real`` folder, as in RAID and ELSA-D3: ``[split/]{real,<generator>...}``."""

from __future__ import annotations

from collections.abc import Mapping

from bench.datasets.layouts.base import SHARED_REAL, Folder, FolderLayout, Place, Tree
from bench.datasets.layouts.folder_names import splits_in, without_splits
from bench.datasets.layouts.words import label_of
from bench.datasets.record import FAKE, REAL


class Siblings(FolderLayout):
    """Folders ``[split/]real`` and ``[split/]<generator>``: whatever is not real is a generator.

    That is a guess about folders which do not say what they are, so the user has to make it.
    """

    name = "siblings"
    summary = "real beside <generator> folders: every folder but `real` is a generator (state it)"
    specificity = 0
    automatic = False

    def places(self, tree: Tree) -> Mapping[Folder, Place]:
        """Place folders by their first name below the split; nothing where none means real."""
        places: dict[Folder, Place] = {}
        for folder in tree.folders:
            names, splits = without_splits(folder[:2]), splits_in(folder[:2])
            if not names:
                continue
            split = splits[0] if splits else ""
            if label_of(names[0]) == REAL:
                places[folder] = Place(REAL, SHARED_REAL, split=split)
            else:
                places[folder] = Place(FAKE, names[0], split=split)
        return places if any(place.label == REAL for place in places.values()) else {}


LAYOUTS = {"siblings": Siblings()}
