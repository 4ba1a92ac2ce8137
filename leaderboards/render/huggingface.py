"""Results for the Hugging Face Hub: the evaluation-results YAML and the older model-index.

Plain YAML in block style, one document a file; what could be read as anything but text is quoted.
"""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import yaml

from leaderboards.statistics.catalogue import metrics_in
from leaderboards.tables.cells import CLEAN
from leaderboards.tables.means import board_basis, board_mean, main_rows, slice_name
from leaderboards.tables.notes import BoardNotes


def model_card_files(
    rows: pd.DataFrame, notes: BoardNotes, detector: str, dataset_id: str
) -> dict[str, str]:
    """Write the files of a model's repository on the Hub, by path; see the two functions below.

    Raises:
        ValueError: The detector has no result to report.
    """
    return {
        ".eval_results/detector-bench.yaml": evaluation_results(rows, notes, detector, dataset_id),
        "model-index.yml": model_index(rows, notes, detector, dataset_id),
    }


MODEL_CARD_FORMATS = {"hf": model_card_files}


def evaluation_results(
    rows: pd.DataFrame, notes: BoardNotes, detector: str, dataset_id: str
) -> str:
    """Write one file of a model's ``.eval_results/`` folder: the board's mean AUC, clean.

    Args:
        rows: Rows of the board.
        notes: Protocol behind the board.
        detector: Name of the detector whose model card it is.
        dataset_id: The data set's id on the Hub, "owner/name".

    Raises:
        ValueError: The detector has no result to report.
    """
    value = board_mean(rows, detector, "auc")
    if math.isnan(value):
        raise ValueError(
            f"{detector} has a clean cell without a result: there is no mean to report"
        )
    slices = "unseen slices" if board_basis(rows, detector).name == "unseen" else "slices"
    entry = {
        "dataset": {"id": dataset_id, "task_id": notes.suite},
        "value": round(100 * value, 3),
        "notes": f"mean AUC in percent over {slices} of {notes.dataset}, clean, {notes.n_images} images, "
        f"detector {detector}, detector-bench {notes.tool_version}"
        + _data(notes)
        + _warned(notes, detector),
    }
    return _yaml([entry])


def _data(notes: BoardNotes) -> str:
    """Say whose data it is and under what licence, as the end of a sentence; "" where nobody says."""
    return "".join(f"; {line.rstrip('.')}" for line in notes.data_card[:2])


def model_index(rows: pd.DataFrame, notes: BoardNotes, detector: str, dataset_id: str) -> str:
    """Write every clean slice in the older ``model-index`` form, to stand in a model card's front matter."""
    results = []
    cells = main_rows(rows[(rows["detector"] == detector) & (rows["condition"] == CLEAN)])
    for row in cells.to_dict("records"):
        if row["status"] != "ok":
            continue
        oracle = " (ORACLE threshold)" if row["threshold_policy"] == "oracle" else ""
        metrics = [
            {
                "type": metric.name,
                "name": metric.title + (oracle if metric.needs_threshold else ""),
                "value": round(float(row[metric.name]), 6),
            }
            for metric in metrics_in("model index")
            if not math.isnan(float(row[metric.name]))
        ]
        if metrics:
            name = slice_name(row["generator"], row["domain"])
            results.append(
                {
                    "task": {
                        "type": "image-classification",
                        "name": "AI-generated image detection",
                    },
                    "dataset": {
                        "type": dataset_id,
                        "name": f"{notes.dataset}, {name}",
                        "config": name,
                    },
                    "metrics": metrics,
                }
            )
    index = [{"name": detector, "results": results}]
    return _yaml({"model-index": index})


def _warned(notes: BoardNotes, detector: str) -> str:
    limited = "" if notes.limit is None else " (LIMITED RUN)"
    cautions = [c.title for c in notes.cautions if c.detector in ("", detector)]
    return limited + "".join(f" ({title})" for title in cautions)


def _yaml(value: Any) -> str:
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=False, width=100)
    return text
