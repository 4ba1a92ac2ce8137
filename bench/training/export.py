"""The end of a training: weights, card, record and curves, all under the training's folder."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from bench.datasets.sources.image_bytes import parquet_row
from bench.store.provenance import versions
from bench.support.files import write_atomic, write_text
from bench.support.progress import Progress
from bench.training.callbacks import BEST
from bench.training.report import RECORD, draw_curves
from detectors.card import DetectorCard, TrainingData, WeightsRef
from detectors.weights import file_sha256

if TYPE_CHECKING:
    from bench.training.request import Trained

SPLIT = "split.csv"
# Batch statistics lose too much in half precision, and take little room.
_FULL = ("running_mean", "running_var")


def export(done: Trained, progress: Progress) -> None:
    """Write ``<name>.safetensors``, its card, ``training.json`` and ``curves.svg``."""
    state = load_file(done.folder / BEST)
    if done.request.half:
        state = halved(state)
    weights = weights_file(done)
    write_atomic(weights, lambda stream: stream.write(save(state)))
    card = card_of(done, file_sha256(weights))
    write_text(weights.with_suffix(".json"), card.model_dump_json(indent=2) + "\n")
    if done.split.made_here:
        write_split(done, done.folder / SPLIT)
    draw_curves(done.history, done.name, done.folder / "curves.svg")
    # Last: where this is, the training is finished.
    write_text(done.folder / RECORD, json.dumps(record_of(done, card), indent=2) + "\n")
    progress.note(f"written: {weights}, its card, training.json, log.csv and curves.svg")


def write_split(done: Trained, path: Path) -> None:
    """The split made here as a table any command reads: ``bench run --data split.csv --split test``.

    Data in Parquet have no file an image to name, so there is none for them.
    """
    table = done.manifest.table
    if any(parquet_row(locator) for locator in table["locator"].to_pylist()[:1]):
        return
    split = np.full(len(table), "", dtype=object)
    for name in ("train", "val", "test"):
        split[getattr(done.split, name)] = name
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["path", "sample_id", "label", "generator", "domain", "split", "group", "control"]
    )
    root = done.manifest.root.resolve()
    owner = _owners(done.manifest.pairing)
    paired = {source for sources in done.manifest.pairing.values() for source in sources}
    for record, used in zip(done.manifest.records(), split.tolist(), strict=True):
        if used:
            place = root / record.locator
            source = owner.get(record.generator, record.generator)
            row = [place, record.sample_id, record.label, source, record.domain]
            control = int(record.label == 0 and record.generator not in paired)
            writer.writerow([*row, used, record.group, control])
    write_text(path, text.getvalue())


def _owners(pairing: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Real sources that one of several generators has for itself: a table names them by it."""
    users: dict[str, list[str]] = {}
    for generator, sources in pairing.items():
        for source in sources:
            users.setdefault(source, []).append(generator)
    if len(pairing) < 2:
        return {}
    return {source: names[0] for source, names in users.items() if len(names) == 1}


def halved(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Matrices and kernels in half precision, the rest as it is; reading widens them again."""
    return {
        key: value.half()
        if value.dtype == torch.float32 and value.ndim > 1 and not key.endswith(_FULL)
        else value
        for key, value in state.items()
    }


def weights_file(done: Trained) -> Path:
    """Where a training's weights stand, with the card beside them."""
    name = "".join(c if c.isalnum() or c in "-_.=" else "_" for c in done.name)
    return done.folder / f"{name}.safetensors"


def card_of(done: Trained, sha256: str) -> DetectorCard:
    """The card of the trained weights: what was learned from, how, and how well."""
    settings, best = done.request.settings, done.best
    assert best is not None
    table = done.manifest.table.take(done.split.train)
    labels = table["label"].to_numpy()
    generators = np.array(table["generator"].to_pylist(), dtype=object)
    domains = sorted(set(table["domain"].to_pylist()) - {""})
    return DetectorCard(
        name=done.name,
        arch=done.arch.name,
        reference=done.arch.reference,
        licence=done.request.licence,
        fake_logit="z" if settings.outputs == 1 else "z1-z0",
        input=done.spec,
        weights=WeightsRef(sha256=sha256),
        training_data=TrainingData(
            dataset=done.manifest.name,
            generators=tuple(sorted(set(generators[labels == 1].tolist()))),
            domains=tuple(domains),
            digest=done.manifest.digest,
            n_real=int((labels == 0).sum()),
            n_fake=int((labels == 1).sum()),
        ),
        training={
            "recipe": done.request.recipe or None,
            "budget": done.request.budget or None,
            "started_from": done.started_from,
            **settings.model_dump(
                mode="json",
                include={
                    "seed", "optimizer", "lr", "weight_decay", "schedule", "batch",
                    "label_smoothing", "precision", "leaks", "augment",
                },
            ),
            "images_by_generator": _by_generator(generators.tolist(), labels.tolist()),
            "epochs": len(done.history),
            "best_epoch": best.epoch,
            "best_of": "validation AUC over epochs",
            "val_auc": round(best.val_auc, 5),
            "val_accuracy": round(best.val_accuracy, 4),
            "weights_dtype": "float16, some float32" if done.request.half else "float32",
            "wall_seconds": round(sum(epoch.seconds for epoch in done.history)),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "remarks": list(done.split.remarks),
            "versions": [f"{name} {version}" for name, version in versions().items()],
            "curve_val_auc": [f"{epoch.val_auc:.5f}" for epoch in done.history],
            "curve_train_loss": [f"{epoch.train_loss:.4f}" for epoch in done.history],
            "curve_val_loss": [f"{epoch.val_loss:.4f}" for epoch in done.history],
        },
    )  # fmt: skip


def _by_generator(names: list[str], labels: list[int]) -> list[str]:
    counts: dict[tuple[int, str], int] = {}
    for label, name in zip(labels, names, strict=True):
        counts[label, name] = counts.get((label, name), 0) + 1
    return [
        f"{'fake' if label else 'real'} {name}: {n}" for (label, name), n in sorted(counts.items())
    ]


def record_of(done: Trained, card: DetectorCard) -> dict[str, Any]:
    """Everything of a training in JSON: for the training table and for `bench reproduce`."""
    learns = [p for p in done.network.parameters() if p.requires_grad]
    return {
        "name": done.name,
        "card": card.model_dump(mode="json"),
        "settings": done.request.settings.model_dump(mode="json"),
        "recipe": done.request.recipe,
        "budget": done.request.budget,
        "started_from": done.started_from,
        "parameters": sum(p.numel() for p in done.network.parameters()),
        "parameters_learning": sum(p.numel() for p in learns),
        "data": {
            "name": done.manifest.name,
            "digest": done.manifest.digest,
            "train": len(done.split.train),
            "val": len(done.split.val),
            "test": len(done.split.test),
        },
        "best_epoch": done.best.epoch if done.best else None,
        "history": [epoch.row() for epoch in done.history],
    }


def summary(done: Trained) -> dict[str, Any]:
    """One row about a training, for a person or a script."""
    best = done.best
    assert best is not None
    return {
        "detector": done.name,
        "train images": len(done.split.train),
        "epochs": len(done.history),
        "best epoch": best.epoch,
        "val AUC": round(best.val_auc, 5),
        "val accuracy": round(best.val_accuracy, 4),
        "weights": str(weights_file(done)),
    }
