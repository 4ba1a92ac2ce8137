"""All tables of a board whose scores lie on disk: what ``cell_rows`` and ``extras`` give, by column."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leaderboards.statistics.intervals import NAN, Delong, Interval
from leaderboards.statistics.paired import Difference, smallest_error
from leaderboards.statistics.streams.clusters import ClusterFile
from leaderboards.streamed.columns import Advance, ColumnFile, ColumnPass
from leaderboards.streamed.means import AreaMean, MeanFile, mean_file, mean_of_members
from leaderboards.streamed.placements import Area, SortedParts
from leaderboards.tables.cells import CLEAN, cell_head, framed
from leaderboards.tables.condition_means import logit_interval
from leaderboards.tables.extras import (
    Extras,
    averaged_slices,
    earned_ranks,
    framed_sources,
    headline_slices,
    source_record,
)
from leaderboards.tables.further.classes import CLASS_COLUMNS, class_table
from leaderboards.tables.further.parts import PART_COLUMNS
from leaderboards.tables.further.source_auc import SOURCE_AUC_COLUMNS, source_auc_record
from leaderboards.tables.means import board_basis, main_rows
from leaderboards.tables.seen import SeenBy
from leaderboards.tables.slicing import Slice, pool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoardProtocol:
    """What the tables need to know beside the scores.

    Attributes:
        kinds: One row a kind of image: sample_id, label, generator, domain, how many ``images`` it has, and
            ``earlier``, generator and domain of the images before them that have their bytes.
        cuts: Slices of the kinds.
        seen: Detector to its training data.
        dataset: The data set's name.
        thresholds: Detector to its logit; nan where none is chosen.
        clusters: Which images depend on each other; None where each stands alone.
        policy: How the thresholds came about.
    """

    kinds: pd.DataFrame
    cuts: Sequence[Slice]
    seen: Mapping[str, SeenBy]
    dataset: str
    thresholds: Mapping[str, float]
    policy: str
    clusters: ClusterFile | None = None

    def sources(self) -> dict[str, NDArray[np.int64]]:
        """Map every real source, by name, to its kinds."""
        real = (self.kinds["label"] == 0).to_numpy()
        names = self.kinds["generator"].to_numpy(dtype=object)
        return {name: np.flatnonzero(real & (names == name)) for name in sorted(set(names[real]))}


@dataclass(frozen=True, slots=True, eq=False)
class StreamedTables:
    """The tables, and what the notes tell of the scores.

    Attributes:
        rows: One row a cell.
        extras: The tables beside the cells.
        false_alarms: Detector to the reals called fake and all reals, clean, over all slices; of those that
            are wholly scored.
    """

    rows: pd.DataFrame
    extras: Extras
    false_alarms: Mapping[str, tuple[int, int]]


def stream_tables(
    columns: Sequence[ColumnFile],
    protocol: BoardProtocol,
    folder: Path,
    advance: Advance = lambda _: None,
) -> StreamedTables:
    """Make the tables of a board.

    Rows have the bits of ``cell_rows`` on the same images. Intervals of means and of AUC against one source
    rest on sums over all images in another order, and agree within 1e-12.

    Args:
        columns: Scores; no attack, certificate, stopping rule or condition of one class among them.
        protocol: What the tables need beside them.
        folder: Where files are made, some 40 bytes an image of one column and 8 of each detector; what is
            left in it is the caller's to remove.
        advance: Hears of the ``steps`` that are done.
    """
    making = _Making(protocol, folder, any(column.condition != CLEAN for column in columns))
    for column in columns:
        making.add(column, advance)
    return making.tables()


def steps(columns: Sequence[ColumnFile], protocol: BoardProtocol) -> int:
    """Count the images that pass until the tables are made, each as often as it passes."""
    making = _Making(protocol, Path(), any(column.condition != CLEAN for column in columns))
    return sum(making.steps_of(column) for column in columns)


@dataclass(slots=True, eq=False)
class _Making:
    """The tables as far as columns were added."""

    protocol: BoardProtocol
    folder: Path
    by_class: bool
    rows: list[dict[str, Any]] = field(default_factory=list)
    pooled: list[dict[str, Any]] = field(default_factory=list)
    sources: list[dict[str, Any]] = field(default_factory=list)
    source_aucs: list[dict[str, Any]] = field(default_factory=list)
    means: dict[str, MeanFile] = field(default_factory=dict)
    intervals: dict[str, Interval] = field(default_factory=dict)
    false_alarms: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def everything(self) -> Slice:
        """The kinds of all slices."""
        return pool(self.protocol.kinds, self.protocol.cuts)

    def steps_of(self, column: ColumnFile) -> int:
        """Count the images that pass until a column is measured: read, in each cell, sorted and placed."""
        images = self.protocol.kinds["images"].to_numpy()
        clean, judged = column.condition == CLEAN, self._is_judged(column)
        cells = [*self.protocol.cuts, *([self.everything] if self._is_pooled(column) else [])]
        passes = 1 + clean * (2 + judged * self._n_sources)
        return int(passes * images.sum() + sum(images[cut.rows].sum() for cut in cells))

    def add(self, column: ColumnFile, advance: Advance) -> None:
        """Measure one column, and forget its scores."""
        protocol, left = self.protocol, self.steps_of(column)

        def passed(images: int) -> None:
            nonlocal left
            advance(min(images, left))
            left -= min(images, left)

        threshold = protocol.thresholds[column.detector]
        with tempfile.TemporaryDirectory(dir=self.folder) as place:
            measured = ColumnPass(column, threshold, Path(place), passed)
            rule = {"threshold": threshold, "threshold_policy": protocol.policy}
            rows = [
                cell_head(cut, column, protocol.seen, protocol.dataset)
                | rule
                | measured.measured(cut)
                for cut in protocol.cuts
            ]
            self.rows += rows
            if self._is_pooled(column):
                self._pool(measured)
            if column.condition == CLEAN:
                self._clean(measured, framed(rows), passed)
        advance(left)  # what was not to be done after all

    def _is_judged(self, column: ColumnFile) -> bool:
        return not math.isnan(self.protocol.thresholds[column.detector])

    def _is_pooled(self, column: ColumnFile) -> bool:
        return self._is_judged(column) and (column.condition == CLEAN or self.by_class)

    @property
    def _n_sources(self) -> int:
        """Real sources that are told apart."""
        n = len(self.protocol.sources())
        return n if n > 1 else 0

    def _pool(self, measured: ColumnPass) -> None:
        """Measure all images together, each once."""
        column, everything = measured.column, self.everything
        head = cell_head(everything, column, self.protocol.seen, "pooled")
        rule = {"threshold": measured.threshold, "threshold_policy": "0"}
        self.pooled.append(head | rule | measured.measured(everything))

    def _clean(self, measured: ColumnPass, rows: pd.DataFrame, passed: Advance) -> None:
        """Make what the board tells of clean images alone."""
        column, tally = measured.column, measured.tally
        chosen = headline_slices(self.protocol.cuts, main_rows(rows))
        images = SortedParts(column, measured.folder, passed)
        if chosen:
            areas = [_area(measured, cut.real_rows, cut.fake_rows) for cut in chosen]
            parts = self.folder / f"parts-{len(self.means)}"
            made = mean_file(images, areas, parts, self.protocol.clusters)
            pairs = min(
                int(tally.images[np.unique(np.concatenate(kinds))].sum())
                for kinds in ([area.reals for area in areas], [area.fakes for area in areas])
            )
            mean = made.mean
            error = Difference(mean.value, mean.variance, smallest_error(pairs), mean.df)
            self.means[column.detector] = made
            self.intervals[column.detector] = logit_interval(error)
        if self._is_judged(column):
            self._sources(measured, rows, images)
        reals = self.everything.real_rows
        if measured.state(reals).status == "ok":
            n_false, n = (int(of[reals].sum()) for of in (tally.called_fake, tally.images))
            self.false_alarms[column.detector] = (n_false, n)

    def _sources(self, measured: ColumnPass, rows: pd.DataFrame, images: SortedParts) -> None:
        """Hold each real source by itself, by its rate of false alarms and by AUC against it."""
        column, tally = measured.column, measured.tally
        names = self.protocol.kinds["generator"].to_numpy(dtype=object)
        compared, sources = set(names[self.everything.real_rows]), self.protocol.sources()
        basis = board_basis(rows, column.detector).cells
        fakes = [cut.fake_rows for cut in averaged_slices(self.protocol.cuts, basis)]
        n_fake = sum(int(tally.images[kinds].sum()) for kinds in fakes)
        for source, reals in sources.items():
            n, unscored, infinite, called = (int(of[reals].sum()) for of in tally)
            k = (
                called
                if column.status in ("ok", "incomplete") and not unscored + infinite
                else None
            )
            control = source not in compared
            self.sources.append(source_record(column.detector, source, n, k, control=control))
            if len(sources) > 1:
                head = (column.detector, source, control, n, n_fake)
                mean = self._against(measured, images, reals, fakes)
                estimate = Delong(mean.value, mean.variance)
                self.source_aucs.append(source_auc_record(head, estimate, mean.df))

    def _against(
        self,
        measured: ColumnPass,
        images: SortedParts,
        reals: NDArray[np.int64],
        fakes: Sequence[NDArray[np.int64]],
    ) -> AreaMean:
        """Average AUC of some slices' fakes against the same reals; nan where one is not scored."""
        pairs = [(reals, kinds) for kinds in fakes if kinds.size]
        states = [measured.state(np.concatenate(pair)).status for pair in pairs]
        if not pairs or any(state != "ok" for state in states):
            return AreaMean(NAN, NAN, math.inf)
        areas = [_area(measured, *pair) for pair in pairs]
        return mean_of_members(images, areas, self.protocol.clusters)

    def tables(self) -> StreamedTables:
        """Put the columns' tables together."""
        rows, pooled = framed(self.rows), framed(self.pooled)
        classes = pd.DataFrame(columns=list(CLASS_COLUMNS))
        if self.by_class:
            classes = class_table(pooled, [""] * len(pooled))
        values = {name: made.mean.value for name, made in self.means.items()}
        extras = Extras(
            pooled[pooled["condition"] == CLEAN].reset_index(drop=True),
            framed_sources(self.sources),
            earned_ranks(rows, values, lambda a, b: self.means[a].difference(self.means[b])),
            source_auc=pd.DataFrame(self.source_aucs, columns=list(SOURCE_AUC_COLUMNS)),
            classes=classes,
            parts=pd.DataFrame(columns=list(PART_COLUMNS)),
            intervals=self.intervals,
        )
        return StreamedTables(rows, extras, self.false_alarms)


def _area(measured: ColumnPass, reals: NDArray[np.int64], fakes: NDArray[np.int64]) -> Area:
    return Area(reals, fakes, measured.pairs(reals, fakes))
