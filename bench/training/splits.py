"""Which images train, which validate, which are left for the test; what belongs together stays together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.datasets import FAKE, Manifest
from bench.errors import BenchError, NothingSelectedError
from bench.training.settings import Settings

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Split:
    """Rows of a manifest by use.

    Attributes:
        train: To learn from.
        val: To choose the best epoch by.
        test: Left alone; empty where there are none.
        remarks: What a reader of the result must know: images dropped, leaks kept, limits.
        made_here: Whether the data came without splits.
    """

    train: Rows
    val: Rows
    test: Rows
    remarks: tuple[str, ...]
    made_here: bool


def split_rows(manifest: Manifest, settings: Settings) -> Split:
    """Split a manifest as its own splits say, or by groups where it has none.

    A group (a source photograph with its variations, a prompt) and byte-identical images are never
    parted by a split made here.

    Raises:
        BenchError: A group or a file straddles two of the data's own splits.
        NothingSelectedError: Nothing of a class is left to train or validate on.
    """
    frame = _Columns(manifest)
    chosen = _chosen(manifest, frame, settings)
    remarks: list[str] = []
    if (frame.split == "train").any():
        made_here = False
        train, val, test = _as_published(frame, chosen, settings, remarks)
    else:
        made_here = True
        train, val, test = _dealt(frame, chosen, settings, remarks)
    if settings.limit is not None and settings.limit < len(train):
        kept, _ = _part(
            frame,
            train,
            (settings.limit / len(train), 1 - settings.limit / len(train)),
            settings.seed + 1,
        )
        remarks.append(f"{len(kept)} of {len(train)} training images")
        train = kept
    for name, rows in (("train", train), ("validate", val)):
        if set(frame.label[rows].tolist()) != {0, 1}:
            raise NothingSelectedError(
                f"{manifest.name}: both real and AI-generated images are needed to {name} on, found "
                f"{int((frame.label[rows] == 0).sum())} and {int((frame.label[rows] == 1).sum())}"
            )
    return Split(train, val, test, tuple(remarks), made_here)


def _as_published(
    frame: _Columns, chosen: NDArray[np.bool_], settings: Settings, remarks: list[str]
) -> list[Rows]:
    """The data's own splits; validation images are held out of training where there are none."""
    own = {name: np.flatnonzero(frame.split == name) for name in ("train", "val", "test")}
    train, val, test = own["train"][chosen[own["train"]]], own["val"], own["test"]
    if settings.spare_val or not len(val):
        test, val = np.sort(np.concatenate([test, val])), val[:0]
    train = _without_leaks(frame, train, {"val": val, "test": test}, settings, remarks)
    if len(val):
        return [train, val[chosen[val]], test]
    return [*_part(frame, train, (1 - settings.val, settings.val), settings.seed), test]


def _dealt(
    frame: _Columns, chosen: NDArray[np.bool_], settings: Settings, remarks: list[str]
) -> list[Rows]:
    """Splits made here, the same whatever is chosen to train on."""
    if (frame.split == "test").all():
        raise NothingSelectedError(
            f"{frame.name} has only test images: there is nothing to train on"
        )
    everything = np.arange(len(chosen), dtype=np.int64)
    parts = _part(frame, everything, settings.shares, settings.seed)
    if settings.unseen_to_test:
        bundles = _bundles(frame, everything)
        apart = ~np.isin(bundles, bundles[chosen])
        parts = [
            parts[0][~apart[parts[0]]],
            parts[1][~apart[parts[1]]],
            np.union1d(parts[2], everything[apart]),
        ]
    remarks.append(
        "split here by group, shares " + ", ".join(f"{share:g}" for share in settings.shares)
    )
    return [parts[0][chosen[parts[0]]], parts[1][chosen[parts[1]]], parts[2]]


class _Columns:
    """The columns of a manifest as arrays, and what must stay together as one number an image."""

    def __init__(self, manifest: Manifest) -> None:
        table = manifest.table

        def column(name: str) -> NDArray[np.object_]:
            return np.array(table[name].to_pylist(), dtype=object)

        self.name = manifest.name
        self.label = table["label"].to_numpy().astype(np.int64)
        self.generator, self.domain = column("generator"), column("domain")
        self.split, self.group = column("split"), column("group")
        self.sha256, self.sample = column("sha256"), column("sample_id")


