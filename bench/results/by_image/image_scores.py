"""The scores of a run as one table: a row an image, detector and condition, each parameter a column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from bench import registry
from bench.protocol.call import Call, parse_call, split_chain
from bench.results.scores import load_run
from bench.store.run_shards import RunShards, StoredScores
from bench.store.run_spec import ConditionRecord, RunSpec
from bench.store.rundir import RunDir, RunRecord
from bench.store.shards import ATTACK_COLUMNS
from leaderboards import ScoreColumn

IMAGE_COLUMNS: Final = {
    "sample_id": "The image's name in the data set, the same on every machine.",
    "path": "Where the image lies below the data set's folder.",
    "class": "real or fake (AI-generated).",
    "label": "0 for real, 1 for AI-generated.",
    "generator": "What made the image; of a real one the source of the photographs, where it is named.",
    "domain": "Kind of content or delivery, where the data name one.",
    "split": "Split of the data, where they name one.",
    "group": "What the image shares with others, such as the photograph or prompt it comes from.",
}
CELL_COLUMNS: Final = {
    "detector": "Name on the board.",
    "condition": "The condition as the suite spells it; clean is none.",
    "steps": "Names of the condition's steps in order, joined by +.",
    "attack": "Name of the attack among them, if there is one.",
    "logit": "The raw logit, float32; above 0 a detector leans to AI-generated. Empty without a score.",
    "threshold": "Logit above which the run calls an image AI-generated.",
    "called": "1 where the logit lies above the threshold, 0 where not, empty without a score.",
    "status": "ok, failed, not attackable, attack unreliable, unreadable or missing.",
    "reason": "Why, where it is not ok.",
}


def image_scores(folder: Path) -> pd.DataFrame:
    """Give the scores of a run in one frame.

    Args:
        folder: A run's folder.

    Returns:
        Columns of :data:`IMAGE_COLUMNS` and :data:`CELL_COLUMNS`; then every parameter of the run's
        conditions under its own name (``quality``, ``sigma``; ``resize.scale`` where two steps of one
        condition have a parameter of that name), nan or None under conditions without it; then, of runs with
        attacks, what each did to the image (``attack_linf`` and so on).

    Raises:
        BenchError: The folder is no run, or its scores are damaged.
    """
    return pd.concat(list(score_parts(folder)), ignore_index=True)


def score_parts(folder: Path) -> Iterator[pd.DataFrame]:
    """Give the same, one frame a detector and condition, all with the same columns.

    Raises:
        BenchError: As :func:`image_scores`.
    """
    record = RunDir(folder).read()
    scores = load_run(folder)[1]
    images = _images(record)
    parameters = {c.spelled: _parameters(c, record.spec) for c in record.spec.conditions}
    names = list(dict.fromkeys(name for each in parameters.values() for name in each))
    is_text = {
        name: any(isinstance(each.get(name), str) for each in parameters.values()) for name in names
    }
    attacked = any(condition.attack for condition in record.spec.conditions)
    shards = RunShards(record, set_aside=False)
    units = record.units.to_pandas()
    conditions = {condition.spelled: condition for condition in record.spec.conditions}
    cells = {(column.detector, column.condition): column for column in scores.columns}
    for (detector, spelled), part in units.groupby(["detector", "condition"], sort=False):
        stored = shards.put_together(part)
        condition = conditions[spelled]
        frame = images.assign(
            detector=detector, condition=spelled, **_chain(condition, record.spec)
        )
        threshold = scores.thresholds.get(detector, np.nan)
        frame = frame.assign(**_scores(record, stored, cells[detector, spelled], threshold))
        for name in names:
            value = parameters[spelled].get(name)
            frame[name] = pd.Series(
                None if value is None and is_text[name] else value,
                index=frame.index,
                dtype="object" if is_text[name] else "float64",
            )
        if attacked:
            frame = frame.assign(
                **{f"attack_{key}": stored.attack[key] for key in ATTACK_COLUMNS[:4]}
            )
        yield frame
    shards.check()


def _images(record: RunRecord) -> pd.DataFrame:
    table = record.manifest.to_pandas()
    frame: pd.DataFrame = table.rename(columns={"locator": "path"})
    frame["class"] = np.where(frame["label"] == 1, "fake", "real")
    return frame.loc[:, list(IMAGE_COLUMNS)]


def _steps(condition: ConditionRecord, spec: RunSpec) -> list[Call]:
    """Read the steps of a condition from its full spelling, the protocol's equaliser left out."""
    chain = condition.resolved.partition(": ")[0].partition(" and ")[0]
    if chain == "clean" or condition.spelled in ("clean", "raw"):
        return []
    calls = [parse_call(part) for part in split_chain(chain)]
    first = len(split_chain(spec.suite.equalise)) if spec.suite.equalise else 0
    return [call for call in calls[first:] if call.name != "only"]


def _chain(condition: ConditionRecord, spec: RunSpec) -> dict[str, str]:
    names = [call.name for call in _steps(condition, spec)]
    attacks = [name for name in names if condition.attack and name not in registry.corruptions()]
    return {"steps": "+".join(names), "attack": next(iter(attacks), "")}


def _parameters(condition: ConditionRecord, spec: RunSpec) -> dict[str, float | str]:
    """Give every parameter of a condition by its column."""
    calls = _steps(condition, spec)
    keys = [key for call in calls for key in call.keywords]
    found: dict[str, float | str] = {}
    for call in calls:
        for key, text in call.keywords.items():
            name = key if keys.count(key) == 1 else f"{call.name}.{key}"
            while name in found:  # the same step twice
                name += "'"
            found[name] = _value(text)
    return found


def _value(text: str) -> float | str:
    front, slash, back = text.partition("/")
    try:
        return float(front) / float(back) if slash else float(text)
    except (ValueError, ZeroDivisionError):
        return text


def _scores(
    record: RunRecord, stored: StoredScores, column: ScoreColumn, threshold: float
) -> Mapping[str, Any]:
    """Give the columns that differ from image to image; a score is there or the reason is."""
    scored = np.isfinite(stored.logits)
    cell = "ok" if column.status == "incomplete" else column.status
    empty = (
        ("missing", "not scored") if cell in ("ok", "attack unreliable") else (cell, column.reason)
    )
    status = np.where(scored, cell, empty[0]).astype(object)
    reason = np.where(scored, "" if cell == "ok" else column.reason, empty[1]).astype(object)
    bad = record.manifest["sample_id"].to_pandas().map(stored.bad).to_numpy(dtype=object)
    unreadable = ~pd.isna(bad)
    status[unreadable], reason[unreadable] = "unreadable", bad[unreadable]
    called = np.where(stored.logits > threshold, 1.0, 0.0)
    return {
        "logit": stored.logits,
        "threshold": threshold,
        "called": np.where(scored & np.isfinite(threshold), called, np.nan),
        "status": status,
        "reason": reason,
    }
