"""What figures are drawn from, and what a kind of figure is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from leaderboards.statistics.ranking import TieGroups, tie_groups
from leaderboards.tables.cells import CLEAN, ScoreColumn, cell_state
from leaderboards.tables.extras import Extras
from leaderboards.tables.notes import BoardNotes
from leaderboards.tables.slicing import Slice, pool

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """A board and the scores behind it.

    Attributes:
        rows: Rows of the board, one a cell.
        notes: Protocol of the board.
        extras: Tables beside the cells; None where there are none.
        means: What ``condition_means`` gives.
        samples: One row an image.
        slices: Cuts of the samples.
        columns: Scores, one a detector and condition.
        thresholds: Detector to the logit above which an image is called fake.
    """

    rows: pd.DataFrame
    notes: BoardNotes
    extras: Extras | None
    means: pd.DataFrame
    samples: pd.DataFrame
    slices: Sequence[Slice]
    columns: Sequence[ScoreColumn]
    thresholds: Mapping[str, float]

    @property
    def detectors(self) -> list[str]:
        """Names of the detectors, in board order."""
        return list(dict.fromkeys(self.rows["detector"]))

    def pooled(self) -> Slice:
        """Pool the slices: every image that is compared with anything, once.

        Where scoring stopped at a target, the images up to which every detector was scored, clean.
        """
        everything = pool(self.samples, self.slices)
        for column in self.columns:
            if column.condition == CLEAN:
                everything = column.part(everything)
        return everything

    def clean(self) -> list[ScoreColumn]:
        """Give the clean scores of every detector that is wholly scored on the pooled images."""
        everything = self.pooled()
        return [
            column
            for column in self.columns
            if column.condition == CLEAN and cell_state(column, everything.rows).status == "ok"
        ]

    def sorted_scores(self, column: ScoreColumn) -> TieGroups:
        """Sort a detector's scores on the pooled images."""
        everything = self.pooled()
        return tie_groups(everything.labels == 1, column.logits[everything.rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A kind of figure: which numbers it shows, and how it shows them.

    Attributes:
        summary: What it shows, in one line.
        table: Gives the rows that are drawn, tidy; empty where there is nothing to draw.
        draw: Draws these rows at a width in mm.
        lacking: Why there may be nothing to draw, to stand behind the run's name.
    """

    summary: str
    table: Callable[[Evidence], pd.DataFrame]
    draw: Callable[[pd.DataFrame, float], Figure]
    lacking: str