def _chosen(manifest: Manifest, frame: _Columns, settings: Settings) -> NDArray[np.bool_]:
    """Whether a row's generator and domain are asked for; reals are those paired with the generators."""
    known = sorted(manifest.pairing)
    for name in settings.generators:
        if name not in known:
            raise BenchError(
                f"--generators: {manifest.name} has no generator {name!r}: it has {', '.join(known)}"
            )
    names = settings.generators or tuple(known)
    # Real images that no generator is compared with are controls, not training data.
    sources = sorted({source for name in names for source in manifest.pairing[name]})
    fake = frame.label == FAKE
    keep = np.where(fake, np.isin(frame.generator, names), np.isin(frame.generator, sources))
    if settings.domains:
        domains = sorted(set(frame.domain.tolist()) - {""})
        for name in settings.domains:
            if name not in domains:
                raise BenchError(
                    f"--domains: {manifest.name} has no domain {name!r}: it has "
                    f"{', '.join(domains) or 'none'}"
                )
        keep &= np.isin(frame.domain, settings.domains)
    return keep


def _without_leaks(
    frame: _Columns, train: Rows, others: dict[str, Rows], settings: Settings, remarks: list[str]
) -> Rows:
    """The training rows, once nothing of them stands in another split, or as the user decided."""
    bad = np.zeros(len(train), dtype=bool)
    for name, rows in others.items():
        shared = np.isin(frame.group[train], list(set(frame.group[rows])))
        same = np.isin(frame.sha256[train], [s for s in set(frame.sha256[rows]) if s])
        leaked = shared | same
        if not leaked.any():
            continue
        first = frame.sample[train[int(np.flatnonzero(leaked)[0])]]
        kind = "of the same group as" if shared.any() else "byte-identical to"
        if settings.leaks == "error":
            raise BenchError(
                f"{frame.name}: {int(leaked.sum())} training images are {kind} images of its {name} "
                "split, the first "
                f"{first!r}: pass --leaks drop to train without them, or --leaks keep to train as published"
            )
        what = "left out" if settings.leaks == "drop" else "kept, as published"
        remarks.append(f"{int(leaked.sum())} training images {kind} {name} images: {what}")
        bad |= leaked
    return train[~bad] if settings.leaks == "drop" else train


def _part(frame: _Columns, rows: Rows, shares: Sequence[float], seed: int) -> list[Rows]:
    """Deal whole groups into parts, in every stratum (which labels and generators a group holds) alike."""
    bundles = _bundles(frame, rows)
    members: dict[int, list[int]] = {}
    for row, bundle in zip(rows.tolist(), bundles.tolist(), strict=True):
        members.setdefault(bundle, []).append(row)
    strata: dict[tuple[str, ...], list[int]] = {}
    for bundle, inside in members.items():
        kinds = {f"{frame.label[r]} {frame.generator[r]} {frame.domain[r]}" for r in inside}
        strata.setdefault(tuple(sorted(kinds)), []).append(bundle)
    parts: list[list[int]] = [[] for _ in shares]
    for number, kind in enumerate(sorted(strata)):
        order = np.random.default_rng([seed, 2, number]).permutation(len(strata[kind]))
        ends = np.cumsum(_sizes(len(order), shares))
        for part, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
            for at in order[start:end]:
                parts[part] += members[strata[kind][at]]
    return [np.sort(np.array(part, dtype=np.int64)) for part in parts]


def _sizes(count: int, shares: Sequence[float]) -> list[int]:
    """How many of ``count`` each part gets: its share, and at least one where there are enough."""
    ends = np.round(np.cumsum(shares) * count).astype(int)
    sizes: list[int] = np.diff([0, *ends]).tolist()
    for part, share in enumerate(shares):
        largest = int(np.argmax(sizes))
        if share > 0 and not sizes[part] and sizes[largest] > 1:
            sizes[part], sizes[largest] = 1, sizes[largest] - 1
    return sizes


def _bundles(frame: _Columns, rows: Rows) -> Rows:
    """A number for every row, equal for rows of one group or of the same bytes (union-find)."""
    parent = list(range(len(rows)))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    for column in (frame.group, frame.sha256):
        first: dict[str, int] = {}
        for at, row in enumerate(rows.tolist()):
            value = column[row]
            if value:
                parent[root(at)] = root(first.setdefault(value, at))
    return np.array([root(at) for at in range(len(rows))], dtype=np.int64)
