"""From scores to leaderboards: metrics, intervals, cells, tables and their files.

Works on labels and raw logits only: it never sees a detector and imports no torch. Label 1 =
AI-generated = positive; a logit above the threshold is called fake.
"""

from __future__ import annotations

from leaderboards.board import CSV_NAME, MARKDOWN_NAME, SEVERITY_NAME, Board
from leaderboards.statistics.catalogue import Metric
from leaderboards.statistics.intervals import Delong, Interval, auc_interval, delong, wilson
from leaderboards.statistics.measures import CellScores
from leaderboards.statistics.metrics import Metrics, evaluate
from leaderboards.statistics.operating import Estimate
from leaderboards.tables.cells import CLEAN, COLUMNS, ScoreColumn, Status, cell_rows
from leaderboards.tables.extras import Extras, extras
from leaderboards.tables.notes import BoardNotes
from leaderboards.tables.seen import SeenBy
from leaderboards.tables.slicing import NO_DOMAIN, POOLED, Axis, Slice, slices

__all__ = [
    "CLEAN",
    "COLUMNS",
    "CSV_NAME",
    "MARKDOWN_NAME",
    "NO_DOMAIN",
    "POOLED",
    "SEVERITY_NAME",
    "Axis",
    "Board",
    "BoardNotes",
    "CellScores",
    "Delong",
    "Estimate",
    "Extras",
    "Interval",
    "Metric",
    "Metrics",
    "ScoreColumn",
    "SeenBy",
    "Slice",
    "Status",
    "auc_interval",
    "cell_rows",
    "delong",
    "evaluate",
    "extras",
    "slices",
    "wilson",
]
