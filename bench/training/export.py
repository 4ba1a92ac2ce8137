"""The end of a training: weights, card, record and curves, all under the training's folder."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from bench.datasets.sources.image_bytes import is_embedded
from bench.store.provenance import versions
from bench.support.files import write_atomic, write_text
from bench.support.objects.place import below
from bench.support.progress import Progress
from bench.training.callbacks import BEST
from bench.training.report import RECORD, draw_curves
from detectors.card import DetectorCard, TrainingData, WeightsRef
from detectors.weights import file_sha256

if TYPE_CHECKING:
    from bench.training.plan import Trained, TrainingPlan

SPLIT = "split.csv"
# Batch statistics lose too much in half precision, and take little room.
_FULL = ("running_mean", "running_var")
_SETTINGS_ON_CARD = {
    "seed", "optimizer", "lr", "weight_decay", "schedule", "batch", "label_smoothing", "precision",
    "leaks", "augment",
}  # fmt: skip


def export(trained: Trained, progress: Progress) -> None:
    """Write ``<name>.safetensors``, its card, ``training.json`` and ``curves.svg``.

    Raises:
        OutputError: The folder cannot be written.
    """
    plan = trained.plan
    state = load_file(plan.folder / BEST)
    if plan.options.half:
        state = halved(state)
    weights = plan.weights_file
    write_atomic(weights, lambda stream: stream.write(save(state)))
    card = make_card(trained, file_sha256(weights))
    write_text(weights.with_suffix(".json"), card.model_dump_json(indent=2) + "\n")
    if plan.split.made_here:
        write_split(plan, plan.folder / SPLIT)
    draw_curves(trained.history, plan.name, plan.folder / "curves.svg")
    # Last: where this is, the training is finished.
    write_text(plan.folder / RECORD, json.dumps(make_record(trained, card), indent=2) + "\n")
    progress.note(f"written: {weights}, its card, training.json, log.csv and curves.svg")


def write_split(plan: TrainingPlan, path: Path) -> None:
    """Write the split made here as a table any command reads: ``bench run --data split.csv --split test``.

    Data in Parquet have no file an image to name, so there is none for them.
    """
    table = plan.manifest.table
    if any(is_embedded(locator) for locator in table["locator"].to_pylist()[:1]):
        return
    uses = np.full(len(table), "", dtype=object)
    uses[plan.split.train] = "train"
    uses[plan.split.val] = "val"
    uses[plan.split.test] = "test"
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["path", "sample_id", "label", "generator", "domain", "split", "group", "control"]
    )
    root = plan.manifest.root.resolve()
    owners = _owners(plan.manifest.pairing)
    paired = {source for sources in plan.manifest.pairing.values() for source in sources}
    for record, use in zip(plan.manifest.records(), uses.tolist(), strict=True):
        if use:
            source = owners.get(record.generator, record.generator)
            row = [
                below(root, record.locator),
                record.sample_id,
                record.label,
                source,
                record.domain,
            ]
            control = int(record.label == 0 and record.generator not in paired)
            writer.writerow([*row, use, record.group, control])
    write_text(path, text.getvalue())


def _owners(pairing: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """The generator of each real source that only one of several is paired with: a table names it so."""
    users: dict[str, list[str]] = {}
    for generator, sources in pairing.items():
        for source in sources:
            users.setdefault(source, []).append(generator)
    if len(pairing) < 2:
        return {}
    return {source: names[0] for source, names in users.items() if len(names) == 1}


def halved(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Narrow float32 matrices and kernels to float16, keep the rest; reading widens them again."""
    return {
        key: value.half()
        if value.dtype == torch.float32 and value.ndim > 1 and not key.endswith(_FULL)
        else value
        for key, value in state.items()
    }


