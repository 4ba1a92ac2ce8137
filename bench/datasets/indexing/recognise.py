"""Which layout reads a tree: every one is asked, and the answer is never a guess."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from bench.datasets.indexing.pointing import place_above, place_below
from bench.datasets.layouts.base import FolderLayout, Layout, Match
from bench.datasets.layouts.columns import has_labels
from bench.datasets.layouts.generators import Generators
from bench.datasets.layouts.generic import Generic
from bench.datasets.layouts.siblings import Siblings
from bench.datasets.layouts.words import LABEL_EXAMPLES
from bench.datasets.record import FAKE
from bench.datasets.sources.names import suffix
from bench.datasets.sources.table_file import read_table
from bench.datasets.sources.tree import Folder, Tree
from bench.errors import DataError, NoImageError, nearest

_SHOWN: Final = 8


class Recognised(NamedTuple):
    """The layout of a tree, and what it recognised there."""

    layout: Layout
    match: Match


def recognise(
    tree: Tree, name: str, layouts: Mapping[str, Layout], *, reals_elsewhere: bool = False
) -> Recognised:
    """Choose the layout named, or the single most specific one that reads all of the tree.

    Args:
        tree: what lies there.
        name: a layout's name, or ``auto``.
        layouts: those to choose from, by name.
        reals_elsewhere: whether the user names real images beside the tree: folders that say nothing
            then hold AI-generated ones.

    Raises:
        DataError: an unknown name; nothing there; no layout, or more than one, reads the tree.
    """
    if name != "auto":
        if name not in layouts:
            raise DataError(f"unknown layout {name!r}: {nearest(name, ['auto', *layouts])}")
        return Recognised(layouts[name], Match(0, f"{layouts[name].summary} (as stated)"))
    if not len(tree):
        raise NoImageError(
            f"{tree.root} is empty, it holds no image and no table of images: check the path"
        )
    candidates = matching(tree, layouts)
    if not candidates and reals_elsewhere and tree.image_folders:
        fakes = Generators()
        candidates = [Recognised(fakes, Match(0, fakes.summary))]
    if not candidates:
        fault = DataError if tree.image_folders or tree.single else NoImageError
        raise fault(_nothing_reads(tree, layouts))
    best = max(candidate.match.specificity for candidate in candidates)
    winners = [candidate for candidate in candidates if candidate.match.specificity == best]
    if len(winners) > 1:
        names = " or ".join(winner.layout.name for winner in winners)
        raise DataError(
            f"{tree.root} can be read as {names} ({describe_folders(tree)}): state one with --layout"
        )
    return winners[0]


def matching(tree: Tree, layouts: Mapping[str, Layout]) -> list[Recognised]:
    """List the layouts that read all of a tree.

    Raises:
        DataError: a table that cannot be read.
    """
    return [
        Recognised(layout, match)
        for layout in layouts.values()
        if (match := layout.match(tree)) is not None
    ]


def describe_folders(tree: Tree) -> str:
    """Name the folders that hold images, with counts, as a clause for messages."""
    counts = sorted(tree.image_folders.items())
    listing = ", ".join(f"{_name(folder)} ({count})" for folder, count in counts[:_SHOWN])
    more = f" and {len(counts) - _SHOWN} more" if len(counts) > _SHOWN else ""
    return f"found images in {listing}{more}" if counts else "found no image"


def _nothing_reads(tree: Tree, layouts: Mapping[str, Layout]) -> str:
    """Say why no layout reads the tree, and the way out."""
    where = tree.place
    tables = ", ".join([file.path for file in tree.tables if _may_label(tree, file.path)][:3])
    if not tree.image_folders:
        hint = f"; it holds the tables {tables}: point at one of them" if tables else ""
        if tree.unreadable and not tables:
            path, reason = tree.unreadable[0]
            hint = f"; it holds {path}, {reason}"
        kind = "is no image table" if tree.single else "holds no image"
        advice = hint or (
            ": give a folder, an archive (.zip, .tar), or a .csv, .jsonl or .parquet table with the columns "
            "path,label"
            if tree.single
            else ": images end in .png, .jpg, .webp, .bmp, .tiff, .gif or .avif; check the path"
        )
        return f"{where} {kind} that bench can read{advice}"
    problem = f"no layout reads {where}: {describe_folders(tree)}"
    table = f" (or point at {tables})" if tables else ""
    list_them = f"list the images in a CSV with the columns path,label,generator{table}"
    if place := place_above(tree.root):
        return f"{problem}; {place}"
    if _only_real_is_named(tree):
        return (
            f"{problem}; if every folder beside the real one is a generator, state --layout siblings; "
            f"else {list_them}"
        )
    if leftover := _leftover(tree, layouts.values()):
        return (
            f"{problem}; {leftover} in no folder that says real or fake: move them, {list_them}, or "
            "state --layout NAME, which leaves them out and says so"
        )
    if place := place_below(tree):
        return f"{problem}; {place}, or {list_them}"
    return (
        f"{problem}; folders should say {LABEL_EXAMPLES}: state --layout NAME (see `bench ls layouts`), "
        f"name the real images with --reals PATH if all of these are AI-generated, or {list_them}"
    )


def _may_label(tree: Tree, path: str) -> bool:
    """Whether a table may say what is real: not one of prompts or captions alone, which has no label."""
    if suffix(path) == ".parquet" or tree.single:
        return True
    try:
        columns = read_table(tree.root / path, tree.table_bytes(path)).columns
    except DataError:
        return True  # pointing at it says what is wrong with it
    return has_labels(columns, tree.columns)


def _only_real_is_named(tree: Tree) -> bool:
    """Whether a real folder has only folders of unknown meaning beside it."""
    has_fakes = any(place.label == FAKE for place in Generic().places(tree).values())
    return Siblings().covers(tree) and not has_fakes


def _leftover(tree: Tree, layouts: Iterable[Layout]) -> str:
    """Name the fewest folders that keep a layout from reading the tree; "" if no layout is near."""
    leftovers: list[list[Folder]] = []
    for layout in layouts:
        if isinstance(layout, FolderLayout) and layout.automatic:
            places = layout.places(tree)
            if places:
                leftovers.append([f for f in tree.image_folders if f not in places])
    folders = min(leftovers, key=len, default=[])
    if not folders:
        return ""
    names = ", ".join(_name(folder) for folder in sorted(folders)[:_SHOWN])
    more = f" and {len(folders) - _SHOWN} more" if len(folders) > _SHOWN else ""
    count = sum(tree.image_folders[folder] for folder in folders)
    return f"{count} of them ({names}{more}) lie"


def _name(folder: Folder) -> str:
    return "/".join(folder) or "the top folder"
