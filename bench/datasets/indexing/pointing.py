"""Where to point instead: a level or two below or above what the user named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import Final

from bench.datasets.layouts import builtin_layouts
from bench.datasets.layouts.words import label_of
from bench.datasets.record import FAKE
from bench.datasets.sources.tree import Files, Folder, Tree
from bench.errors import DataError
from bench.support.objects.place import Place

_SHOWN: Final = 4
_LEVELS: Final = 6  # how far below is looked
_LOOKED_AT: Final = 32  # folders of a level


def place_above(root: Place) -> str:
    """Name the folder that holds both classes, where the user is inside one of them; "" otherwise."""
    for folder in (root, root.parent, root.parent.parent):
        if label_of(folder.name) is not None:
            levels = "the folder above it" if folder == root else "a folder further up"
            reals = (
                ", or name the real images with --reals PATH"
                if label_of(folder.name) == FAKE
                else ""
            )
            return f"that folder holds one class only: point at {levels}, {folder.parent}{reals}"
    return ""


def place_below(tree: Tree) -> str:
    """Name the folders that a layout reads, on the first level where one does; "" where none does."""
    if tree.single or tree.archived:
        return ""
    level: list[Folder] = [()]
    for _ in range(_LEVELS):
        level = sorted(
            {f[: len(p) + 1] for p in level for f in tree.image_folders if _inside(f, p)}
        )
        if not level or len(level) > _LOOKED_AT:
            return ""
        readable = [folder for folder in level if _is_read(_subtree(tree, folder))]
        if readable:
            names = [str(tree.root.joinpath(*folder)) for folder in readable]
            if len(names) == 1:
                return f"{names[0]} can be read: point at it"
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            return f"each of {', '.join(names[:_SHOWN])}{more} can be read by itself: point at one of them"
    return ""


def _inside(folder: Folder, above: Folder) -> bool:
    return len(folder) > len(above) and folder[: len(above)] == above


def _subtree(tree: Tree, folder: Folder) -> Tree:
    """Look at a tree from one of its folders."""
    prefix = "/".join(folder)
    listing = [
        Files(files.folder[len(prefix) + 1 :], files.names, files.sizes, files.times)
        for files in tree.listing
        if PurePosixPath(files.folder).parts[: len(folder)] == folder
    ]
    return replace(tree, root=tree.root / prefix, listing=tuple(listing), unreadable=())


def _is_read(tree: Tree) -> bool:
    try:
        labels = {
            entry.label
            for layout in builtin_layouts().values()
            if layout.match(tree) is not None
            for entry in layout.entries(tree)
        }
    except DataError:
        return False
    return len(labels) == 2
