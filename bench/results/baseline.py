"""A committed baseline: a small ``baseline.json`` beside the scores it was made from, as Parquet."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
import os
import re
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.errors import BenchError, IncompleteError
from bench.results.scores import ScoreTable, load_run
from bench.store.run_spec import RunSpec
from bench.store.seal import is_intact, sealed
from bench.support.files import sweep, write_atomic, write_text
from bench.support.tables import read_table
from bench.support.user_file import MOST_TABLE, read_bytes, why
from bench.version import __version__
from leaderboards import ScoreColumn, cell_rows
from leaderboards.tables.notes import Caution, LeftOut
from leaderboards.tables.slicing import FREE

SCHEMA_VERSION = 1
# What a baseline of an earlier version held, which carries no digest of itself.
_EARLIER: Final = frozenset(
    {"schema_version", "bench", "reason", "suite", "dataset", "manifest_digest", "protocol", "context",
     "cuts", "detectors", "scores", "bad", "cells"}
)  # fmt: skip
BASELINE_NAME = "baseline.json"
# Earlier versions had one name for the scores of any baseline.
_SCORES: Final = re.compile(r"baseline-scores(-[0-9a-f]{16})?\.parquet")
_SAMPLES = ("sample_id", "label", "generator", "domain", "group", "sha256")
_CELL = ("detector", "generator", "domain", "condition", "n_real", "n_fake")
_LAST_DIGIT: Final = 2e-7  # metrics are kept with seven
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
        BenchError: In CI, without a reason, or where the folder is no run.
        IncompleteError: The run is limited, or a cell of it has no result.
    """
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        raise BenchError(
            "a baseline is not moved in CI, where nobody looks: run `bench baseline update` on a "
            "machine of your own and commit the result"
        )
    if not reason.strip():
        raise BenchError("say why the baseline moves: --reason 'retrained on ...'")
    spec, scores = load_run(run)
    if scores.limit is not None:
        raise IncompleteError(
            f"{run} is a limited run ({scores.limit} images): make the baseline from a whole one"
        )
    if spec.until:
        raise IncompleteError(
            f"{run} was scored until {spec.until}, not wholly: make the baseline from a whole run"
        )
    rows = _cell_rows(scores)
    _check_finished(run, rows)
    data = _pack(scores)
    document = _document(spec, scores, reason.strip(), hashlib.sha256(data).hexdigest(), rows)
    # The scores are named by what they are, so that those of the baseline before stay until the one file
    # that points at them is replaced: a kill at any moment leaves the old baseline or the new one.
    write_atomic(folder / document["scores"]["file"], lambda stream: stream.write(data))
    path = folder / BASELINE_NAME
    write_text(path, json.dumps(sealed(document), indent=1, allow_nan=False) + "\n")
    _sweep(folder, document["scores"]["file"])
    return path


def scores_name(digest: str) -> str:
    """Give the name of the file of a baseline's scores, from their SHA-256."""
    return f"baseline-scores-{digest[:16]}.parquet"


def _sweep(folder: Path, current: str) -> None:
    """Remove the scores of baselines before, and what a killed update left."""
    for path in folder.glob("baseline-scores*.parquet"):
        if _SCORES.fullmatch(path.name) and path.name != current:
            with contextlib.suppress(OSError):
                path.unlink()
    sweep(folder)


def _check_finished(run: Path, rows: pd.DataFrame) -> None:
    """Refuse cells without a result, but for those that no gradient reaches: they will never have one."""
    lacking = rows[rows["status"] != "ok"]
    unfinished = lacking[lacking["status"] != "not attackable"]
    if len(unfinished):
        first = unfinished.iloc[0]
        raise IncompleteError(
            f"{len(lacking)} cells of {run} have no result, first {first['detector']} under "
            f"{first['condition']}: {first['reason']}; finish the run first"
        )


