"""Results for the Hugging Face Hub: the evaluation-results YAML and the older model-index.

YAML is written as JSON, which is YAML: every name is quoted and nothing can be read as code.
"""

from __future__ import annotations

import json
import math
from typing import Any

import pandas as pd

from leaderboards.tables.cells import CLEAN
from leaderboards.tables.extras import family_of
from leaderboards.tables.means import macro_mean, slice_name
from leaderboards.tables.notes import BoardNotes

_INDEXED = {"auc": "AUC", "accuracy": "Accuracy", "f1": "F1", "ap": "Average precision"}


def evaluation_results(
    rows: pd.DataFrame, notes: BoardNotes, detector: str, dataset_id: str
) -> str:
    """One file of a model's ``.eval_results/`` folder: the mean AUC over slices, clean.

    Args:
        rows: The board's.
        notes: The board's.
        detector: Whose.
        dataset_id: The data set's id on the Hub, "owner/name".

    Raises:
        ValueError: The detector has no result to report.
    """
    value = macro_mean(_clean(rows, detector), "auc")
    if math.isnan(value):
        raise ValueError(
            f"{detector} has a clean cell without a result: there is no mean to report"
        )
    entry = {
        "dataset": {"id": dataset_id, "task_id": notes.suite},
        "value": round(100 * value, 3),
        "notes": f"mean AUC in percent over slices of {notes.dataset}, clean, {notes.n_images} images, "
        f"detector {detector}, detector-bench {notes.tool_version}" + _limited(notes),
    }
    return f"- {_yaml(entry)}\n"


def model_index(rows: pd.DataFrame, notes: BoardNotes, detector: str, dataset_id: str) -> str:
    """The front matter of a model card: every clean slice, in the older ``model-index`` form."""
    results = []
    for row in _clean(rows, detector).to_dict("records"):
        if row["status"] != "ok":
            continue
        oracle = " (ORACLE threshold)" if row["threshold_policy"] == "oracle" else ""
        metrics = [
            {"type": kind, "name": name + (oracle if kind in ("accuracy", "f1") else ""),
             "value": round(float(row[kind]), 6)}
            for kind, name in _INDEXED.items()
            if not math.isnan(float(row[kind]))
        ]  # fmt: skip
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
    return f"---\nmodel-index: {_yaml(index)}\n---\n"


def _clean(rows: pd.DataFrame, detector: str) -> pd.DataFrame:
    own = rows[(rows["detector"] == detector) & (rows["condition"] == CLEAN)]
    return family_of(own)


def _limited(notes: BoardNotes) -> str:
    return "" if notes.limit is None else " (LIMITED RUN)"


def _yaml(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, allow_nan=False)
