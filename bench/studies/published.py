"""A published detector on its paper's test set: nothing is trained, our figures stand beside the paper's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench import registry
from bench.errors import BenchError, nearest
from bench.inference.detector import DetectorRequest, architecture
from bench.protocol.suite import Suite
from bench.results.scores import load_run
from bench.runs.request import RunRequest
from bench.runs.runner import RunResult, execute
from bench.studies.published_table import Comparison, PublishedRow, to_json, to_markdown
from bench.studies.reproduction import Reproduction
from bench.support.files import write_text
from bench.support.progress import Progress
from detectors.card import DetectorCard
from detectors.publication.facts import PaperFigure
from detectors.publication.method import Method
from leaderboards import CLEAN
from leaderboards.tables.generator_names import is_among

# Metrics as papers name them, and the columns of a board that hold ours.
COLUMNS = {
    "accuracy": "accuracy",
    "balanced accuracy": "balanced_accuracy",
    "real accuracy": "real_recall",
    "fake accuracy": "fake_recall",
    "average precision": "ap",
    "auc": "auc",
}
# What stands in the table whether the paper gives it or not.
ALWAYS = ("accuracy", "real accuracy", "fake accuracy", "average precision")

SUITE = Suite(
    name="published",
    description="A published detector on its paper's test set, a generator at a time.",
    slices=["generator"],
    conditions=[CLEAN],
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedOptions:
    """What a user may say beside a published detector.

    Attributes:
        data: Folder or file of the paper's test set.
        layout: Name of the layout, or ``auto``.
        test_set: Whose figures to compare with; ``None`` takes the set that shares most generators.
        out: Folder that everything goes to; ``None`` is ``reproductions/<detector>``.
        limit: At most about so many images; ``None`` takes all.
        device: ``auto``, ``cpu`` or ``cuda:N``.
        cache: Folder of cached manifests; ``None`` is the user's cache.
    """

    data: str
    layout: str = "auto"
    test_set: str | None = None
    out: Path | None = None
    limit: int | None = None
    device: str = "auto"
    cache: Path | None = None


def is_study(name: str) -> bool:
    """Tell whether a name is that of a study's recipe or its file, rather than of a detector."""
    return name in registry.recipes() or Path(name).suffix == ".toml"


def find_method(name: str) -> Method:
    """Find a published method by name.

    Raises:
        BenchError: If there is none of that name; suggests the nearest studies and methods.
    """
    if registry.adapter_of(name) is None and name not in registry.detectors():
        methods = [each for each, made in registry.detectors().items() if isinstance(made, Method)]
        raise BenchError(
            f"no study or published detector called {name!r}: "
            f"{nearest(name, [*registry.recipes(), *methods])}"
        )
    method = architecture(name)
    if not isinstance(method, Method):
        raise BenchError(
            f"{name} is an architecture, which no paper published with weights: choose a study "
            "(`bench ls recipes`) or a published detector (`bench show NAME` names its paper)"
        )
    return method


def reproduce_published(
    request: DetectorRequest, options: PublishedOptions, progress: Progress
) -> Reproduction:
    """Score a paper's test set with its published weights, and compare the figures.

    Args:
        request: The detector and its weights.
        options: Data, test set, device and the like.
        progress: Told how far it is.

    Raises:
        BenchError: Without weights, or on anything else the user can mend.
    """
    method = find_method(request.name)
    published = method.publication
    if request.weights is None:
        place = f"{published.file} at {published.url}".removeprefix(" at ")
        source = f" ({place})" if published.url else ""
        raise BenchError(
            f"bench reproduce {request.name} trains nothing: pass --weights FILE, the published "
            f"weights{source}"
        )
    figures = _of_test_set(method, options.test_set)
    folder = options.out or Path("reproductions") / request.label.replace("/", "_")
    result = execute(
        RunRequest(
            detectors=(request,),
            suite=SUITE,
            data=options.data,
            layout=options.layout,
            out=folder / "run",
            limit=options.limit,
            device=options.device,
            cache=options.cache,
            force=True,  # the folder is this reproduction's own
        ),
        progress,
    )
    comparison = compare(method, figures, result, request)
    markdown, facts = to_markdown(comparison), to_json(comparison)
    write_text(folder / "reproduction.md", markdown)
    write_text(folder / "reproduction.json", json.dumps(facts, indent=2) + "\n")
    progress.note(f"written: {folder / 'reproduction.md'}, and the run beside it")
    return Reproduction(folder, markdown, facts)


def _of_test_set(method: Method, test_set: str | None) -> tuple[PaperFigure, ...]:
    """The figures of one test set, or of every set that gives them a generator at a time."""
    figures = method.publication.figures
    if test_set is None:
        return tuple(figure for figure in figures if _has_generators(figures, figure.test_set))
    known = sorted({figure.test_set for figure in figures})
    if test_set not in known:
        offered = nearest(test_set, known) if known else "its paper's figures are not known here"
        raise BenchError(f"--test-set {test_set}: {method.name} has no figures on it: {offered}")
    return tuple(figure for figure in figures if figure.test_set == test_set)


def _has_generators(figures: Sequence[PaperFigure], test_set: str) -> bool:
    return any(figure.test_set == test_set and figure.generator for figure in figures)


