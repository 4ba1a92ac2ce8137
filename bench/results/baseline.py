"""A committed baseline: a small ``baseline.json`` beside the scores it was made from, as Parquet."""

from __future__ import annotations

import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.errors import BenchError, IncompleteError
from bench.results.scores import Scored, load_run
from bench.store.rundir import RunSpec
from bench.support.files import write_atomic, write_text
from bench.version import __version__
from leaderboards import ScoreColumn, cell_rows

SCHEMA_VERSION = 1
BASELINE_NAME = "baseline.json"
SCORES_NAME = "baseline-scores.parquet"
_SAMPLES = ("sample_id", "label", "generator", "domain", "group", "sha256")
_CELL = ("detector", "generator", "domain", "condition", "n_real", "n_fake")
_METRICS = ("auc", "auc_lo", "auc_hi", "accuracy", "balanced_accuracy", "f1", "tpr_at_5_fpr")


def update(run: Path, folder: Path, reason: str) -> Path:
    """Make a run the baseline that later ones are held against.

    Args:
        run: The run's folder.
        folder: Where ``baseline.json`` and its scores go.
        reason: Why it is right that the bar moves.

    Returns:
        Path of ``baseline.json``.

    Raises:
        BenchError: In CI, without a reason, or where the run is no run.
        IncompleteError: The run is limited, or a cell of it has no result.
    """
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        raise BenchError(
            "a baseline is not moved in CI, where nobody looks: run `bench baseline update` on a "
            "machine of your own and commit the result"
        )
    if not reason.strip():
        raise BenchError("say why the baseline moves: --reason 'retrained on ...'")
    spec, scored = load_run(run)
    if scored.limit is not None:
        raise IncompleteError(
            f"{run} is a limited run ({scored.limit} images): make the baseline from a whole one"
        )
    rows = cell_rows(
        scored.samples, scored.slices(), scored.columns, {}, scored.dataset,
        threshold=scored.thresholds,
    )  # fmt: skip
    lacking = rows[(rows["status"] != "ok")]
    if len(lacking) and not (lacking["status"] == "not attackable").all():
        first = lacking[lacking["status"] != "not attackable"].iloc[0]
        raise IncompleteError(
            f"{len(lacking)} cells of {run} have no result, first {first['detector']} under "
            f"{first['condition']}: {first['reason']}; finish the run first"
        )
    data = _pack(scored)
    document = _document(spec, scored, reason.strip(), hashlib.sha256(data).hexdigest(), rows)
    write_atomic(folder / SCORES_NAME, lambda stream: stream.write(data))
    path = folder / BASELINE_NAME
    write_text(path, json.dumps(document, indent=1, allow_nan=False) + "\n")
    return path


def _document(
    spec: RunSpec, scored: Scored, reason: str, digest: str, rows: pd.DataFrame
) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "bench": __version__,
        "reason": reason,
        "suite": spec.suite.name,
        "dataset": scored.dataset,
        "manifest_digest": spec.manifest_digest,
        "protocol": dict(scored.protocol),
        "context": dict(scored.context),
        "cuts": list(scored.cuts),
        "detectors": [
            {
                "label": d.label,
                "identity": d.identity,
                "weights_sha256": (d.card.get("weights") or {}).get("sha256", ""),
                "threshold": scored.thresholds[d.label],
            }
            for d in spec.detectors
        ],
        "scores": {
            "file": SCORES_NAME,
            "sha256": digest,
            "n_images": len(scored.samples),
            "columns": [
                {
                    "detector": c.detector,
                    "condition": c.condition,
                    "status": c.status,
                    "reason": c.reason,
                }
                for c in scored.columns
            ],
        },
        "bad": dict(scored.bad),
        "cells": _cells(rows),
    }


def load_baseline(path: Path) -> Scored:
    """Read what ``update`` wrote.

    Raises:
        BenchError: Unreadable, of another version, or its scores are not those it names.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema_version"] != SCHEMA_VERSION:
            raise BenchError(
                f"{path} has schema version {document['schema_version']}, this bench writes "
                f"{SCHEMA_VERSION}: make it again with `bench baseline update`"
            )
        scores = document["scores"]
        data = (path.parent / Path(scores["file"]).name).read_bytes()
        if hashlib.sha256(data).hexdigest() != scores["sha256"]:
            raise BenchError(
                f"{path}: {scores['file']} is not the file it was made with: restore both"
            )
        table = pq.read_table(io.BytesIO(data))
        return _unpack(path, document, table)
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise BenchError(
            f"{path} is no baseline that can be read ({type(error).__name__}: {error}): restore it, or "
            "make it again with `bench baseline update`"
        ) from error


def _pack(scored: Scored) -> bytes:
    samples = scored.samples.reindex(columns=list(_SAMPLES), fill_value="")
    table = pa.Table.from_pandas(samples, preserve_index=False)
    # Columns by number: names of detectors and conditions are data and stand in the JSON.
    for at, column in enumerate(scored.columns):
        table = table.append_column(f"logit_{at}", pa.array(column.logits, pa.float32()))
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(None), buffer, compression="zstd")
    return buffer.getvalue()


def _unpack(path: Path, document: dict[str, Any], table: pa.Table) -> Scored:
    samples: pd.DataFrame = table.select(list(_SAMPLES)).to_pandas()
    columns = tuple(
        ScoreColumn(
            detector=told["detector"],
            condition=told["condition"],
            logits=table[f"logit_{at}"].to_numpy().astype(np.float32),
            status=told["status"],
            reason=told["reason"],
        )
        for at, told in enumerate(document["scores"]["columns"])
    )
    pairing = document["protocol"]["pairing"]
    return Scored(
        name=str(path),
        protocol=document["protocol"],
        context=document["context"],
        dataset=document["dataset"],
        limit=None,
        cuts=tuple(document["cuts"]),
        pairing={name: tuple(sources) for name, sources in pairing.items()},
        samples=samples,
        columns=columns,
        thresholds={d["label"]: float(d["threshold"]) for d in document["detectors"]},
        bad=document["bad"],
    )


def _cells(rows: pd.DataFrame) -> list[dict[str, Any]]:
    found = []
    for row in rows.to_dict("records"):
        numbers = {
            name: None if pd.isna(row[name]) else round(float(row[name]), 7) for name in _METRICS
        }
        head = {name: int(row[name]) if name.startswith("n_") else row[name] for name in _CELL}
        found.append({**head, "status": row["status"], **numbers})
    return found