def _document(
    spec: RunSpec, scores: ScoreTable, reason: str, digest: str, rows: pd.DataFrame
) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "bench": __version__,
        "reason": reason,
        "suite": spec.suite.name,
        "dataset": scores.dataset,
        "manifest_digest": spec.manifest_digest,
        "protocol": dict(scores.protocol),
        "context": dict(scores.context),
        "cuts": list(scores.cuts),
        "detectors": [
            {
                "label": detector.label,
                "identity": detector.identity,
                "weights_sha256": (detector.card.get("weights") or {}).get("sha256", ""),
                "threshold": scores.thresholds[detector.label],
            }
            for detector in spec.detectors
        ],
        "scores": {
            "file": scores_name(digest),
            "sha256": digest,
            "n_images": len(scores.samples),
            "columns": [
                {
                    "detector": column.detector,
                    "condition": column.condition,
                    "status": column.status,
                    "reason": column.reason,
                    **({} if column.ranked else {"ranked": False}),
                }
                for column in scores.columns
            ],
        },
        "bad": dict(scores.bad),
        "left_out": [dataclasses.asdict(kind) for kind in scores.left_out],
        "warnings": [dataclasses.asdict(caution) for caution in scores.cautions],
        "cells": _cells(rows),
    }


def load_baseline(path: Path) -> ScoreTable:
    """Read the scores of a ``baseline.json`` and of the Parquet file beside it.

    Raises:
        BenchError: Unreadable, damaged, of another version, or its scores are not those it names.
    """
    try:
        document = json.loads(read_bytes(path, MOST_TABLE))
        if document["schema_version"] != SCHEMA_VERSION:
            raise BenchError(
                f"{path} has schema version {document['schema_version']}, this bench writes "
                f"{SCHEMA_VERSION}: make it again with `bench baseline update`"
            )
        earlier = document.keys() == _EARLIER
        if not earlier and not is_intact(document):
            raise BenchError(
                f"{path} is not what was written (its digest does not fit): restore it, or make it again "
                "with `bench baseline update`"
            )
        stored = document["scores"]
        data = read_bytes(path.parent / Path(stored["file"]).name, MOST_TABLE)
        if hashlib.sha256(data).hexdigest() != stored["sha256"]:
            raise BenchError(
                f"{path}: {stored['file']} is not the file it was made with: restore both"
            )
        scores = _unpack(path, document, read_table(data))
        if earlier:
            _check_cells(path, document, scores)
    except BenchError:
        raise
    except Exception as error:  # JSON and Parquet of any shape
        raise BenchError(
            f"{path} is no baseline that can be read ({type(error).__name__}: {why(error)}): restore it, or "
            "make it again with `bench baseline update`"
        ) from error
    return scores


def scores_file(path: Path) -> str:
    """Give the name of the file of scores that a ``baseline.json`` points at.

    Raises:
        BenchError: It is no baseline that can be read.
    """
    load_baseline(path)
    return Path(json.loads(read_bytes(path, MOST_TABLE))["scores"]["file"]).name


def cell_pairs(path: Path, scores: ScoreTable) -> list[tuple[str, str, str, str]]:
    """Hold the metrics of a baseline's cells against those that its scores give.

    Args:
        path: The ``baseline.json``, as :func:`load_baseline` has read it.
        scores: What it has read.

    Returns:
        Cell, metric, what is written and what is computed, for each that differs; intervals left out.

    Raises:
        BenchError: No board can be made of the scores.
    """
    recorded = json.loads(read_bytes(path, MOST_TABLE))["cells"]
    named = [
        {" / ".join(str(cell[key]) for key in _CELL[:4]): cell for cell in cells}
        for cells in (recorded, _cells(_cell_rows(scores)))
    ]
    pairs = []
    for name in dict.fromkeys((*named[0], *named[1])):
        before, after = (cells.get(name) for cells in named)
        if before is None or after is None:
            pairs.append((name, "cell", "there" if before else "", "there" if after else ""))
        else:
            keys = (key for key in before if not _agree_in(key, before, after))
            pairs += [(name, key, str(before[key]), str(after.get(key))) for key in keys]
    return pairs


