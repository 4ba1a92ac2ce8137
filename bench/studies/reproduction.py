"""`bench reproduce`: train a study's networks, run its suite, and put our figures beside the study's."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.datasets import ImageRecord, load
from bench.errors import BenchError
from bench.inference.detector import DetectorRequest, resolve
from bench.pictures.activation_maps import draw_maps
from bench.pictures.verdicts import SURE, draw_confusion, draw_gallery, pick
from bench.protocol.suite import load_suite
from bench.results.scores import ScoreTable, load_run
from bench.runs.request import RunRequest
from bench.runs.runner import execute
from bench.store.rundir import RunDir
from bench.studies.paper_table import Figures, _as_json, _markdown, departures
from bench.studies.recipe import Recipe
from bench.studies.trainings import of_recipe
from bench.support.files import write_text
from bench.support.progress import Progress
from bench.training.export import SPLIT, weights_file
from bench.training.fit import is_first_process, train
from bench.training.request import Trained, TrainRequest
from detectors.card import TrainingData
from leaderboards.statistics.metrics import Metrics, evaluate


def reproduce(
    study: Recipe,
    base: TrainRequest,
    budget: str,
    changes: Mapping[str, Any],
    progress: Progress,
    *,
    detector: str | None = None,
) -> tuple[str, Path]:
    """Train, test, compare.

    Args:
        study: The recipe.
        base: Data, device and the like; its folder receives everything.
        budget: One of the recipe's, or empty for the study's own settings.
        changes: Settings given beside the recipe.
        progress: Told how far it is.
        detector: Only this network of the recipe.

    Returns:
        The comparison as Markdown, and the folder of all that was written.

    Raises:
        BenchError: On anything the user can mend.
    """
    folder = base.out or Path("reproductions") / (
        f"{study.name}-{budget}" if budget else study.name
    )
    made = of_recipe(
        study,
        dataclasses.replace(base, out=None, name=None),
        detector,
        budget,
        dict(changes),
        progress=progress,
    )
    done = []
    for request in made:
        place = folder / "trainings" / str(request.name).replace("/", "_")
        done.append(train(dataclasses.replace(request, out=place), progress))
    if not is_first_process():
        return "", folder
    run = _run(study, done, base, folder / "run", progress)
    figures = [_figures(study, one, run, budget) for one in done]
    records = [ImageRecord(**row) for row in RunDir(folder / "run").manifest().to_pylist()]
    for one in done:
        _draw(one, run, records, folder)
    text = _markdown(study, budget, done, figures)
    write_text(folder / "reproduction.md", text)
    write_text(
        folder / "reproduction.json", json.dumps(_as_json(study, budget, figures), indent=2) + "\n"
    )
    progress.note(
        f"written: {folder / 'reproduction.md'}, with curves, confusion matrices, galleries and maps"
    )
    return text, folder


def _run(
    study: Recipe, done: list[Trained], base: TrainRequest, out: Path, progress: Progress
) -> ScoreTable:
    """The study's suite over the test images, with all its networks."""
    first = done[0]
    if not len(first.split.test):
        raise BenchError(
            f"{first.manifest.name} leaves no test image: recipe {study.name} needs a "
            "split `test`, or data without splits"
        )
    layout = study.layout if base.layout == "auto" else base.layout
    data, split = base.data, _test_split(first)
    if first.split.made_here:
        data, layout = str(first.folder / SPLIT), "auto"
        if not Path(data).is_file():
            raise BenchError(
                "data in Parquet need splits of their own to be reproduced on: add a column `split`"
            )
    execute(
        RunRequest(
            detectors=tuple(DetectorRequest(str(weights_file(one))) for one in done),
            suite=load_suite(study.suite),
            data=data,
            layout=layout,
            split=split,
            out=out,
            device=base.device,
            cache=base.cache,
        ),
        progress,
    )
    return load_run(out).scores


def _test_split(first: Trained) -> str:
    if first.split.made_here:
        return "test"
    used = {str(s) for s in first.manifest.table["split"].take(first.split.test).to_pylist()}
    return "test" if "test" in used else "val"


def _figures(study: Recipe, one: Trained, run: ScoreTable, budget: str) -> Figures:
    card = json.loads(weights_file(one).with_suffix(".json").read_text(encoding="utf-8"))
    data = TrainingData.model_validate(card["training_data"])
    label = weights_file(one).stem
    logits = _clean(run, label)
    samples = run.samples
    sources = {s for g in data.generators for s in run.pairing.get(g, ())}
    everyone = {s for found in run.pairing.values() for s in found}
    # Controls are compared with no generator, so they belong to neither side.
    counted = (samples["label"] == 1).to_numpy() | samples["generator"].isin(everyone).to_numpy()
    seen = samples["generator"].isin([*data.generators, *sources]).to_numpy()
    if data.domains:
        seen = seen & samples["domain"].isin(data.domains).to_numpy()
    labels = samples["label"].to_numpy()
    scored = np.isfinite(logits)

    trained_on = set(one.manifest.table["sha256"].take(one.split.train).to_pylist()) - {""}
    leaked = samples["sha256"].isin(trained_on).to_numpy()

    def over(mask: Any) -> Metrics | None:
        mask = mask & scored
        return evaluate(labels[mask], logits[mask], run.thresholds[label]) if mask.any() else None

    here = over(seen)
    if here is None:
        raise BenchError(
            f"{one.name}: no test image of what it was trained on was scored: see {one.folder}"
        )
    return Figures(
        name=one.name,
        arch=one.arch.name,
        seen=here,
        unseen=over(~seen & counted),
        fresh=over(seen & ~leaked) if (seen & leaked).any() else None,
        paper=study.network(one.arch.name).paper,
        departures=departures(study, one, budget),
    )


def _clean(run: ScoreTable, label: str) -> Any:
    return next(c.logits for c in run.columns if c.detector == label and c.condition == "clean")


def _draw(one: Trained, run: ScoreTable, records: list[ImageRecord], folder: Path) -> None:
    label = weights_file(one).stem
    logits, threshold = _clean(run, label), run.thresholds[label]
    labels = run.samples["label"].to_numpy()
    found = evaluate(labels, logits, threshold)
    counts = {key: getattr(found, key) for key in ("tp", "fp", "tn", "fn")}
    draw_confusion(counts, folder / f"{label}-confusion.svg", title=one.name)
    root = one.folder.resolve() if one.split.made_here else one.manifest.root
    draw_gallery(root, records, logits, threshold, folder / f"{label}-gallery.png", title=one.name)
    surest = [(what, at[0]) for what, at in pick(labels, logits, threshold, 1, SURE) if at]
    draw_maps(
        resolve(DetectorRequest(str(weights_file(one)))).to(torch.device("cpu")),
        [(what, load(root, records[at])) for what, at in surest],
        folder / f"{label}-maps.png",
        title=one.name,
    )
