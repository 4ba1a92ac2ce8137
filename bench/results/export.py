"""A run's board in the formats other tools read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError, nearest
from bench.results.board import report
from bench.results.formats import renderers
from bench.support.files import write_text
from bench.support.progress import Progress
from leaderboards import Board


@dataclass(frozen=True, slots=True)
class Exported:
    """A board in another format.

    Attributes:
        texts: Name of a format, or path below the model's repository, to its text.
        incomplete: Number of cells without a result.
    """

    texts: Mapping[str, str]
    incomplete: int


def export(run: Path, form: str, metric: str = "auc", progress: Progress | None = None) -> Exported:
    """Render the board as one text.

    Args:
        run: A run's folder.
        form: Name of a format of a board or of a metric; see ``bench.results.formats``.
        metric: What to show, where the format shows one metric only.
        progress: Listener to what takes long, the board of a large run.

    Raises:
        BenchError: If the folder is no run, or the board has no such metric.
    """
    built = report(run, progress)
    try:
        text = _render(built.board, form, metric)
    except ValueError as error:
        known = [name for name in built.board.rows.columns if f"{name}_lo" in built.board.rows]
        close = nearest(metric, known)
        advice = f": {close}" if close.startswith("did you mean") else ""
        raise BenchError(f"--metric {metric}: {error}{advice}") from error
    return Exported({form: text}, built.incomplete)


def _render(board: Board, form: str, metric: str) -> str:
    whole, of_metric = renderers("FORMATS"), renderers("METRIC_FORMATS")
    if form in whole:
        return str(whole[form](board.rows, board.notes, board.extras))
    return str(of_metric[form](board.rows, board.notes, board.extras, metric))


def model_card(
    run: Path,
    form: str,
    detector: str | None,
    dataset_id: str | None,
    progress: Progress | None = None,
) -> Exported:
    """Make the files for a model's repository.

    Args:
        run: A run's folder.
        form: Name of a format of model cards; see ``bench.results.formats``.
        detector: Name of the detector; None where the run has only one.
        dataset_id: The data set's id there; None takes its name.
        progress: As for ``export``.

    Raises:
        BenchError: If it is not clear whose model card it is, or there is nothing to report.
    """
    built = report(run, progress)
    rows, notes = built.board.rows, built.board.notes
    names = list(dict.fromkeys(rows["detector"]))
    if detector is None and len(names) > 1:
        raise BenchError(f"several detectors: choose one with --detector ({', '.join(names)})")
    chosen = detector or names[0]
    if chosen not in names:
        raise BenchError(f"no detector {chosen!r} in {run}: {nearest(chosen, names)}")
    where = dataset_id or notes.dataset
    try:
        texts = renderers("MODEL_CARD_FORMATS")[form](rows, notes, chosen, where)
    except ValueError as error:
        raise BenchError(f"{error}; finish the run first") from error
    return Exported(texts, built.incomplete)


def write(texts: Mapping[str, str], folder: Path) -> list[Path]:
    """Write each text under its name in a folder."""
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]