def compare(
    method: Method, figures: Sequence[PaperFigure], result: RunResult, request: DetectorRequest
) -> Comparison:
    """Put the cells of a finished run beside a paper's figures.

    Args:
        method: The published method.
        figures: Figures of the paper that come into question.
        result: The run over the user's copy of the test set.
        request: What was asked for, for what departs from the paper.
    """
    cells = result.board.rows[result.board.rows["condition"] == CLEAN]
    generators = [str(name) for name in cells["generator"]]
    test_set = _nearest_set(figures, generators)
    theirs = [figure for figure in figures if figure.test_set == test_set]
    rows = [
        row
        for _, cell in cells.iterrows()
        for row in _rows(str(cell["generator"]), cell, _matching(theirs, str(cell["generator"])))
    ]
    named = sorted({figure.generator for figure in theirs if figure.generator})
    absent = [name for name in named if not any(is_same(name, other) for other in generators)]
    rows += _mean_rows(cells, theirs, absent)
    card = DetectorCard.model_validate(load_run(result.folder).spec.detectors[0].card)
    return Comparison(
        detector=request.label,
        reference=method.reference,
        test_set=test_set,
        rows=tuple(rows),
        absent=tuple(absent),
        cautions=tuple(caution.sentence for caution in result.board.notes.warnings),
        remarks=tuple(_remarks(method, card, request)),
        sources=tuple(dict.fromkeys(figure.source for figure in theirs)),
    )


def is_same(one: str, other: str) -> bool:
    """Tell whether two names of generators are one, exactly or by their usual spellings."""
    return one.lower() == other.lower() or is_among(one, [other]) is True


def _nearest_set(figures: Sequence[PaperFigure], generators: Sequence[str]) -> str:
    """Name the test set that shares most generators with the data; "" where none shares any."""
    shared: dict[str, set[str]] = {}
    for figure in figures:
        same = {name for name in generators if figure.generator and is_same(name, figure.generator)}
        shared.setdefault(figure.test_set, set()).update(same)
    asked_for = len(shared) == 1
    best = max(shared, key=lambda name: len(shared[name]), default="")
    return best if best and (shared[best] or asked_for) else ""


def _matching(figures: Sequence[PaperFigure], generator: str) -> dict[str, float]:
    """A paper's figures of one generator by metric; a name spelled alike goes before its other spellings."""
    exact = [f for f in figures if f.generator and f.generator.lower() == generator.lower()]
    alike = exact or [f for f in figures if f.generator and is_same(f.generator, generator)]
    return {figure.metric: figure.value for figure in alike}


def _rows(
    generator: str, cell: Mapping[str, Any] | pd.Series[Any], theirs: Mapping[str, float]
) -> list[PublishedRow]:
    metrics = [metric for metric in COLUMNS if metric in theirs or metric in ALWAYS]
    return [
        PublishedRow(
            generator,
            metric,
            _number(cell[COLUMNS[metric]]),
            theirs.get(metric),
            _number(cell.get(f"{COLUMNS[metric]}_lo", np.nan)),
            _number(cell.get(f"{COLUMNS[metric]}_hi", np.nan)),
        )
        for metric in metrics
    ]


def _mean_rows(
    cells: pd.DataFrame, figures: Sequence[PaperFigure], absent: Sequence[str]
) -> list[PublishedRow]:
    """Unweighted means over generators; beside the paper's only where none of its generators is absent."""
    means = {figure.metric: figure.value for figure in figures if not figure.generator}
    named = [figure.generator for figure in figures if figure.generator]
    of_paper = cells[[not named or any(is_same(n, g) for n in named) for g in cells["generator"]]]
    if of_paper.empty:
        of_paper = cells
    averages = {
        metric: np.nan if of_paper[column].isna().any() else float(of_paper[column].mean())
        for metric, column in COLUMNS.items()
    }
    comparable = {} if absent else means
    metrics = [metric for metric in COLUMNS if metric in comparable or metric in ALWAYS]
    return [
        PublishedRow("", metric, _number(averages[metric]), comparable.get(metric))
        for metric in metrics
    ]


def _number(value: Any) -> float | None:
    number = float(value)
    return None if np.isnan(number) else number


def _remarks(method: Method, card: DetectorCard, request: DetectorRequest) -> list[str]:
    """What a reader of the figures must know: whose weights, which input, what departs from the paper."""
    published = method.publication
    weights = card.weights.sha256 if card.weights else ""
    if not published.sha256:
        origin = "taken for the published file, whose sha256 is not known here"
    elif weights == published.sha256:
        origin = "the published file"
    else:
        origin = "not the published file"
    lines = [f"Weights: sha256 {weights}, {origin}; licence {card.licence}."]
    lines.append("Brackets hold 95% intervals; means are unweighted, over generators.")
    lines.append(f"Input: {card.input.describe()}; positive = AI-generated, threshold logit 0.")
    if card.input != method.input:
        lines.append(f"Departure: the paper's input rule is {method.input.describe()}.")
    if request.fake_logit and request.fake_logit != method.fake_logit:
        lines.append(
            f"Departure: fake logit {request.fake_logit}, the paper's is {method.fake_logit}."
        )
    return [*lines, *published.notes]
