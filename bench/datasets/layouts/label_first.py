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
    labelled,
    take_split,
)
from bench.datasets.layouts.generic import generators_below
from bench.datasets.record import FAKE


class LabelFirst(FolderLayout):
    """``[split/]fake/<generator>`` and ``[split/]real[/<source>]``; all reals are shared."""

    name = "label-first"
    summary = "fake/<generator> and real[/<source>]: reals shared by all generators"
    specificity = 10

    def match(self, tree: Tree) -> Match | None:
        """Match only where the folders below ``fake`` have no namesake below ``real``."""
        return super().match(tree) if generators_below(tree) else None

    def places(self, tree: Tree) -> Mapping[Folder, Place]:
        """Place every folder whose label word stands first, a split aside."""
        found: dict[Folder, Place] = {}
        for folder in tree.folders:
            parts = labelled(folder)
            context = take_split(parts.before + parts.after) if parts else None
            if parts is None or context is None or (take_split(parts.before) or ((), ""))[0]:
                continue
            names, split = context
            nameless = UNKNOWN if parts.label == FAKE else SHARED_REAL
            found[folder] = Place(parts.label, names[0] if names else nameless, split=split)
        return found


LAYOUTS = {"label-first": LabelFirst()}
