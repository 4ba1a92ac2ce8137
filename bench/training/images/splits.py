"""Which images train, which validate, which are left for the test; what belongs together stays together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.audit.leaks import bundles, shared
from bench.datasets import FAKE, Manifest
from bench.errors import BenchError, NothingSelectedError

if TYPE_CHECKING:
    from bench.training.settings import Settings

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Split:
    """Rows of a manifest by use.

    Attributes:
        train: Rows to learn from.
        val: Rows to choose the best epoch by.
        test: Rows that are left alone; empty where there are none.
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
    columns = _Columns(manifest)
    selected = _select(manifest, columns, settings)
    made_here = not (columns.split == "train").any()
    make = _make_split if made_here else _published_split
    split = _limited(make(columns, selected, settings), columns, settings)
    for purpose, rows in (("train", split.train), ("validate", split.val)):
        labels = columns.label[rows]
        if set(labels.tolist()) != {0, 1}:
            raise NothingSelectedError(
                f"{manifest.name}: both real and AI-generated images are needed to {purpose} on, found "
                f"{int((labels == 0).sum())} and {int((labels == 1).sum())}"
            )
    return split


def _limited(split: Split, columns: _Columns, settings: Settings) -> Split:
    """The split with at most so many training images, of every stratum alike."""
    count = len(split.train)
    if settings.limit is None or settings.limit >= count:
        return split
    share = settings.limit / count
    train = _deal(columns, split.train, (share, 1 - share), settings.seed + 1)[0]
    remark = f"{len(train)} of {count} training images"
    return dataclasses.replace(split, train=train, remarks=(*split.remarks, remark))


def _published_split(columns: _Columns, selected: Mask, settings: Settings) -> Split:
    """The data's own splits; validation images are held out of training where there are none."""
    published = {name: np.flatnonzero(columns.split == name) for name in ("train", "val", "test")}
    train, val, test = published["train"], published["val"], published["test"]
    train = train[selected[train]]
    if settings.spare_val or not len(val):
        test, val = np.sort(np.concatenate([test, val])), val[:0]
    train, remarks = _without_leaks(columns, train, {"val": val, "test": test}, settings)
    if len(val):
        val = val[selected[val]]
    else:
        train, val = _deal(columns, train, (1 - settings.val, settings.val), settings.seed)
    return Split(train, val, test, remarks, made_here=False)


def _make_split(columns: _Columns, selected: Mask, settings: Settings) -> Split:
    """A split made here, the same whatever is selected to train on."""
    if (columns.split == "test").all():
        raise NothingSelectedError(
            f"{columns.name} has only test images: there is nothing to train on"
        )
    everything = np.arange(len(selected), dtype=np.int64)
    train, val, test = _deal(columns, everything, settings.shares, settings.seed)
    if settings.unseen_to_test:
        together = columns.bundles(everything)
        unseen = ~np.isin(together, together[selected])
        train, val = train[~unseen[train]], val[~unseen[val]]
        test = np.union1d(test, everything[unseen])
    shares = ", ".join(f"{share:g}" for share in settings.shares)
    remark = f"split here by group, shares {shares}"
    return Split(train[selected[train]], val[selected[val]], test, (remark,), made_here=True)


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

    def bundles(self, rows: Rows) -> Rows:
        """A number for every row, equal for rows of one group or of the same bytes."""
        return bundles([self.group[rows].tolist(), self.sha256[rows].tolist()])


def _select(manifest: Manifest, columns: _Columns, settings: Settings) -> Mask:
    """Rows of the generators and domains asked for, and the reals paired with those generators."""
    for name in settings.generators:
        if name not in manifest.pairing:
            raise BenchError(
                f"--generators: {manifest.name} has no generator {name!r}: it has "
                f"{', '.join(sorted(manifest.pairing))}"
            )
    names = settings.generators or tuple(sorted(manifest.pairing))
    # Real images that no generator is compared with are controls, not training data.
    sources = sorted({source for name in names for source in manifest.pairing[name]})
    selected = np.where(
        columns.label == FAKE,
        np.isin(columns.generator, names),
        np.isin(columns.generator, sources),
    )
    if settings.domains:
        domains = sorted(set(columns.domain.tolist()) - {""})
        for name in settings.domains:
            if name not in domains:
                raise BenchError(
                    f"--domains: {manifest.name} has no domain {name!r}: it has "
                    f"{', '.join(domains) or 'none'}"
                )
        selected &= np.isin(columns.domain, settings.domains)
    return selected


def _without_leaks(
    columns: _Columns, train: Rows, others: dict[str, Rows], settings: Settings
) -> tuple[Rows, tuple[str, ...]]:
    """The training rows once leaks are dealt with as the settings say, and remarks on them."""
    remarks: list[str] = []
    leaked_anywhere = np.zeros(len(train), dtype=bool)
    for name, rows in others.items():
        same_group = shared(columns.group[train], columns.group[rows])
        leaked = same_group | shared(columns.sha256[train], columns.sha256[rows])
        if not leaked.any():
            continue
        first = columns.sample[train[int(np.flatnonzero(leaked)[0])]]
        kind = "of the same group as" if same_group.any() else "byte-identical to"
        if settings.leaks == "error":
            raise BenchError(
                f"{columns.name}: {int(leaked.sum())} training images are {kind} images of its {name} "
                f"split, the first {first!r}: pass --leaks drop to train without them, or --leaks keep "
                "to train as published"
            )
        action = "left out" if settings.leaks == "drop" else "kept, as published"
        remarks.append(f"{int(leaked.sum())} training images {kind} {name} images: {action}")
        leaked_anywhere |= leaked
    rest = train[~leaked_anywhere] if settings.leaks == "drop" else train
    return rest, tuple(remarks)


def _deal(columns: _Columns, rows: Rows, shares: Sequence[float], seed: int) -> list[Rows]:
    """Deal whole groups into parts, in every stratum (which labels and generators a group holds) alike."""
    together = columns.bundles(rows)
    members: dict[int, list[int]] = {}
    for row, bundle in zip(rows.tolist(), together.tolist(), strict=True):
        members.setdefault(bundle, []).append(row)
    strata: dict[tuple[str, ...], list[int]] = {}
    for bundle, inside in members.items():
        kinds = {f"{columns.label[r]} {columns.generator[r]} {columns.domain[r]}" for r in inside}
        strata.setdefault(tuple(sorted(kinds)), []).append(bundle)
    parts: list[list[int]] = [[] for _ in shares]
    for number, kind in enumerate(sorted(strata)):
        order = np.random.default_rng([seed, 2, number]).permutation(len(strata[kind]))
        ends = np.cumsum(_sizes(len(order), shares))
        for part, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
            for position in order[start:end]:
                parts[part] += members[strata[kind][position]]
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
