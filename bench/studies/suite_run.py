"""A study's suite, run over the images that its networks were not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.inference.detector import DetectorRequest
from bench.protocol.suite import load_suite
from bench.results.scores import ScoreTable, load_run
from bench.runs.request import RunRequest
from bench.runs.runner import execute
from bench.studies.recipe import Recipe
from bench.support.progress import Progress
from bench.training.export import SPLIT
from bench.training.options import TrainOptions
from bench.training.plan import Trained, TrainingPlan


def run_suite(
    study: Recipe,
    trainings: Sequence[Trained],
    options: TrainOptions,
    folder: Path,
    progress: Progress,
) -> ScoreTable:
    """Score the test images with all networks of a study; what is scored already is taken over.

    Args:
        study: The recipe, which names the suite.
        trainings: Its networks; all have the same test images.
        options: What they were trained with: data, layout, device and cache.
        folder: Folder of the run.
        progress: Told how far it is.

    Raises:
        BenchError: If no image is left to test on, or the split that was made could not be written.
    """
    plan = trainings[0].plan
    if not len(plan.split.test):
        raise BenchError(
            f"{plan.manifest.name} leaves no test image: recipe {study.name} needs a "
            "split `test`, or data without splits"
        )
    data, split = options.data, _test_split(plan)
    layout = study.layout if options.layout == "auto" else options.layout
    if plan.split.made_here:
        data, layout, split = str(plan.folder / SPLIT), "auto", "test"
        if not Path(data).is_file():
            raise BenchError(
                "data in Parquet need splits of their own to be reproduced on: add a column `split`"
            )
    request = RunRequest(
        detectors=tuple(DetectorRequest(str(t.plan.weights_file)) for t in trainings),
        suite=load_suite(study.suite),
        data=data,
        layout=layout,
        split=split,
        out=folder,
        device=options.device,
        cache=options.cache,
        force=True,  # whose folder this is, its trainings have settled
    )
    execute(request, progress)
    return load_run(folder).scores


def _test_split(plan: TrainingPlan) -> str:
    """The data's own split that serves as the test: ``val`` where there is no ``test``."""
    splits = plan.manifest.table["split"].take(plan.split.test).to_pylist()
    return "test" if "test" in splits else "val"


def clean_logits(scores: ScoreTable, detector: str) -> NDArray[np.float32]:
    """Find a detector's logits under no condition: (N,) float32, nan where unscored."""
    return next(
        column.logits
        for column in scores.columns
        if column.detector == detector and column.condition == "clean"
    )
