"""What a training's folder holds already: other settings, a checkpoint, or the end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from bench.errors import BenchError
from bench.support.files import write_text
from bench.support.user_file import read_text, why
from bench.training.plan import Trained, TrainingPlan
from bench.training.report import RECORD

if TYPE_CHECKING:
    from bench.training.callbacks import Keeper

SETTINGS = "settings.json"


def check_same_training(plan: TrainingPlan) -> None:
    """Refuse a folder begun under other settings or data; write them down in an empty one.

    Raises:
        BenchError: Names the first setting that differs, and both its values.
    """
    split = plan.split
    current = {
        **plan.settings.model_dump(mode="json"),
        "data": plan.manifest.digest,
        "started from": plan.started_from,
        "images": [len(split.train), len(split.val)],
    }
    path = plan.folder / SETTINGS
    if not path.is_file():
        write_text(path, json.dumps(current, indent=2) + "\n")
        return
    begun = _read_json(path)
    for key, value in current.items():
        before = begun.get(key)  # a setting that is younger than the folder was not set: None
        if before != value:
            raise BenchError(
                f"{plan.folder} holds a training with {key} {before!r}, asked for is {value!r}: "
                "choose another --out, or remove that folder"
            )


def read_finished(plan: TrainingPlan) -> Trained | None:
    """Read the end of this training from its folder; ``None`` where it has not come to its end."""
    from bench.training.module import Epoch  # noqa: PLC0415  (imports Lightning)

    path = plan.folder / RECORD
    if not path.is_file() or not plan.weights_file.is_file():
        return None
    record = _read_json(path)
    try:
        history = tuple(Epoch(**row) for row in record["history"])
        best = next(epoch for epoch in history if epoch.epoch == record["best_epoch"])
    except (LookupError, TypeError, StopIteration) as error:
        raise _damaged(path, error) from error
    return Trained(plan, history, best)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, error) from error
    if not isinstance(record, dict):
        raise _damaged(path, TypeError("it holds no object"))
    return record


def _damaged(path: Path, error: Exception) -> BenchError:
    return BenchError(
        f"{path} is not what a training wrote ({why(error)}): choose another --out, or remove that folder"
    )


def read_checkpoint(path: Path, keeper: Keeper) -> None:
    """Give a keeper the epochs that lie behind a checkpoint."""
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    key = next((k for k in state["callbacks"] if k.startswith("Keeper")), None)
    if key is not None:
        keeper.load_state_dict(state["callbacks"][key])
