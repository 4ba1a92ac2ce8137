"""Our figures beside the study's, as a page and as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.studies.figures import Figures
from bench.studies.recipe import Recipe
from bench.training.plan import Trained
from bench.training.report import read_records
from bench.training.report import rows as training_rows
from leaderboards.render.text import escape, table
from leaderboards.statistics.metrics import Metrics

METRICS = ("accuracy", "precision", "recall", "f1", "auc")
# Figures of a study that are of the training, and the column of the training table that holds ours.
TRAINING_COLUMNS = {"parameters": "parameters (M)", "loss": "min loss", "ms_step": "ms/step"}


def to_markdown(
    study: Recipe, budget: str, trainings: Sequence[Trained], figures: Sequence[Figures]
) -> str:
    """Write the comparison as a page: figures, trainings, departures, and what the study leaves open.

    Args:
        study: Recipe of the study.
        budget: Name of the budget that was trained with, or empty.
        trainings: The study's networks, trained here.
        figures: Figures of the networks, in the same order.
    """
    records = read_records([training.plan.folder for training in trainings])
    names = [record["name"] for record in records]
    trained = dict(zip(names, training_rows(records), strict=True))
    lines = [f"# {escape(study.name)}: {escape(study.title)}", "", f"{escape(study.source)}.", ""]
    lines += table(
        ["network", "metric", "ours", "study", "difference"],
        [row for f in figures for row in (*_metric_rows(f), *_training_rows(f, trained[f.name]))],
        left=2,
    )
    lines += [
        "Test images of the generators and domains trained on; positive = AI-generated, threshold logit 0.",
        "",
    ]
    lines += _section("On all other test images:", {f.name: f.unseen for f in figures})
    lines += _section(
        "Without test images that are byte-identical to a training image:",
        {f.name: f.fresh for f in figures},
    )
    lines += ["Trainings:", ""]
    lines += table(
        list(next(iter(trained.values()))),
        [[escape(value) for value in row.values()] for row in trained.values()],
    )
    lines += [f"Budget: {escape(budget) if budget else 'the study’s own'}.", ""]
    for training, f in zip(trainings, figures, strict=True):
        remarks = (*f.departures, *training.plan.split.remarks)
        lines += [f"- {escape(f.name)}: {escape(text)}" for text in remarks]
    lines += ["", *(f"- Exact: {escape(text)}" for text in study.exact)]
    lines += [f"- Assumed: {escape(text)}" for text in study.assumed]
    return "\n".join(lines) + "\n"


def to_json(study: Recipe, budget: str, figures: Sequence[Figures]) -> dict[str, Any]:
    """Give the comparison as plain values; an undefined metric is ``None``."""
    return {
        "recipe": study.name,
        "budget": budget,
        "networks": [
            {
                "name": f.name,
                "arch": f.arch,
                "ours": _plain(f.seen),
                "unseen": _plain(f.unseen),
                "without_leaks": _plain(f.fresh),
                "study": dict(f.paper),
                "departures": list(f.departures),
            }
            for f in figures
        ],
    }


def _plain(metrics: Metrics | None) -> dict[str, float | None] | None:
    if metrics is None:
        return None
    values = dataclasses.asdict(metrics)
    return {key: None if np.isnan(value) else value for key, value in values.items()}


def _metric_rows(figures: Figures) -> list[list[str]]:
    """Rows of one network's metrics on the test images; a figure the study does not give stays empty."""
    further = [key for key in figures.paper if key not in (*METRICS, *TRAINING_COLUMNS)]
    rows = []
    for key in (*METRICS, *further):
        ours, theirs = float(getattr(figures.seen, key)), figures.paper.get(key)
        study = "" if theirs is None else f"{theirs:.4f}"
        difference = "" if theirs is None else f"{ours - theirs:+.4f}"
        rows.append([escape(figures.name), key, _number(ours), study, difference])
    return rows


def _training_rows(figures: Figures, trained: Mapping[str, str]) -> list[list[str]]:
    """Rows of what the study says of its training, such as the number of parameters."""
    rows = []
    for key, column in TRAINING_COLUMNS.items():
        if key in figures.paper:
            ours, theirs = float(trained[column]), figures.paper[key]
            difference = f"{ours - theirs:+.4g}"
            rows.append([escape(figures.name), column, f"{ours:g}", f"{theirs:g}", difference])
    return rows


def _section(title: str, metrics: Mapping[str, Metrics | None]) -> list[str]:
    """The same metrics on other images; nothing where there are none."""
    rows = [
        [escape(name), str(m.n_real + m.n_fake), *(_number(getattr(m, key)) for key in METRICS)]
        for name, m in metrics.items()
        if m is not None
    ]
    return [title, "", *table(["network", "images", *METRICS], rows)] if rows else []


def _number(value: float) -> str:
    return "n/a" if np.isnan(value) else f"{value:.4f}"