def make_card(trained: Trained, sha256: str) -> DetectorCard:
    """Write the card of the trained weights: what was learned from, how, and how well."""
    plan = trained.plan
    settings = plan.settings
    return DetectorCard(
        name=plan.name,
        arch=plan.arch.name,
        reference=plan.arch.reference,
        licence=plan.options.licence,
        fake_logit="z" if settings.outputs == 1 else "z1-z0",
        input=plan.spec,
        weights=WeightsRef(sha256=sha256),
        training_data=_training_data(plan),
        training=_training_facts(trained),
    )


def _training_data(plan: TrainingPlan) -> TrainingData:
    table = plan.manifest.table.take(plan.split.train)
    labels = table["label"].to_numpy()
    generators = np.array(table["generator"].to_pylist(), dtype=object)
    domains = sorted(set(table["domain"].to_pylist()) - {""})
    return TrainingData(
        dataset=plan.manifest.name,
        generators=tuple(sorted(set(generators[labels == 1].tolist()))),
        domains=tuple(domains),
        digest=plan.manifest.digest,
        n_real=int((labels == 0).sum()),
        n_fake=int((labels == 1).sum()),
    )


def _training_facts(trained: Trained) -> dict[str, Any]:
    plan, best, history = trained.plan, trained.best, trained.history
    table = plan.manifest.table.take(plan.split.train)
    return {
        "recipe": plan.request.recipe or None,
        "budget": plan.request.budget or None,
        "started_from": plan.started_from,
        **plan.settings.model_dump(mode="json", include=_SETTINGS_ON_CARD),
        "images_by_generator": _by_generator(
            table["generator"].to_pylist(), table["label"].to_pylist()
        ),
        "epochs": len(history),
        "best_epoch": best.epoch,
        "best_of": "validation AUC over epochs",
        "val_auc": round(best.val_auc, 5),
        "val_accuracy": round(best.val_accuracy, 4),
        "weights_dtype": "float16, some float32" if plan.options.half else "float32",
        "wall_seconds": round(sum(epoch.seconds for epoch in history)),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "remarks": list(plan.split.remarks),
        "versions": [f"{name} {version}" for name, version in versions().items()],
        "curve_val_auc": [f"{epoch.val_auc:.5f}" for epoch in history],
        "curve_train_loss": [f"{epoch.train_loss:.4f}" for epoch in history],
        "curve_val_loss": [f"{epoch.val_loss:.4f}" for epoch in history],
    }


def _by_generator(names: list[str], labels: list[int]) -> list[str]:
    counts = Counter(zip(labels, names, strict=True))
    return [
        f"{'fake' if label else 'real'} {name}: {n}" for (label, name), n in sorted(counts.items())
    ]


def make_record(trained: Trained, card: DetectorCard) -> dict[str, Any]:
    """Gather everything of a training as JSON: for the training table and for `bench reproduce`."""
    plan = trained.plan
    parameters = list(plan.network.parameters())
    return {
        "name": plan.name,
        "card": card.model_dump(mode="json"),
        "settings": plan.settings.model_dump(mode="json"),
        "recipe": plan.request.recipe,
        "budget": plan.request.budget,
        "started_from": plan.started_from,
        "parameters": sum(p.numel() for p in parameters),
        "parameters_learning": sum(p.numel() for p in parameters if p.requires_grad),
        "data": {
            "name": plan.manifest.name,
            "digest": plan.manifest.digest,
            "train": len(plan.split.train),
            "val": len(plan.split.val),
            "test": len(plan.split.test),
        },
        "best_epoch": trained.best.epoch,
        "history": [epoch.row() for epoch in trained.history],
    }


def summary(trained: Trained) -> dict[str, Any]:
    """Sum a training up in one row, for a person or a script."""
    best = trained.best
    return {
        "detector": trained.plan.name,
        "train images": len(trained.plan.split.train),
        "epochs": len(trained.history),
        "best epoch": best.epoch,
        "val AUC": round(best.val_auc, 5),
        "val accuracy": round(best.val_accuracy, 4),
        "weights": str(trained.plan.weights_file),
    }
