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
from leaderboards.streamed.columns import ColumnFile, ColumnPass
from leaderboards.streamed.means import MeanFile, mean_area
from leaderboards.tables.cells import CLEAN, cell_head, framed
from leaderboards.tables.condition_means import logit_interval
from leaderboards.tables.extras import (
    Extras,
    averaged_slices,
    earned_ranks,
    framed_sources,
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
        kinds: One row a kind of image: sample_id, label, generator, domain; no image depends on another.
        cuts: Slices of the kinds.
        seen: Detector to its training data.
        dataset: The data set's name.
        thresholds: Detector to its logit; nan where none is chosen.
        policy: How the thresholds came about.
    """

    kinds: pd.DataFrame
    cuts: Sequence[Slice]
    seen: Mapping[str, SeenBy]
    dataset: str
    thresholds: Mapping[str, float]
    policy: str

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
    columns: Sequence[ColumnFile], protocol: BoardProtocol, folder: Path
) -> StreamedTables:
    """Make the tables of a board.

    Rows have the bits of ``cell_rows`` on the same images. Intervals of means and of AUC against one source
    rest on sums over all images in another order, and agree within 1e-12.

    Args:
        columns: Scores; no attack, certificate, stopping rule or condition of one class among them.
        protocol: What the tables need beside them.
        folder: Where files are made, some 40 bytes an image of one column and 8 of each detector; what is
            left in it is the caller's to remove.
    """
    making = _Making(protocol, folder, any(column.condition != CLEAN for column in columns))
    for column in columns:
        making.add(column)
    return making.tables()


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

    def add(self, column: ColumnFile) -> None:
        """Measure one column, and forget its scores."""
        protocol, clean = self.protocol, column.condition == CLEAN
        threshold = protocol.thresholds[column.detector]
        with tempfile.TemporaryDirectory(dir=self.folder) as place:
            measured = ColumnPass(column, threshold, Path(place))
            rule = {"threshold": threshold, "threshold_policy": protocol.policy}
            rows = [
                cell_head(cut, column, protocol.seen, protocol.dataset)
                | rule
                | measured.measured(cut)
                for cut in protocol.cuts
            ]
            self.rows += rows
            judged = not math.isnan(threshold)
            if judged and (clean or self.by_class):
                self._pool(measured)
            if clean:
                self._clean(measured, framed(rows), judged=judged)

    def _pool(self, measured: ColumnPass) -> None:
        """Measure all images together, each once."""
        column, everything = measured.column, self.everything
        head = cell_head(everything, column, self.protocol.seen, "pooled")
        rule = {"threshold": measured.threshold, "threshold_policy": "0"}
        self.pooled.append(head | rule | measured.measured(everything))

    def _clean(self, measured: ColumnPass, rows: pd.DataFrame, *, judged: bool) -> None:
        """Make what the board tells of clean images alone."""
        column, cuts, tally = measured.column, self.protocol.cuts, measured.tally
        cells = main_rows(rows)
        chosen = averaged_slices(cuts, cells)
        scored = (cells["status"] == "ok").all() and not cells["auc"].isna().any()
        if scored and chosen:
            areas = [(cut.real_rows, cut.fake_rows) for cut in chosen]
            parts = self.folder / f"parts-{len(self.means)}"
            mean = self.means[column.detector] = mean_area(measured, areas, parts)
            pairs = min(
                int(tally.images[np.unique(np.concatenate(kinds))].sum())
                for kinds in zip(*areas, strict=True)
            )
            error = Difference(mean.value, mean.variance, smallest_error(pairs))
            self.intervals[column.detector] = logit_interval(error)
        if judged:
            self._sources(measured, rows)
        reals = self.everything.real_rows
        if measured.state(reals).status == "ok":
            n_false, n = (int(of[reals].sum()) for of in (tally.called_fake, tally.images))
            self.false_alarms[column.detector] = (n_false, n)

    def _sources(self, measured: ColumnPass, rows: pd.DataFrame) -> None:
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
                estimate = self._against(measured, reals, fakes)
                self.source_aucs.append(source_auc_record(head, estimate))

    def _against(
        self, measured: ColumnPass, reals: NDArray[np.int64], fakes: Sequence[NDArray[np.int64]]
    ) -> Delong:
        """Average AUC of some slices' fakes against the same reals; nan where one is not scored."""
        areas = [(reals, kinds) for kinds in fakes if kinds.size]
        states = [measured.state(np.concatenate(area)).status for area in areas]
        if not areas or any(state != "ok" for state in states):
            return Delong(NAN, NAN)
        parts = self.folder / "parts-of-one-source"
        mean = mean_area(measured, areas, parts)
        parts.unlink()
        return Delong(mean.value, mean.variance)

    def tables(self) -> StreamedTables:
        """Put the columns' tables together."""
        rows, pooled = framed(self.rows), framed(self.pooled)
        classes = pd.DataFrame(columns=list(CLASS_COLUMNS))
        if self.by_class:
            classes = class_table(pooled, [""] * len(pooled))
        values = {name: mean.value for name, mean in self.means.items()}
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
