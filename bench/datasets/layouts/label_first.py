"""Generators below the label: ``fake/<generator>`` and ``real[/<source>]``."""

from __future__ import annotations

from collections.abc import Mapping

from bench.datasets.layouts.base import (
    SHARED_REAL,
    UNKNOWN,
    Folder,
    FolderLayout,
    Match,
    Place,
    Tree,
)
from bench.datasets.layouts.folder_names import find_label, splits_in, without_splits
from bench.datasets.layouts.generic import generators_below_label
from bench.datasets.record import FAKE


class LabelFirst(FolderLayout):
    """Folders ``[split/]fake/<generator>`` and ``[split/]real[/<source>]``; all reals are shared."""

    name = "label-first"
    summary = "fake/<generator> and real[/<source>]: reals shared by all generators"
    specificity = 10

    def match(self, tree: Tree) -> Match | None:
        """Match only where the folders below ``fake`` have no namesake below ``real``."""
        return super().match(tree) if generators_below_label(tree) else None

    def places(self, tree: Tree) -> Mapping[Folder, Place]:
        """Place every folder whose label stands first, a split aside."""
        places: dict[Folder, Place] = {}
        for folder in tree.folders:
            path = find_label(folder)
            if path is None or without_splits(path.parents):
                continue
            splits = splits_in(path.parents + path.children)
            if len(splits) > 1:
                continue
            names = without_splits(path.children)
            nameless = UNKNOWN if path.label == FAKE else SHARED_REAL
            places[folder] = Place(
                label=path.label,
                generator=names[0] if names else nameless,
                split=splits[0] if splits else "",
            )
        return places


LAYOUTS = {"label-first": LabelFirst()}
