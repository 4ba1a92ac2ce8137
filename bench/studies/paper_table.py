"""Our figures beside the study's."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.studies.recipe import Recipe
from bench.training.report import read_records
from bench.training.report import rows as training_rows
from bench.training.request import Trained
from leaderboards.render.text import escape, table
from leaderboards.statistics.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Figures:
    """One trained network on the test images.

    Attributes:
        name: The detector.
        arch: Its architecture.
        seen: On test images of the generators and domains it was trained on, as the studies report.
        unseen: On all others; ``None`` where there are none.
        fresh: On those of ``seen`` whose bytes stand in no training image; ``None`` where that is all.
        paper: The study's figures.
        departures: Settings that are not the study's, in words.
    """

    name: str
    arch: str
    seen: Metrics
    unseen: Metrics | None
    fresh: Metrics | None
    paper: Mapping[str, float]
    departures: tuple[str, ...]


OF_TRAINING = ("parameters", "loss", "ms_step")


SHOWN = ("accuracy", "precision", "recall", "f1", "auc")


def _markdown(study: Recipe, budget: str, done: list[Trained], figures: list[Figures]) -> str:
    records = read_records([one.folder for one in done])
    trained = dict(zip([record["name"] for record in records], training_rows(records), strict=True))
    lines = [f"# {escape(study.name)}: {escape(study.title)}", "", f"{escape(study.source)}.", ""]
    lines += table(
        ["network", "metric", "ours", "study", "difference"], _rows(figures, trained), left=2
    )
    lines += [
        "Test images of the generators and domains trained on; positive = AI-generated, threshold logit 0.",
        "",
    ]
    lines += _further("On all other test images:", {f.name: f.unseen for f in figures})
    fresh = {f.name: f.fresh for f in figures}
    lines += _further("Without test images that are byte-identical to a training image:", fresh)
    lines += ["Trainings:", ""]
    lines += table(
        list(next(iter(trained.values()))),
        [[escape(v) for v in r.values()] for r in trained.values()],
    )
    lines += [f"Budget: {escape(budget) if budget else 'the study’s own'}.", ""]
    for one, f in zip(done, figures, strict=True):
        lines += [
            f"- {escape(f.name)}: {escape(text)}" for text in (*f.departures, *one.split.remarks)
        ]
    lines += ["", *(f"- Exact: {escape(text)}" for text in study.exact)]
    lines += [f"- Assumed: {escape(text)}" for text in study.assumed]
    return "\n".join(lines) + "\n"


def _further(title: str, found: Mapping[str, Metrics | None]) -> list[str]:
    """The same metrics on other images; nothing where there are none."""
    rows = [
        [escape(name), str(m.n_real + m.n_fake), *(_number(getattr(m, key)) for key in SHOWN)]
        for name, m in found.items()
        if m is not None
    ]
    return [title, "", *table(["network", "images", *SHOWN], rows)] if rows else []


def _rows(figures: list[Figures], trained: Mapping[str, Mapping[str, str]]) -> list[list[str]]:
    rows = []
    for f in figures:
        for key in (*SHOWN, *(k for k in f.paper if k not in (*SHOWN, *OF_TRAINING))):
            ours, theirs = float(getattr(f.seen, key)), f.paper.get(key)
            gap = "" if theirs is None else f"{ours - theirs:+.4f}"
            rows.append(
                [escape(f.name), key, _number(ours), "" if theirs is None else f"{theirs:.4f}", gap]
            )
        columns = {"parameters": "parameters (M)", "loss": "min loss", "ms_step": "ms/step"}
        for key, column in columns.items():
            if key in f.paper:
                ours = float(trained[f.name][column])
                rows.append(
                    [
                        escape(f.name),
                        column,
                        f"{ours:g}",
                        f"{f.paper[key]:g}",
                        f"{ours - f.paper[key]:+.4g}",
                    ]
                )
    return rows


def _number(value: float) -> str:
    return "n/a" if np.isnan(value) else f"{value:.4f}"


def _as_json(study: Recipe, budget: str, figures: list[Figures]) -> dict[str, Any]:
    def plain(metrics: Metrics | None) -> dict[str, float | None] | None:
        if metrics is None:
            return None
        return {k: None if np.isnan(v) else v for k, v in dataclasses.asdict(metrics).items()}

    return {
        "recipe": study.name,
        "budget": budget,
        "networks": [
            {
                "name": f.name,
                "arch": f.arch,
                "ours": plain(f.seen),
                "unseen": plain(f.unseen),
                "without_leaks": plain(f.fresh),
                "study": dict(f.paper),
                "departures": list(f.departures),
            }
            for f in figures
        ],
    }


def departures(study: Recipe, one: Trained, budget: str) -> tuple[str, ...]:
    """Where a training is not the study's, setting by setting."""
    theirs = study.settings(one.arch.name).model_dump(mode="json")
    ours = one.request.settings.model_dump(mode="json")
    found = [f"budget {budget}: {study.budget[budget].description}"] if budget else []
    skipped = {"generators", "domains"} if study.per else set()
    found += [
        f"{key} {ours[key]!r} where the recipe has {theirs[key]!r}"
        for key in theirs
        if ours[key] != theirs[key] and key not in skipped
    ]
    if theirs["init"] == "imagenet" and "ImageNet" not in one.started_from:
        found.append(f"started from {one.started_from}, the study from ImageNet weights")
    return tuple(found)
