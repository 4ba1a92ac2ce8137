"""The catalogue is the one list of metrics: cells, files, tables and tests derive from it."""

from __future__ import annotations

import csv
import io
import json
import runpy
from dataclasses import fields
from pathlib import Path

import pytest

from leaderboards import COLUMNS, Board, BoardNotes, Metrics, cell_rows, slices
from leaderboards.statistics import catalogue
from leaderboards.statistics.catalogue import (
    CATALOGUE,
    Metric,
    headline_metrics,
    metric_of,
    paired_metrics,
)
from leaderboards.statistics.operating import Estimate


def test_every_field_of_metrics_has_a_record_and_every_record_a_field():
    columns = [name for metric in CATALOGUE for name in metric.columns]
    assert len(columns) == len(set(columns))
    assert {field.name for field in fields(Metrics)} == set(columns)
    assert set(columns) < set(COLUMNS)


def test_every_record_says_what_it_is():
    for metric in CATALOGUE:
        assert metric.title
        assert metric.formula
        assert metric.bounds[0] < metric.bounds[1]
        assert metric.measure.__doc__ or metric.whole


def test_a_metric_added_in_one_place_is_in_every_file(pocket, pairing, pocket_columns, monkeypatch):
    made_up = Metric(
        name="youden", title="Youden's J", formula="TP / n_fake + TN / n_real - 1",
        bounds=(-1.0, 1.0), interval=True, tables=("working points",),
        measure=lambda cell: Estimate(cell.tp / cell.n_fake + cell.tn / cell.n_real - 1, -1.0, 1.0),
    )  # fmt: skip
    monkeypatch.setattr(catalogue, "CATALOGUE", (*CATALOGUE, made_up))
    rows = cell_rows(pocket, slices(pocket, pairing), pocket_columns, {}, "pocket")
    board = Board(rows, BoardNotes(suite="s", dataset="pocket"))
    first = next(csv.DictReader(io.StringIO(board.to_csv())))
    value = float(first["real_recall"]) + float(first["fake_recall"]) - 1
    assert float(first["youden"]) == pytest.approx(value, abs=1e-6)
    assert (first["youden_lo"], first["youden_hi"]) == ("-1", "1")
    cell = json.loads(board.to_json())["cells"][0]
    assert cell["youden"] == pytest.approx(value, abs=1e-6)
    assert "| Youden's J" in board.to_markdown()


def test_the_page_of_metrics_is_the_catalogue_s():
    docs = Path(__file__).parents[2] / "docs"
    page = runpy.run_path(str(docs / "generate_metrics.py"))["render"]()
    assert (docs / "metrics.md").read_text(encoding="utf-8") == page
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) == len(CATALOGUE)


def test_lists_of_metrics_derive_from_the_records():
    assert [metric.name for metric in headline_metrics()] == ["auc", "accuracy"]
    assert set(paired_metrics()) == {metric.name for metric in CATALOGUE if metric.is_paired}
    assert next(iter(paired_metrics())) == "auc"
    assert metric_of("f1_hi").name == "f1"
    assert metric_of("detector") is None
