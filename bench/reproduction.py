"""`bench reproduce`: train a study's networks, run its suite, and put our figures beside the study's."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.datasets import ImageRecord, load
from bench.errors import BenchError
from bench.files import write_text
from bench.maps import draw_maps
from bench.progress import Progress
from bench.request import RunRequest
from bench.resolve import DetectorRequest, resolve
from bench.rundir import RunDir
from bench.runner import execute
from bench.scores import Scored, load_run
from bench.suite import load_suite
from bench.training.export import SPLIT, weights_file
from bench.training.fit import is_first_process, train
from bench.training.plan import of_recipe
from bench.training.recipe import Recipe
from bench.training.request import Trained, TrainRequest
from bench.training.table import read_records
from bench.training.table import rows as training_rows
from bench.verdicts import SURE, draw_confusion, draw_gallery, pick
from detectors.card import TrainingData
from leaderboards.metrics import Metrics, evaluate
from leaderboards.render.text import escape, table

OF_TRAINING = ("parameters", "loss", "ms_step")
SHOWN = ("accuracy", "precision", "recall", "f1", "auc")


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
) -> Scored:
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
    return load_run(out)[1]


def _test_split(first: Trained) -> str:
    if first.split.made_here:
        return "test"
    used = {str(s) for s in first.manifest.table["split"].take(first.split.test).to_pylist()}
    return "test" if "test" in used else "val"


def _figures(study: Recipe, one: Trained, run: Scored, budget: str) -> Figures:
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


def _clean(run: Scored, label: str) -> Any:
    return next(c.logits for c in run.columns if c.detector == label and c.condition == "clean")


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


def _draw(one: Trained, run: Scored, records: list[ImageRecord], folder: Path) -> None:
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