def _check_cells(path: Path, document: dict[str, Any], scores: ScoreTable) -> None:
    """Hold the scores against the metrics written beside them, where no digest tells of damage.

    Raises:
        BenchError: They do not give these metrics.
    """
    recorded = document["cells"]
    try:
        computed = _cells(_cell_rows(scores))
    except BenchError:  # names and pairing that no board could be made of
        computed = []
    same = len(recorded) == len(computed) and all(map(_agree, recorded, computed))
    if not same:
        raise BenchError(
            f"{path} is not what was written (its scores do not give the metrics of its cells): restore it, "
            "or make it again with `bench baseline update`"
        )


def _agree(recorded: dict[str, Any], computed: dict[str, Any]) -> bool:
    """Say whether two cells are one: names and counts exactly, metrics but for their last digit.

    Intervals are left out: there is more than one way to compute them.
    """
    return all(_agree_in(key, recorded, computed) for key in (*_CELL, "status", *_METRICS))


def _agree_in(key: str, recorded: dict[str, Any], computed: dict[str, Any]) -> bool:
    if key.endswith(("_lo", "_hi")):
        return True
    a, b = recorded[key], computed[key]
    if a == b or key not in _METRICS:
        return bool(a == b)
    return a is not None and b is not None and bool(abs(a - b) < _LAST_DIGIT)


def _cell_rows(scores: ScoreTable) -> pd.DataFrame:
    """Compute the cells of a baseline, without a word on what a detector was trained on."""
    return cell_rows(
        scores.samples, scores.slices(), scores.columns, {}, scores.dataset,
        threshold=scores.thresholds,
    )  # fmt: skip


def _pack(scores: ScoreTable) -> bytes:
    """Write samples and logits as Parquet."""
    cuts = [FREE + cut for cut in scores.cuts if FREE + cut in scores.samples.columns]
    samples = scores.samples.reindex(columns=[*_SAMPLES, *cuts], fill_value="")
    table = pa.Table.from_pandas(samples, preserve_index=False)
    # Columns by number: names of detectors and conditions are data and stand in the JSON.
    for index, column in enumerate(scores.columns):
        table = table.append_column(f"logit_{index}", pa.array(column.logits, pa.float32()))
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(None), buffer, compression="zstd")
    return buffer.getvalue()


def _unpack(path: Path, document: dict[str, Any], table: pa.Table) -> ScoreTable:
    free = [name for name in table.column_names if name.startswith(FREE)]
    samples: pd.DataFrame = table.select([*_SAMPLES, *free]).to_pandas()
    columns = tuple(
        ScoreColumn(
            detector=entry["detector"],
            condition=entry["condition"],
            logits=table[f"logit_{index}"].to_numpy().astype(np.float32),
            status=entry["status"],
            reason=entry["reason"],
            ranked=entry.get("ranked", True),
        )
        for index, entry in enumerate(document["scores"]["columns"])
    )
    pairing = document["protocol"]["pairing"]
    return ScoreTable(
        name=str(path),
        protocol=document["protocol"],
        context=document["context"],
        dataset=document["dataset"],
        limit=None,
        cuts=tuple(document["cuts"]),
        pairing={name: tuple(sources) for name, sources in pairing.items()},
        is_matched=document["protocol"].get("matched", False),
        samples=samples,
        columns=columns,
        thresholds={d["label"]: float(d["threshold"]) for d in document["detectors"]},
        bad=document["bad"],
        left_out=tuple(LeftOut(**kind) for kind in document.get("left_out", ())),
        cautions=tuple(Caution(**caution) for caution in document.get("warnings", ())),
    )


def _cells(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Give the cells' main metrics, for people who read the diff; the gate goes by the scores."""
    cells = []
    for row in rows.to_dict("records"):
        name = {key: int(row[key]) if key.startswith("n_") else row[key] for key in _CELL}
        metrics = {
            key: None if pd.isna(row[key]) else round(float(row[key]), 7) for key in _METRICS
        }
        cells.append({**name, "status": row["status"], **metrics})
    return cells
