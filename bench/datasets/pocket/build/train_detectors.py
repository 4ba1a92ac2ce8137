"""Train the detectors that ship with the harness on `pocket`.

`python -m bench.datasets.pocket.build.train_detectors --name genimage-cnn.vae --work DIR`

A batch holds as many fakes as real tiles, and each fake beside the real tile that it varies, turned and
mirrored alike: what is left to learn is the generator. There is no JPEG, noise or resize augmentation,
on purpose: the corruption suites are to show what that costs.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from .recipe import RECIPES, Recipe
from .training_data import (
    Split,
    build_network,
    digest,
    load_split,
    score,
    summary,
    to_fp16,
    versions,
)

LOG = logging.getLogger("pocket.train")
FOLDER = Path(__file__).resolve().parents[1]


def epoch_batches(
    split: Split, recipe: Recipe, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Give one epoch's batches: every real tile once, beside its variation, or a random fake if it has none.

    Args:
        split: Train tiles, real and seen fakes.
        recipe: Batch size and input side.
        rng: Order, turns and crops.

    Yields:
        Images uint8 (N, 3, side, side), and labels float32 (N,), 1 = fake.
    """
    order = rng.permutation(split.reals)
    half = recipe.batch // 2
    labels = torch.cat([torch.zeros(half), torch.ones(half)])
    for start in range(0, len(order) - half + 1, half):
        pairs = [(int(real), split.partner(int(real), rng)) for real in order[start : start + half]]
        batch = np.empty((2, half, recipe.side, recipe.side, 3), dtype=np.uint8)
        for i, pair in enumerate(pairs):
            y, x = rng.integers(split.images.shape[1] - recipe.side + 1, size=2)
            mirror, turns = int(rng.integers(2)), int(rng.integers(4))
            channels, negate = _recoloured(rng) if recipe.colours else ([0, 1, 2], False)
            for side, index in enumerate(pair):
                piece = split.images[index, y : y + recipe.side, x : x + recipe.side][..., channels]
                turned = np.rot90(piece[:, ::-1] if mirror else piece, turns)
                batch[side, i] = 255 - turned if negate else turned
        images = torch.from_numpy(batch.reshape(-1, recipe.side, recipe.side, 3))
        yield images.permute(0, 3, 1, 2), labels


def _recoloured(rng: np.random.Generator) -> tuple[list[int], bool]:
    """Draw an order of the channels, and whether a pair is turned into negatives."""
    return [int(c) for c in rng.permutation(3)], bool(rng.integers(2))


def normalise(images: Tensor, recipe: Recipe) -> Tensor:
    """Turn uint8 (N, 3, h, w) into the network's input, float32, channels last."""
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (recipe.mean, recipe.std))
    return ((images.float() / 255 - mean) / std).contiguous(memory_format=torch.channels_last)


def one_logit(output: Tensor) -> Tensor:
    """Give the logit of "fake", float32 (N,), from one or two outputs."""
    output = output.float()
    return output[:, 0] if output.shape[1] == 1 else output[:, 1] - output[:, 0]


