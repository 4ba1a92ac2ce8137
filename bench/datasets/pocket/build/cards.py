"""From a training record to shipped weights: ``NAME.pocket.safetensors`` and its card, side by side.

Usage: ``python -m bench.datasets.pocket.build.cards RECORD.train.json WEIGHTS.safetensors detectors/zoo``.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from detectors.card import DetectorCard, FakeLogit, InputSpec, TrainingData, WeightsRef
from detectors.network import load_network
from detectors.weights import file_sha256

from .training_data import ARCHITECTURES

POCKET = "pocket"
_FAKE_LOGIT: dict[int, FakeLogit] = {1: "z", 2: "z1-z0"}
_KEPT = (
    "seed", "epochs", "optimizer", "lr", "weight_decay", "batch", "augmentation", "best_of", "date",
    "wall_seconds", "val_auc", "val_accuracy", "weights_dtype",
)  # fmt: skip


def card_of(record: dict[str, Any], weights: Path) -> DetectorCard:
    """The card of freshly trained weights.

    Args:
        record: What ``train_detectors`` wrote beside them.
        weights: The file, for its hash.
    """
    arch = record["detector"]
    return DetectorCard(
        name=record["name"],
        arch=arch,
        reference=ARCHITECTURES[arch].reference,
        licence="Apache-2.0",
        fake_logit=_FAKE_LOGIT[record["outputs"]],
        input=InputSpec(size=record["side"], fit="crop", mean=record["mean"], std=record["std"]),
        weights=WeightsRef(sha256=file_sha256(weights)),
        training_data=TrainingData(
            dataset=POCKET,
            generators=tuple(record["generators"]),
            domains=tuple(record["domains"]),
            digest=record["train_sha256"],
            n_real=record["n_train"]["real"],
            n_fake=record["n_train"]["fake"],
        ),
        training={
            **{key: record[key] for key in _KEPT},
            "recipe": f"python -m bench.datasets.pocket.build.train_detectors --name {record['name']}",
            "versions": [f"{package} {version}" for package, version in record["versions"].items()],
        },
    )


def main() -> None:
    """Put weights and card into the zoo, and load them once the way a user would."""
    record_path, weights, zoo = (Path(argument) for argument in sys.argv[1:4])
    card = card_of(json.loads(record_path.read_text(encoding="utf-8")), weights)
    target = zoo / f"{card.name}.safetensors"
    shutil.copyfile(weights, target)
    target.with_suffix(".json").write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
    print(load_network(ARCHITECTURES[card.arch], target).identity())


if __name__ == "__main__":
    main()
