"""Archives as folders: their members join the listing of what lies below a path.

An archive by itself is the folder. Of several, each is a folder called like it, unless it holds just
that folder, or they are numbered parts of one data set (``part1.zip``, ``images-002.tar``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from bench.datasets.sources.archive import Archive, ArchiveDamagedError, Member, list_archive
from bench.datasets.sources.names import (
    is_archive_name,
    is_image_name,
    is_other_archive_name,
    stem,
    suffix,
)
from bench.datasets.sources.tree import Files, FilesBuilder, Tree
from bench.errors import DataError

# What the parts of one data set are called beside their number.
_PART_WORDS: Final = frozenset(
    [
        "",
        "part",
        "shard",
        "split",
        "chunk",
        "image",
        "images",
        "img",
        "data",
        "train",
        "val",
        "test",
    ]
)


@dataclass(slots=True)
class _Listing:
    """Folders made of archives, in the making."""

    folders: dict[str, FilesBuilder] = field(default_factory=dict)
    loose: frozenset[str] = frozenset()
    archived: dict[str, Member] = field(default_factory=dict)
    unreadable: list[tuple[str, str]] = field(default_factory=list)


def with_archives(tree: Tree) -> Tree:
    """Let archives be folders, where a tree holds no loose image and no Parquet file.

    Where it does, archives are what the images came in, or something else: nobody asked for them.

    Raises:
        DataError: The user pointed at an archive that cannot be read.
    """
    archives = [file.path for file in tree.files if is_archive_name(file.path)]
    others = [file.path for file in tree.files if is_other_archive_name(file.path)]
    loose = any(is_image_name(file.path) or suffix(file.path) == ".parquet" for file in tree.files)
    if loose or not (archives or others):
        return tree
    listing = _Listing(loose=frozenset(file.path for file in tree.files))
    reason = "an archive, or a part of one, that is not read in place: unpack it"
    listing.unreadable += [(path, reason) for path in others]
    readable = _opened(tree, archives, listing)
    wrapped = _needs_folders(readable)
    for path, archive in readable.items():
        _add(listing, tree, path, archive, wrap=wrapped)
    files = [*tree.listing, *(builder.build() for builder in listing.folders.values())]
    return replace(
        tree,
        listing=tuple(sorted(_joined(files), key=lambda each: each.folder)),
        unreadable=tuple(sorted([*tree.unreadable, *listing.unreadable])),
        loose=listing.loose,
        archived=listing.archived,
    )


def _opened(tree: Tree, paths: Sequence[str], listing: _Listing) -> dict[str, Archive]:
    """List every archive that can be read; note those that cannot.

    Raises:
        DataError: It is the one that the user pointed at.
    """
    archives: dict[str, Archive] = {}
    for path in paths:
        try:
            archives[path] = list_archive(tree.root / path)
        except ArchiveDamagedError as error:
            if tree.archive:
                raise DataError(f"{tree.place} is {error}") from error
            listing.unreadable.append((path, str(error)))
        except OSError as error:
            if tree.archive:
                raise DataError(f"{tree.place} cannot be read ({error.strerror})") from error
            listing.unreadable.append((path, f"cannot be read ({error.strerror})"))
    return archives


def _needs_folders(archives: Mapping[str, Archive]) -> bool:
    """Whether archives would mix if each were not a folder of its own."""
    if len(archives) < 2:
        return False
    words = {re.sub(r"[\d\W_]+", "", stem(Path(path).name)).lower() for path in archives}
    if len(words) > 1 or not words <= _PART_WORDS:
        return True
    count = sum(len(archive.members) for archive in archives.values())
    return len({name for archive in archives.values() for name in archive.members}) < count


def _add(listing: _Listing, tree: Tree, path: str, archive: Archive, *, wrap: bool) -> None:
    """Make folders of one archive's members."""
    above, _, name = path.rpartition("/")
    tops = {member.partition("/")[0] for member in archive.members}
    if wrap and tops != {stem(name)}:
        above = f"{above}/{stem(name)}" if above else stem(name)
    stat = (tree.root / path).stat()
    for member, size in archive.sizes().items():
        inside, _, file = member.rpartition("/")
        folder = "/".join(filter(None, [above, inside]))
        place = f"{folder}/{file}" if folder else file
        if place in listing.loose:
            reason = "a name that a file beside its archive has as well: rename one"
            listing.unreadable.append((f"{path}::{member}", reason))
            continue
        where = listing.archived.setdefault(folder, Member(path, inside))
        if where != Member(path, inside):
            listing.archived[place] = Member(path, member)  # a part: others fill the same folder
        listing.folders.setdefault(folder, FilesBuilder(folder)).add(file, size, stat.st_mtime_ns)
    listing.unreadable += [
        ("::".join([path, member]), reason) for member, reason in archive.unreadable
    ]


def _joined(files: Sequence[Files]) -> list[Files]:
    """Put the files of a folder and those an archive adds to it together."""
    builders: dict[str, FilesBuilder] = {}
    for part in files:
        builder = builders.setdefault(part.folder, FilesBuilder(part.folder))
        for file in part:
            builder.add(file.path.rpartition("/")[2], file.size, file.mtime_ns)
    return [builder.build() for builder in builders.values()]
