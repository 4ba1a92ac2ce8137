"""The pictures of a reproduced study: each network's confusion matrix, gallery and activation maps."""

from __future__ import annotations

from pathlib import Path

import torch

from bench.datasets import ImageRecord, load
from bench.inference.detector import DetectorRequest, resolve
from bench.pictures.activation_maps import draw_maps
from bench.pictures.verdicts import SURE, draw_confusion, draw_gallery, pick
from bench.results.scores import ScoreTable
from bench.store.rundir import RunDir
from bench.studies.suite_run import clean_logits
from bench.training.plan import Trained
from leaderboards.statistics.metrics import evaluate


def draw_pictures(training: Trained, scores: ScoreTable, run: Path, folder: Path) -> None:
    """Draw what one network got right and wrong, and what it looks for.

    Args:
        training: The network that is drawn.
        scores: Scores of the study's run.
        run: Folder of that run, which lists the images.
        folder: Folder that the pictures go to, under the detector's name.

    Raises:
        OutputError: The folder cannot be written.
    """
    plan = training.plan
    detector = plan.weights_file.stem
    records = [ImageRecord(**row) for row in RunDir(run).manifest().to_pylist()]
    logits, threshold = clean_logits(scores, detector), scores.thresholds[detector]
    labels = scores.samples["label"].to_numpy()
    draw_confusion(
        evaluate(labels, logits, threshold), folder / f"{detector}-confusion.svg", title=plan.name
    )
    # A split made here is a table in the training's folder, and the run read its images through it.
    root = plan.folder.resolve() if plan.split.made_here else plan.manifest.root
    draw_gallery(
        root, records, logits, threshold, folder / f"{detector}-gallery.png", title=plan.name
    )
    surest = [
        (picked.title, load(root, records[picked.rows[0]]))
        for picked in pick(labels, logits, threshold, 1, SURE)
        if picked.rows
    ]
    draw_maps(
        resolve(DetectorRequest(str(plan.weights_file))).to(torch.device("cpu")),
        surest,
        folder / f"{detector}-maps.png",
        title=plan.name,
    )
