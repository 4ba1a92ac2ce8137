"""From a training record to shipped weights: ``NAME.pocket.safetensors`` and its card, side by side.

Usage: ``python -m bench.datasets.pocket.build.cards RECORD.train.json WEIGHTS.safetensors detectors/zoo``.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from detectors import backbones, paper_cnns
from detectors.card import DetectorCard, InputSpec, TrainingData, WeightsRef
from detectors.network import load_network
from detectors.weights import file_sha256

POCKET = "pocket"
_ARCHITECTURES = {**backbones.DETECTORS, **paper_cnns.DETECTORS}
_FAKE_LOGIT = {"resnet50": "z", "genimage-cnn": "z1-z0"}
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
    name = record["detector"]
    return DetectorCard(
        name=f"{name}.{POCKET}",
        arch=name,
        reference=_ARCHITECTURES[name].reference,
        licence="Apache-2.0",
        fake_logit=_FAKE_LOGIT[name],
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
            "recipe": "python -m bench.datasets.pocket.build.train_detectors",
            "versions": [f"{name} {version}" for name, version in record["versions"].items()],
        },
    )


def main() -> None:
    """Put weights and card into the zoo, and load them once the way a user would."""
    record_path, weights, zoo = (Path(argument) for argument in sys.argv[1:4])
    card = card_of(json.loads(record_path.read_text(encoding="utf-8")), weights)
    target = zoo / f"{card.name}.safetensors"
    shutil.copyfile(weights, target)
    target.with_suffix(".json").write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")
    print(load_network(_ARCHITECTURES[card.arch], target).identity())


if __name__ == "__main__":
    main()
