"""`bench reproduce`: train a study's networks, run its suite, and put our figures beside the study's."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.studies.figures import measure
from bench.studies.paper_table import to_json, to_markdown
from bench.studies.pictures import draw_pictures
from bench.studies.recipe import Recipe
from bench.studies.suite_run import run_suite
from bench.studies.trainings import list_study_trainings
from bench.support.files import write_text
from bench.support.plain import path_name
from bench.support.progress import Progress
from bench.training.fit import is_first_process, train
from bench.training.options import TrainOptions


@dataclass(frozen=True, slots=True)
class Reproduction:
    """A study done again.

    Attributes:
        folder: Folder of everything that was written.
        markdown: The comparison with the study as a page.
        facts: The comparison as plain values.
    """

    folder: Path
    markdown: str
    facts: Mapping[str, Any]


def reproduce(
    study: Recipe,
    options: TrainOptions,
    budget: str,
    changes: Mapping[str, Any],
    progress: Progress,
    *,
    detector: str | None = None,
) -> Reproduction | None:
    """Train a study's networks, score its test images, and compare our figures with its own.

    Args:
        study: Recipe of the study.
        options: Data, device and the like; their folder receives everything.
        budget: One of the recipe's, or empty for the study's own settings.
        changes: Settings given beside the recipe.
        progress: Told how far it is.
        detector: Only this network of the recipe.

    Returns:
        The comparison; ``None`` in the further processes of a training on several devices, which only
        train.

    Raises:
        BenchError: On anything the user can mend.
    """
    folder = options.out or _default_folder(study, budget)
    trainings = []
    for request in list_study_trainings(
        study,
        dataclasses.replace(options, out=None, name=None),
        detector,
        budget,
        changes,
        progress=progress,
    ):
        place = folder / "trainings" / path_name(str(request.options.name).replace("/", "_"))
        placed = dataclasses.replace(request.options, out=place)
        trainings.append(train(dataclasses.replace(request, options=placed), progress))
    if not is_first_process():
        return None
    scores = run_suite(study, trainings, options, folder / "run", progress)
    figures = [measure(study, training, scores, budget) for training in trainings]
    for training in trainings:
        draw_pictures(training, scores, folder / "run", folder)
    markdown = to_markdown(study, budget, trainings, figures)
    facts = to_json(study, budget, figures)
    write_text(folder / "reproduction.md", markdown)
    write_text(folder / "reproduction.json", json.dumps(facts, indent=2) + "\n")
    progress.note(
        f"written: {folder / 'reproduction.md'}, with curves, confusion matrices, galleries and maps"
    )
    return Reproduction(folder, markdown, facts)


def _default_folder(study: Recipe, budget: str) -> Path:
    return Path("reproductions") / path_name(f"{study.name}-{budget}" if budget else study.name)
