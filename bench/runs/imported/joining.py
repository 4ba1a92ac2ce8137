"""Names of images in somebody's table to the images of a data set: exactly, or not at all."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from bench.datasets.manifest import Manifest
from leaderboards.render.csv import unguard

_AMBIGUOUS: Final = -1


class Match(NamedTuple):
    """The image that a name stands for.

    Attributes:
        row: Its row of the manifest; None where there is none, or the image cannot be used.
        fault: Why there is none; "" where there is one, or it cannot be used by any detector.
    """

    row: int | None
    fault: str = ""


NO_IMAGE: Final = Match(None, "no such image")
SEVERAL: Final = Match(None, "several images of that name")
UNUSABLE: Final = Match(None)


@dataclass(frozen=True, slots=True, eq=False)
class ImageIndex:
    """The images of a data set by every name that a table may give them.

    Attributes:
        exact: Id or locator to row; a name of two images is ambiguous.
        by_name: Last part of a path to the (parts, row) of every image that ends so.
        by_stem: The same without the ending, where no two images share it; else empty.
        unique: Whether the last part alone tells every image of the data set from all others.
        lost: Paths of the images that cannot be used.
    """

    exact: Mapping[str, int]
    by_name: Mapping[str, Sequence[tuple[tuple[str, ...], int]]]
    by_stem: Mapping[str, int]
    unique: bool
    lost: frozenset[str]

    @classmethod
    def of(cls, manifest: Manifest, *, whole: bool) -> ImageIndex:
        """Index the images of a manifest.

        Args:
            manifest: The images that were indexed.
            whole: Whether these are all images of the data set, not one split of several.
        """
        exact: dict[str, int] = {}
        by_name: dict[str, list[tuple[tuple[str, ...], int]]] = {}
        ids, locators = (manifest.table[name].to_pylist() for name in ("sample_id", "locator"))
        for row, names in enumerate(zip(ids, locators, strict=True)):
            for name in dict.fromkeys(names):
                exact[name] = row if exact.get(name, row) == row else _AMBIGUOUS
                parts = _parts(name)
                by_name.setdefault(parts[-1], []).append((parts, row))
        rows = {name: {row for _, row in entries} for name, entries in by_name.items()}
        stems: dict[str, set[int]] = {}
        for name, found in rows.items():
            stems.setdefault(posixpath.splitext(name)[0], set()).update(found)
        lone = all(len(found) == 1 for found in stems.values())
        return cls(
            exact=exact,
            by_name=by_name,
            by_stem={stem: next(iter(found)) for stem, found in stems.items()} if lone else {},
            # Another split may have images of the same names.
            unique=whole and all(len(found) == 1 for found in rows.values()),
            lost=frozenset(manifest.lost["path"].to_pylist()),
        )

    def find(self, sample_id: Any, path: Any) -> Match:
        """Find the image that a row of a table is about.

        An id or a path as the data set has it; else a path of which one is the end of the other, as from
        another root; else the name of the file alone, where no two images of the data set share theirs.

        Args:
            sample_id: What the table gives as its id; None or "" where it gives none.
            path: What it gives as its path, likewise.
        """
        names = [str(value).strip() for value in (sample_id, path) if value is not None]
        match = NO_IMAGE
        for name in filter(None, names):
            for spelled in dict.fromkeys((name, unguard(name))):
                match = self._find(spelled)
                if match is not NO_IMAGE:
                    return match
        return match

    def _find(self, name: str) -> Match:
        parts = _parts(name)
        plain = "/".join(parts)
        exact = {self.exact[spelled] for spelled in (name, plain) if spelled in self.exact}
        if exact:
            return _only(exact - {_AMBIGUOUS} if len(exact) > 1 else exact)
        if {name, plain} & self.lost:
            return UNUSABLE
        entries = self.by_name.get(parts[-1], ())
        # From a root further up: the longest end of the name that is an image's whole path.
        longest = max((len(whole) for whole, _ in entries if _ends(parts, whole)), default=0)
        rows = {row for whole, row in entries if len(whole) == longest and _ends(parts, whole)}
        rows = rows or {row for whole, row in entries if _ends(whole, parts)}
        if rows:
            return _only(rows)
        if any(path.endswith(f"/{plain}") or plain.endswith(f"/{path}") for path in self.lost):
            return UNUSABLE
        return _only(self._by_name_alone(parts[-1]))

    def _by_name_alone(self, name: str) -> set[int]:
        """Rows of the images called so, wherever they lie; none where names do not tell images apart."""
        if not self.unique:
            return set()
        if name in self.by_name:
            return {row for _, row in self.by_name[name]}
        has_ending = bool(posixpath.splitext(name)[1])
        return {self.by_stem[name]} if name in self.by_stem and not has_ending else set()


def _only(rows: set[int]) -> Match:
    """The one image of several candidates; none where there are none, or more than one."""
    if not rows:
        return NO_IMAGE
    return SEVERAL if len(rows) > 1 or _AMBIGUOUS in rows else Match(rows.pop())


def _ends(whole: tuple[str, ...], end: tuple[str, ...]) -> bool:
    return whole[-len(end) :] == end


def _parts(name: str) -> tuple[str, ...]:
    """Cut a path at its slashes, those of Windows too; a drive and leading dots are left out."""
    plain = posixpath.normpath(name.replace("\\", "/"))
    parts = tuple(part for part in plain.split("/") if part not in ("", ".", ".."))
    return parts or (name,)
