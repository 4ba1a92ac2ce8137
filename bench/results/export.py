"""A run's board in the formats other tools read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError, nearest
from bench.results.board import report
from bench.support.files import write_text
from leaderboards.render.huggingface import evaluation_results, model_index
from leaderboards.render.latex import render_latex


@dataclass(frozen=True, slots=True)
class Exported:
    """A board in another format.

    Attributes:
        texts: Name of a format, or path below the model's repository, to its text.
        incomplete: Number of cells without a result.
    """

    texts: Mapping[str, str]
    incomplete: int


def export(run: Path, form: str, metric: str = "auc") -> Exported:
    """Render the board as ``latex``, ``csv``, ``md`` or ``json``.

    Raises:
        BenchError: If the folder is no run, or the board has no such metric.
    """
    board_report = report(run)
    board = board_report.board
    try:
        text = {
            "latex": lambda: render_latex(board.rows, board.notes, board.extras, metric),
            "csv": board.to_csv,
            "md": board.to_markdown,
            "json": board.to_json,
        }[form]()
    except ValueError as error:
        raise BenchError(f"--metric {metric}: {error}") from error
    return Exported({form: text}, board_report.incomplete)


def hugging_face(run: Path, detector: str | None, dataset_id: str | None) -> Exported:
    """Make the files for a model's repository on the Hugging Face Hub.

    Raises:
        BenchError: If it is not clear whose model card it is, or there is nothing to report.
    """
    board_report = report(run)
    rows, notes = board_report.board.rows, board_report.board.notes
    names = list(dict.fromkeys(rows["detector"]))
    if detector is None and len(names) > 1:
        raise BenchError(f"several detectors: choose one with --detector ({', '.join(names)})")
    chosen = detector or names[0]
    if chosen not in names:
        raise BenchError(f"no detector {chosen!r} in {run}: {nearest(chosen, names)}")
    where = dataset_id or notes.dataset
    try:
        texts = {
            ".eval_results/detector-bench.yaml": evaluation_results(rows, notes, chosen, where),
            "model-index.yml": model_index(rows, notes, chosen, where),
        }
    except ValueError as error:
        raise BenchError(f"{error}; finish the run first") from error
    return Exported(texts, board_report.incomplete)


def write(texts: Mapping[str, str], folder: Path) -> list[Path]:
    """Write each text under its name in a folder."""
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]
