"""Which images a data set holds more than once, where the copies lie, and what that means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bench.audit.copies.sides import Place, Side
from bench.audit.copies.similar import Fingerprints, similar_pairs
from bench.audit.leaks import bundles, clusters
from bench.datasets import REAL

Kind = Literal["file", "pixels", "near", "mirrored"]
# From the strictest sense of "copy" to the widest: each holds the one before.
KINDS: Final[tuple[Kind, ...]] = ("file", "pixels", "near", "mirrored")

# What copies in two places mean, worst first; the last four are no fault.
CONFLICT: Final = "conflicting labels"
OTHER_SET: Final = "in the other data set"
SPLITS: Final = "across splits"
GENERATORS: Final = "across generators"
REPEATS: Final = "within one class"
ALIKE: Final = "alike in both classes"
DOMAINS: Final = "across domains"
SHARED_REALS: Final = "shared reals"
VARIATIONS: Final = "variations of one group"
RELATIONS: Final = (
    CONFLICT, OTHER_SET, SPLITS, GENERATORS, REPEATS, ALIKE, DOMAINS, SHARED_REALS, VARIATIONS,
)  # fmt: skip

# What near copies within one group, that the data name, are not: a variation is made to be like its source.
_NO_FAULT_IN_A_GROUP: Final = frozenset({ALIKE, GENERATORS, REPEATS, DOMAINS, SHARED_REALS})

NO_FAULT: Final = (ALIKE, DOMAINS, SHARED_REALS, VARIATIONS)


@dataclass(frozen=True, slots=True)
class CopyCount:
    """How many images of one place have a copy in another, or repeat one of their own.

    Attributes:
        kind: Strictest sense in which they are copies.
        relation: What it means; one of ``RELATIONS``.
        where: Place of the images that are counted.
        copied_from: Place of their copies; the same for repeats.
        images: Number of images; of repeats, all but the first of each picture.
    """

    kind: Kind
    relation: str
    where: str
    copied_from: str
    images: int


@dataclass(frozen=True, slots=True)
class CopyCluster:
    """Images that are copies of each other.

    Attributes:
        kind: Widest sense that connects them.
        relation: The worst that it means.
        images: Ids of the images, sorted; those of the other data set after "other set: ".
    """

    kind: Kind
    relation: str
    images: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Copies:
    """All copies of a data set.

    Attributes:
        counts: Numbers by kind and place.
        clusters: Every picture that is there more than once.
        codes: By kind: (n,) equal for copies in that sense, of the audited set alone.
        not_compared: Why a kind of copy was not looked for, by kind.
        split_groups: Number of groups that the data name and that lie in several splits.
    """

    counts: tuple[CopyCount, ...] = ()
    clusters: tuple[CopyCluster, ...] = ()
    codes: Mapping[Kind, NDArray[np.int64]] = field(default_factory=dict)
    not_compared: Mapping[str, str] = field(default_factory=dict)
    split_groups: int = 0

    def images(self, relation: str, kind: Kind | None = None) -> int:
        """Count the images that a relation holds for, of one kind or of all."""
        return sum(
            count.images
            for count in self.counts
            if count.relation == relation and kind in (None, count.kind)
        )


def find_copies(side: Side, other: Side | None = None, cache: Path | None = None) -> Copies:
    """Find all copies in a data set, and those that another one holds.

    Args:
        side: The data set.
        other: The set that it must not share images with, such as a training set.
        cache: Folder that keeps what takes long; None for none.
    """
    sides = [side] if other is None else [side, other]
    names = [name for s in sides for name in s.names]
    places = [place for s in sides for place in s.places]
    groups = [group for s in sides for group in s.groups]
    codes, lacking = _codes(sides, cache)
    counts = Counter[tuple[Kind, str, Place, Place]]()
    earlier: Counter[tuple[str, Place, Place]] = Counter()
    pictures: dict[tuple[int, ...], CopyCluster] = {}
    for kind, code in codes.items():
        now = Counter[tuple[str, Place, Place]]()
        for members in clusters(code):
            if all(places[i].other for i in members):
                continue
            relations = _relations(members, places, groups, exact=kind in ("file", "pixels"))
            for relation, here, there, n in relations:
                now[relation, here, there] += n
            worst = min((r for r, *_ in relations), key=RELATIONS.index, default=REPEATS)
            key = tuple(members)
            if key not in pictures:
                pictures[key] = CopyCluster(kind, worst, tuple(sorted(names[i] for i in members)))
        for (relation, here, there), n in now.items():
            fresh = n - earlier[relation, here, there]
            if fresh > 0:
                counts[kind, relation, here, there] = fresh
        earlier = now
        if kind in ("file", "pixels"):
            # What a near copy is called otherwise has been counted as an exact one.
            for (_, here, there), n in list(now.items()):
                for other_name in (ALIKE, VARIATIONS):
                    earlier[other_name, here, there] += n
    return Copies(
        counts=tuple(
            CopyCount(kind, relation, here.name, there.name, n)
            for (kind, relation, here, there), n in sorted(
                counts.items(), key=lambda item: (RELATIONS.index(item[0][1]), item[0])
            )
        ),
        clusters=_largest_only(pictures),
        codes={kind: code[: len(side.manifest)] for kind, code in codes.items()},
        not_compared=lacking,
        split_groups=_split_groups(side),
    )


def _codes(
    sides: Sequence[Side], cache: Path | None
) -> tuple[dict[Kind, NDArray[np.int64]], dict[str, str]]:
    """Number images by copy, in every sense that can be told, and say why others cannot."""
    hashes = [digest for s in sides for digest in s.manifest["sha256"].to_pylist()]
    codes: dict[Kind, NDArray[np.int64]] = {"file": bundles([hashes])}
    lacking: dict[str, str] = {}
    if "" in hashes:
        lacking["file"] = "images were indexed without a hash of their bytes (--no-hash)"
    if not all("pixel_digest" in s.facts.column_names for s in sides):
        why = "images were not decoded"
        return codes, {**lacking, "pixels": why, "near": why, "mirrored": why}
    facts = pa.concat_tables([s.facts for s in sides])
    digests = [d.hex() if d else "" for d in facts["pixel_digest"].to_pylist()]
    codes["pixels"] = bundles([hashes, digests])
    readable = np.flatnonzero(facts["hash"].is_valid().to_numpy())
    if not len(readable):
        why = "ImageHash is not installed: pip install 'detector-bench[audit]'"
        return codes, {**lacking, "near": why, "mirrored": why}
    near, mirrored = _similar_links(facts.take(readable), readable, codes["pixels"], cache)
    exact = [str(code) for code in codes["pixels"].tolist()]
    codes["near"] = bundles([exact], near)
    codes["mirrored"] = bundles([exact], [*near, *mirrored])
    return codes, lacking


_Links = list[tuple[int, int]]


def _similar_links(
    facts: pa.Table, positions: NDArray[np.int64], exact: NDArray[np.int64], cache: Path | None
) -> tuple[_Links, _Links]:
    """Find near and mirrored copies among the first images of each exact copy."""
    _, first = np.unique(exact[positions], return_index=True)
    rows = np.sort(first)
    part = facts.take(rows)
    thumbnails = np.frombuffer(b"".join(part["thumbnail"].to_pylist()), dtype=np.uint8)
    prints = Fingerprints(
        part["hash"].to_numpy(), part["mirrored"].to_numpy(), thumbnails.reshape(len(part), -1)
    )
    pairs = similar_pairs(prints, cache)
    near, mirrored = (
        [(int(a), int(b)) for a, b in positions[rows][found]]
        for found in (pairs.near, pairs.mirrored)
    )
    return near, mirrored


def _relations(
    members: Sequence[int], places: Sequence[Place], groups: Sequence[str], *, exact: bool
) -> list[tuple[str, Place, Place, int]]:
    """Count, for each pair of places, the images of the first that have a copy in the second."""
    counts = Counter(places[i] for i in members)
    one_group = groups[members[0]] != "" and len({groups[i] for i in members}) == 1
    found = []
    for here, n in counts.items():
        if here.other:
            continue
        for there in counts:
            relation = _relation(here, there)
            if relation == CONFLICT and not exact:
                relation = ALIKE
            if one_group and not exact and relation in _NO_FAULT_IN_A_GROUP:
                relation = VARIATIONS
            if here == there and n > 1:
                found.append((relation, here, there, n - 1))
            elif here != there:
                found.append((relation, here, there, n))
    return found


def _relation(here: Place, there: Place) -> str:
    if here.label != there.label:
        return CONFLICT
    if here.other != there.other:
        return OTHER_SET
    if here.split != there.split:
        return SPLITS
    if here.generator != there.generator:
        return SHARED_REALS if here.label == REAL else GENERATORS
    return DOMAINS if here.domain != there.domain else REPEATS


def _largest_only(clusters: Mapping[tuple[int, ...], CopyCluster]) -> tuple[CopyCluster, ...]:
    """Leave out clusters that a wider sense has made larger; in order of what they mean."""
    widest: dict[int, tuple[int, ...]] = {}
    for key in clusters:  # stricter kinds first
        widest |= dict.fromkeys(key, key)
    kept = [clusters[key] for key in dict.fromkeys(widest.values())]
    return tuple(sorted(kept, key=lambda c: (RELATIONS.index(c.relation), c.images)))


def _split_groups(side: Side) -> int:
    splits: dict[str, set[str]] = {}
    for group, split in zip(side.groups, side.manifest["split"].to_pylist(), strict=True):
        if group:
            splits.setdefault(group, set()).add(split)
    return sum(len(names) > 1 for names in splits.values())
