"""Which images a cell is made of: by generator, by domain, by both, or pooled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leaderboards.statistics.paired import cluster_codes

Axis = Literal["generator", "domain"]

POOLED = "all"
NO_DOMAIN = "(no domain)"
NO_VALUE = "(none)"
# What a data set's own further columns are called in the samples, before their name.
FREE = "free:"
MOST_VALUES = 100
# Of a row that stands for a kind of image: generator and domain of every image of its class that comes before
# one of them with the same bytes.
EARLIER = "earlier"
SAMPLE_COLUMNS = ("sample_id", "label", "generator", "domain")


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """The images behind one column of cells.

    Attributes:
        generator: The generator of the fakes, or "all".
        domain: The domain of the images, or "all"; of a cut by a free column ``column=value``.
        real_rows: (n_real,) int64 positions in the samples frame, ascending.
        fake_rows: (n_fake,) int64 positions, ascending.
        generators: Names of the generators among the fakes, sorted.
        domains: Names of the domains among all images, sorted; empty where the data name none.
        column: The free column that it is cut by; "" for generators and domains.
    """

    generator: str
    domain: str
    real_rows: NDArray[np.int64]
    fake_rows: NDArray[np.int64]
    generators: tuple[str, ...]
    domains: tuple[str, ...]
    column: str = ""

    @property
    def rows(self) -> NDArray[np.int64]:
        """(n_real + n_fake,) positions, reals first."""
        return np.concatenate([self.real_rows, self.fake_rows])

    @property
    def labels(self) -> NDArray[np.int64]:
        """(n_real + n_fake,) labels aligned with ``rows``."""
        return np.repeat(
            np.array([0, 1], dtype=np.int64), [len(self.real_rows), len(self.fake_rows)]
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Coded:
    """A column as integer codes into its sorted names."""

    codes: NDArray[np.int64]
    names: tuple[str, ...]

    @classmethod
    def of(cls, column: pd.Series) -> _Coded:
        codes, names = pd.factorize(column.astype(object), sort=False)
        order = sorted(range(len(names)), key=lambda i: str(names[i]))
        rank = np.empty(len(names), dtype=np.int64)
        rank[order] = np.arange(len(names))
        return cls(rank[codes], tuple(str(names[i]) for i in order))

    def among(self, rows: NDArray[np.int64]) -> tuple[str, ...]:
        return tuple(self.names[code] for code in np.unique(self.codes[rows]))

    def mask(self, names: Sequence[str]) -> NDArray[np.bool_]:
        codes = [code for code, name in enumerate(self.names) if name in set(names)]
        return np.isin(self.codes, codes)


def slices(
    samples: pd.DataFrame,
    pairing: Mapping[str, Sequence[str]],
    by: Sequence[Axis] = ("generator",),
    *,
    matched: bool = False,
) -> list[Slice]:
    """Cut the samples into the slices of a table.

    Args:
        samples: One row an image: ``sample_id``, ``label`` (0/1), ``generator`` (of a real: its
            source's name), ``domain`` ("" = none named). With ``sha256``, images of one class with
            equal bytes count once in a slice of several generators, as they do in ``pool``; so they do
            with ``EARLIER`` where rows are kinds of images.
        pairing: Generator to the real sources its fakes are compared with. Reals of a source that it
            names for no generator are controls: they are in no slice.
        by: ``("generator",)``: a slice a generator, with its paired reals. ``("domain",)``: all
            fakes and paired reals of each domain. Both: each generator in each domain where it has
            fakes. ``()``: one pooled slice of all of them.
        matched: Keep of each slice's reals only those whose ``group`` one of its fakes has.

    Returns:
        Slices in order of generator, then domain. A slice may lack one class; its comparing metrics
        are then undefined.

    Raises:
        ValueError: A missing column, an unknown or repeated axis, labels other than 0/1, a
            generator the pairing does not name, or a generator or domain named "all".
    """
    axes = _checked_axes(by)
    missing = [name for name in SAMPLE_COLUMNS if name not in samples.columns]
    if missing:
        raise ValueError(f"samples lack the columns {missing}; needed are {list(SAMPLE_COLUMNS)}")
    label = samples["label"].to_numpy()
    if not np.isin(label, (0, 1)).all():
        raise ValueError("labels must be 0 (real) or 1 (AI-generated); mend the samples")
    if matched and "group" not in samples.columns:
        raise ValueError("samples lack the column 'group', which matched pairs need")
    cut = _Cut.of(samples, matched=matched)
    cut.check_names()
    if "generator" not in axes:
        sources = [source for paired in pairing.values() for source in paired]
        everything = cut.fake | cut.generator.mask(sources)
        return cut.by_domain(POOLED, everything, split="domain" in axes)
    pieces: list[Slice] = []
    for generator in cut.generator.among(np.flatnonzero(cut.fake)):
        if generator not in pairing:
            raise ValueError(
                f"the pairing names no real source for generator {generator!r}; "
                f"it knows {sorted(pairing)}"
            )
        fakes = cut.fake & cut.generator.mask([generator])
        reals = ~cut.fake & cut.generator.mask(pairing[generator])
        pieces += cut.by_domain(generator, fakes | reals, split="domain" in axes)
    return pieces


def column_slices(
    samples: pd.DataFrame,
    pairing: Mapping[str, Sequence[str]],
    column: str,
    *,
    matched: bool = False,
) -> list[Slice]:
    """Cut the samples by a column that the data set has beside ours.

    Args:
        samples: As for ``slices``, with the column under ``FREE`` and its name.
        pairing: As for ``slices``.
        column: Its name, such as "category".
        matched: As for ``slices``.

    Returns:
        One slice for each value that a fake has: all fakes of it, with the reals of that value; where no
        real has a value, as with release dates, with the reals that these fakes are compared with. Where
        there is no fake at all, one for each value that a real has.

    Raises:
        ValueError: There is no such column, or it has more than ``MOST_VALUES`` values.
    """
    if FREE + column not in samples.columns:
        raise ValueError(f"samples lack the column {column!r}")
    cut, values = _Cut.of(samples, matched=matched), _Coded.of(samples[FREE + column])
    sources = [source for paired in pairing.values() for source in paired]
    everything = cut.fake | cut.generator.mask(sources)
    cutting = cut.fake if cut.fake.any() else everything
    names = values.among(np.flatnonzero(everything & cutting))
    if len(names) > MOST_VALUES:
        raise ValueError(f"the column {column!r} has {len(names)} values, too many to cut by")
    of_reals = set(values.among(np.flatnonzero(everything & ~cut.fake))) - {""}
    pieces = []
    for value in names:
        fakes = everything & cut.fake & values.mask([value])
        generators = cut.generator.among(np.flatnonzero(fakes))
        paired = [source for generator in generators for source in pairing.get(generator, ())]
        chosen = values.mask([value]) if of_reals else cut.generator.mask(paired)
        piece = cut.piece(
            POOLED, f"{column}={value or NO_VALUE}", fakes | (chosen & everything & ~cut.fake)
        )
        pieces.append(replace(piece, column=column))
    return pieces


def clusters_of(samples: pd.DataFrame) -> NDArray[np.int64] | None:
    """Code images of one group, or of equal bytes, alike: they are not independent.

    Args:
        samples: Columns ``group`` and ``sha256``, where there are any.

    Returns:
        (n,) codes from ``cluster_codes``; None where every image stands alone.
    """
    columns = [samples[name] for name in ("group", "sha256") if name in samples.columns]
    # Most data: every image alone, which costs no dictionary of a million names.
    if all(column[column != ""].is_unique for column in columns):
        return None
    groups, contents = (
        list(samples[name]) if name in samples.columns else [""] * len(samples)
        for name in ("group", "sha256")
    )
    return cluster_codes(groups, contents)


def pool(samples: pd.DataFrame, cuts: Sequence[Slice]) -> Slice:
    """Put slices together: every image that is in any of them, once.

    Args:
        samples: The frame the slices were cut from.
        cuts: At least one slice.
    """
    chosen = np.zeros(len(samples), dtype=bool)
    for piece in cuts:
        chosen[piece.rows] = True
    cut = _Cut.of(samples)
    return cut.by_domain(POOLED, chosen, split=False)[0]


def pool_of(
    samples: pd.DataFrame,
    pairing: Mapping[str, Sequence[str]],
    *,
    generators: Sequence[str] | None = None,
    rows: NDArray[np.bool_] | None = None,
) -> Slice:
    """Pool some generators with the reals they are compared with, each image once.

    Args:
        samples: As for ``slices``.
        pairing: As for ``slices``.
        generators: Those whose fakes count; all by default.
        rows: (n,) which images count; all by default.
    """
    cut = _Cut.of(samples)
    names = list(pairing) if generators is None else list(generators)
    sources = [source for name in names for source in pairing.get(name, ())]
    chosen = (cut.fake & cut.generator.mask(names)) | (~cut.fake & cut.generator.mask(sources))
    return cut.piece(POOLED, POOLED, chosen if rows is None else chosen & rows)


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    fake: NDArray[np.bool_]
    generator: _Coded
    domain: _Coded
    content: NDArray[np.int64]
    group: NDArray[np.int64] | None = None
    earlier: Sequence[frozenset[tuple[str, str]]] | None = None

    @classmethod
    def of(cls, samples: pd.DataFrame, *, matched: bool = False) -> _Cut:
        """Code the frame's columns; the groups, -1 where none is named, only for matched slices."""
        fake = (samples["label"] == 1).to_numpy()
        # An image whose bytes nobody hashed is like no other.
        content = -1 - np.arange(len(samples))
        if "sha256" in samples.columns:
            hashed = (samples["sha256"] != "").to_numpy()
            content[hashed] = pd.factorize(samples["sha256"][hashed])[0]
        group = None
        if matched:
            named = samples["group"].where(samples["group"] != "")
            group = pd.factorize(named)[0].astype(np.int64)
        earlier = list(samples[EARLIER]) if EARLIER in samples.columns else None
        generator, domain = _Coded.of(samples["generator"]), _Coded.of(samples["domain"])
        return cls(fake, generator, domain, content, group, earlier)

    def check_names(self) -> None:
        """Refuse the board's own word for "pooled" as a name in the data."""
        if POOLED in self.generator.among(np.flatnonzero(self.fake)):
            raise ValueError('a generator is named "all", the board\'s word for pooled: rename it')
        if POOLED in self.domain.names:
            raise ValueError('a domain is named "all", the board\'s word for pooled: rename it')

    def by_domain(self, generator: str, chosen: NDArray[np.bool_], *, split: bool) -> list[Slice]:
        if not (split and any(self.domain.names)):
            return [self.piece(generator, POOLED, chosen)]
        # With a generator given, a domain it has no fakes in is no cell of that generator.
        holders = chosen if generator == POOLED else chosen & self.fake
        return [
            self.piece(generator, domain or NO_DOMAIN, chosen & self.domain.mask([domain]))
            for domain in self.domain.among(np.flatnonzero(holders))
        ]

    def piece(self, generator: str, domain: str, chosen: NDArray[np.bool_]) -> Slice:
        """Make a slice of the chosen images, each once where generators are pooled."""
        if generator == POOLED:
            chosen = self._each_once(chosen)
        if self.group is not None:
            groups = self.group[chosen & self.fake]
            chosen = chosen & (self.fake | np.isin(self.group, groups[groups >= 0]))
        fake_rows = np.flatnonzero(chosen & self.fake)
        return Slice(
            generator=generator,
            domain=domain,
            real_rows=np.flatnonzero(chosen & ~self.fake),
            fake_rows=fake_rows,
            generators=self.generator.among(fake_rows),
            domains=tuple(name for name in self.domain.among(np.flatnonzero(chosen)) if name),
        )

    def _each_once(self, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Keep the first of images of one class with equal bytes, as copied under each generator."""
        rows = np.flatnonzero(chosen)
        once = np.zeros_like(chosen)
        if self.earlier is not None:
            once[self._first_kinds(rows, self.earlier)] = True
        else:
            both = np.stack([self.fake[rows], self.content[rows]])
            once[rows[np.unique(both, axis=1, return_index=True)[1]]] = True
        return once

    def _first_kinds(
        self, rows: NDArray[np.int64], earlier: Sequence[frozenset[tuple[str, str]]]
    ) -> list[int]:
        """Find among kinds of images those of which no bytes have come before in another of them."""
        generators, domains = self.generator, self.domain
        names = [
            (generators.names[generators.codes[row]], domains.names[domains.codes[row]])
            for row in rows
        ]
        there = set(zip(self.fake[rows].tolist(), names, strict=True))
        return [
            row
            for row in rows.tolist()
            if not any((bool(self.fake[row]), name) in there for name in earlier[row])
        ]


def _checked_axes(by: Sequence[Axis]) -> frozenset[str]:
    axes = frozenset(by)
    unknown = axes - {"generator", "domain"}
    if isinstance(by, str) or unknown or len(axes) != len(by):
        raise ValueError(f'by must hold "generator" and/or "domain", each once, got {by!r}')
    return axes
