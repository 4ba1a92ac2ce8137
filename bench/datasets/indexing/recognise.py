"""Which layout reads a tree: every one is asked, and the answer is never a guess."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from bench.datasets import layouts as package
from bench.datasets.layouts.base import FolderLayout, Layout, Match
from bench.datasets.layouts.words import WORDS_SAID, label_of
from bench.datasets.record import FAKE
from bench.datasets.sources.tree import Folder, Tree
from bench.errors import DataError, nearest

_SHOWN = 8


@cache
def builtin_layouts() -> Mapping[str, Layout]:
    """The layouts of `bench.datasets.layouts`, by name."""
    found: dict[str, Layout] = {}
    for module in pkgutil.iter_modules(package.__path__):
        loaded = importlib.import_module(f"{package.__name__}.{module.name}")
        found.update(getattr(loaded, "LAYOUTS", {}))
    return MappingProxyType(dict(sorted(found.items())))


def recognise(tree: Tree, name: str, layouts: Mapping[str, Layout]) -> tuple[Layout, Match]:
    """The layout of a tree: the one named, or the single most specific one that reads all of it.

    Args:
        tree: what lies there.
        name: a layout's name, or ``auto``.
        layouts: those to choose from, by name.

    Raises:
        DataError: an unknown name; nothing there; no layout, or more than one, reads the tree.
    """
    if name != "auto":
        if name not in layouts:
            raise DataError(f"unknown layout {name!r}: {nearest(name, ['auto', *layouts])}")
        return layouts[name], Match(0, f"{layouts[name].summary} (as stated)")
    if not len(tree):
        raise DataError(f"{tree.root} is empty: it holds no image and no table of images")
    matches = [(layout, m) for layout in layouts.values() if (m := layout.match(tree)) is not None]
    if not matches:
        raise DataError(_nothing(tree))
    best = max(match.specificity for _, match in matches)
    winners = [(layout, match) for layout, match in matches if match.specificity == best]
    if len(winners) > 1:
        names = " or ".join(layout.name for layout, _ in winners)
        raise DataError(
            f"{tree.root} can be read as {names} ({found_folders(tree)}): state one with --layout"
        )
    return winners[0]


def found_folders(tree: Tree) -> str:
    """The folders that hold images, with counts, as a clause for messages."""
    counts = sorted(tree.image_folders.items())
    listing = ", ".join(f"{_name(folder)} ({count})" for folder, count in counts[:_SHOWN])
    more = f" and {len(counts) - _SHOWN} more" if len(counts) > _SHOWN else ""
    return f"found images in {listing}{more}" if counts else "found no image"


def _nothing(tree: Tree) -> str:
    """Why no layout reads the tree, and the way out."""
    where = tree.root / tree.single
    tables = ", ".join(f.path for f in tree.tables[:3])
    if not tree.image_folders:
        hint = f"; it holds the tables {tables}: point at one of them" if tables else ""
        kind = "is no image table" if tree.single else "holds no image"
        return f"{where} {kind} that bench can read{hint}"
    said = f"no layout reads {where}: {found_folders(tree)}"
    table = f" (or point at {tables})" if tables else ""
    listed = f"list the images in a CSV with the columns path,label,generator{table}"
    if tree.root.name and label_of(tree.root.name) is not None:
        return f"{said}; that folder holds one class only: point at the folder above it"
    if _beside_real(tree):
        return (
            f"{said}; if every folder beside the real one is a generator, state --layout siblings; "
            f"else {listed}"
        )
    if leftover := _leftover(tree):
        return (
            f"{said}; {leftover} in no folder that says real or fake: move them, {listed}, or "
            "state --layout NAME, which leaves them out and says so"
        )
    return (
        f"{said}; folders should say {WORDS_SAID}: state --layout NAME (see `bench ls layouts`), "
        f"or {listed}"
    )


def _beside_real(tree: Tree) -> bool:
    """Whether a real folder has only folders of unknown meaning beside it."""
    siblings = builtin_layouts()["siblings"]
    generic = builtin_layouts()["generic"]
    if not isinstance(siblings, FolderLayout) or not isinstance(generic, FolderLayout):
        return False
    has_fakes = any(place.label == FAKE for place in generic.places(tree).values())
    return siblings.covers(tree) and not has_fakes


def _leftover(tree: Tree) -> str:
    """The few folders that keep a tree, otherwise read, from being read; "" if there is none."""
    best: list[Folder] | None = None
    for layout in builtin_layouts().values():
        placed = layout.places(tree) if isinstance(layout, FolderLayout) else {}
        if placed and layout.automatic:
            rest = [folder for folder in tree.image_folders if folder not in placed]
            best = rest if best is None or len(rest) < len(best) else best
    if not best:
        return ""
    names = ", ".join(_name(folder) for folder in sorted(best)[:_SHOWN])
    more = f" and {len(best) - _SHOWN} more" if len(best) > _SHOWN else ""
    count = sum(tree.image_folders[folder] for folder in best)
    return f"{count} of them ({names}{more}) lie"


def _name(folder: Folder) -> str:
    return "/".join(folder) or "the top folder"
