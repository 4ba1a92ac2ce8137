"""Folders in plain words: ``<generator>/{real,fake}`` or ``{real,fake}``, in any usual spelling.

A split folder may lie above or below the label; folders below it are kinds of content.
"""

from __future__ import annotations

from collections.abc import Mapping

from bench.datasets.layouts.base import (
    UNKNOWN,
    Folder,
    FolderLayout,
    Place,
    Tree,
    labelled,
    real_place,
    take_split,
)
from bench.datasets.record import FAKE, REAL


class Generic(FolderLayout):
    """``[split/]<generator>/{real,fake}`` and ``[split/]{real,fake}``."""

    name = "generic"
    summary = "<generator>/{real,fake} or {real,fake}, with optional split folders"
    specificity = 10

    def places(self, tree: Tree) -> Mapping[Folder, Place]:
        """Place every folder with one label word and at most one generator above it."""
        if generators_below(tree):
            return {}
        found: dict[Folder, Place] = {}
        for folder in tree.folders:
            place = _place(folder)
            if place is not None:
                found[folder] = place
        return found


def _place(folder: Folder) -> Place | None:
    parts = labelled(folder)
    if parts is None:
        return None
    context = take_split(parts.before + parts.after[:1])
    if context is None:
        return None
    _, split = context
    above = take_split(parts.before)
    if above is None or len(above[0]) > 1:
        return None
    generator = above[0][0] if above[0] else UNKNOWN
    if parts.label == FAKE:
        return Place(FAKE, generator, split=split)
    return real_place(generator, "", split)


def generators_below(tree: Tree) -> bool:
    """Whether the folders below ``fake`` are generators rather than kinds of content.

    They are where no generator stands above the label and none of them has a namesake below
    ``real``: kinds of content would be on both sides.
    """
    below: dict[int, set[str]] = {REAL: set(), FAKE: set()}
    for folder in tree.image_folders:
        parts = labelled(folder)
        if parts is None:
            continue
        above, after = take_split(parts.before), take_split(parts.after)
        if above is None or above[0] or after is None:
            return False
        below[parts.label].update(after[0][:1])
    return bool(below[FAKE]) and not below[FAKE] & below[REAL]


LAYOUTS = {"generic": Generic()}