class Trainer:
    """The loop: steps, an epoch's log line, the best checkpoint by validation AUC, resume."""

    def __init__(self, name: str, recipe: Recipe, data: Path, work: Path) -> None:
        torch.manual_seed(recipe.seed)
        self.name = name
        self.recipe = recipe
        self.train = load_split(data, "train", recipe.generators)
        self.val = load_split(data, "val", recipe.generators)
        self.network = build_network(recipe).to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay
        )
        steps = recipe.epochs * (len(self.train.reals) // (recipe.batch // 2))
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, recipe.lr, steps, pct_start=0.05, cycle_momentum=False
        )
        self.work = work
        self.epoch, self.best, self.wall = 0, -1.0, 0.0

    def logits(self, split: Split) -> NDArray[np.float32]:
        """Score every tile of a split, float32 (N,)."""
        return score(
            self.network, split, lambda x: normalise(x, self.recipe), self.recipe.side, one_logit
        )

    def run_epoch(self) -> float:
        """Train one epoch and give its mean loss."""
        self.network.train()
        losses = []
        rng = np.random.default_rng([self.recipe.seed, self.epoch])
        for images, labels in epoch_batches(self.train, self.recipe, rng):
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.recipe.bf16):
                output = self.network(normalise(images, self.recipe))
            loss = functional.binary_cross_entropy_with_logits(one_logit(output), labels)
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            self.optimizer.step()
            self.schedule.step()
            losses.append(loss.item())
        return float(np.mean(losses))

    def fit(self) -> None:
        """Train to the end; continue from the last checkpoint if there is one."""
        self.resume()
        while self.epoch < self.recipe.epochs:
            started = time.monotonic()
            loss = self.run_epoch()
            self.epoch += 1
            result = summary(self.val, self.logits(self.val))
            self.wall += time.monotonic() - started
            # Ties go to the later epoch: with a perfect AUC, the better-trained network is the later one.
            if result.auc >= self.best:
                self.best = result.auc
                torch.save(self.network.state_dict(), self.work / "best.pt")
            self.save()
            self.log([self.epoch, loss, result.auc, result.accuracy, self.wall])

    def log(self, values: list[float]) -> None:
        """Append a line to log.csv: epoch, loss, validation AUC, validation accuracy, seconds."""
        LOG.info("%s %s", self.name, " ".join(f"{v:.4g}" for v in values))
        with (self.work / "log.csv").open("a", newline="") as file:
            csv.writer(file).writerow(values)

    def save(self) -> None:
        """Write all that `resume` needs."""
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "numbers": [self.epoch, self.best, self.wall],
        }
        torch.save(state, self.work / "last.partial")
        (self.work / "last.partial").replace(self.work / "last.pt")

    def resume(self) -> None:
        """Continue from `last.pt`, if it is there."""
        path = self.work / "last.pt"
        if not path.exists():
            return
        state = torch.load(path, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        epoch, self.best, self.wall = state["numbers"]
        self.epoch = int(epoch)

    def export(self, data: Path) -> dict[str, Any]:
        """Write `<name>.safetensors`, in half precision, and `<name>.train.json` into the work folder.

        Args:
            data: Folder of the Parquet files.

        Returns:
            What the JSON file says.
        """
        self.network.load_state_dict(torch.load(self.work / "best.pt", weights_only=True))
        before = self.logits(self.val)
        state = to_fp16({k: value.contiguous() for k, value in self.network.state_dict().items()})
        self.network.load_state_dict(
            {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
        )
        after = self.logits(self.val)
        weights = self.work / f"{self.name}.safetensors"
        save_file(state, weights)
        facts = self.facts(data, after) | {
            "weights_sha256": digest(weights),
            "weights_dtype": "float16, some float32",
            "storage_logit_change": round(float(np.abs(after - before).max()), 4),
        }
        text = json.dumps(facts, indent=2) + "\n"
        (self.work / f"{self.name}.train.json").write_text(text, encoding="utf-8")
        return facts

    def facts(self, data: Path, val_logits: NDArray[np.float32]) -> dict[str, Any]:
        """Gather what the record says: recipe, data, results, circumstances.

        Args:
            data: Folder of the Parquet files.
            val_logits: Scores of the val split by the weights as stored.

        Returns:
            Values that JSON can hold.
        """
        test = load_split(data, "test", None)
        val, tests = summary(self.val, val_logits), summary(test, self.logits(test))
        return asdict(self.recipe) | {
            "name": self.name,
            "optimizer": "AdamW, one cycle (5% warm-up, cosine)",
            "augmentation": self.recipe.augmentation,
            "domains": self.train.domains,
            "train_sha256": digest(data / "pocket-train.parquet"),
            "n_train": {"real": len(self.train.reals), "fake": len(self.train.fakes)},
            "val_auc": round(val.auc, 4),
            "val_accuracy": round(val.accuracy, 4),
            "test_auc": {name: round(auc, 4) for name, auc in tests.by_generator.items()},
            "test_seen": {name: name in self.recipe.generators for name in tests.by_generator},
            "best_of": "validation AUC over epochs, seen generators only",
            "wall_seconds": round(self.wall),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": versions(),
        }


def main() -> None:
    """Parse the command line, train and export."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", choices=RECIPES, action="append", required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--data", type=Path, default=FOLDER)
    parser.add_argument(
        "--work", type=Path, required=True, help="folder for checkpoints and results"
    )
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(args.threads)
    for name in args.name:
        work = args.work / name
        work.mkdir(parents=True, exist_ok=True)
        trainer = Trainer(name, RECIPES[name], args.data, work)
        trainer.fit()
        facts = trainer.export(args.data)
        LOG.info("%s val %s, test %s", name, facts["val_auc"], facts["test_auc"])


if __name__ == "__main__":
    main()
