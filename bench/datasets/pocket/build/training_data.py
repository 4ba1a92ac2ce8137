"""Around the training loop: tiles in memory, networks, scores, and facts for the record."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from detectors import backbones
from detectors.architectures import dalle2_art_cnn, genimage_cnn, small_vit
from detectors.network import Architecture

from .checks import read
from .pack import decode
from .recipe import Recipe

ARCHITECTURES: dict[str, Architecture] = {
    **backbones.DETECTORS,
    **dalle2_art_cnn.DETECTORS,
    **genimage_cnn.DETECTORS,
    **small_vit.DETECTORS,
}


@dataclass(frozen=True, slots=True)
class Split:
    """The tiles of one split, in memory.

    Attributes:
        images: uint8, shape (N, 64, 64, 3).
        labels: int64, shape (N,), 1 = fake.
        generators: Generator of each tile; `photo` for real ones.
        pairs: Real tile that each tile is or varies.
        domains: Scenes present, sorted.
        variations: Index of a real tile -> indices of its fakes.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    generators: list[str]
    pairs: list[str]
    domains: list[str]
    variations: dict[int, list[int]]

    @property
    def reals(self) -> NDArray[np.int64]:
        """Indices of the real tiles."""
        return np.flatnonzero(self.labels == 0)

    @property
    def fakes(self) -> NDArray[np.int64]:
        """Indices of the fakes."""
        return np.flatnonzero(self.labels == 1)

    def partner(self, real: int, rng: np.random.Generator) -> int:
        """Pick the fake that goes beside a real tile: one of its own variations, else any."""
        own = self.variations.get(real)
        return int(rng.choice(own if own else self.fakes))


@dataclass(frozen=True, slots=True)
class Summary:
    """How well scores part the classes.

    Attributes:
        auc: ROC AUC of all fakes against all real tiles.
        accuracy: Share with the right side of logit 0.
        by_generator: ROC AUC of each generator's fakes against all real tiles.
    """

    auc: float
    accuracy: float
    by_generator: dict[str, float]


def load_split(folder: Path, split: str, generators: Sequence[str] | None) -> Split:
    """Decode one split.

    Args:
        folder: Where the Parquet files are.
        split: `train`, `val` or `test`.
        generators: Generators whose fakes to keep; None keeps all.

    Returns:
        All real tiles and the fakes asked for.
    """
    rows = [row for row in read(folder, split) if not row["control"]]
    known = {str(row["generator"]) for row in rows}
    if missing := sorted(set(generators or ()) - known):
        raise ValueError(f"no fakes by {missing} in {split}; there are {sorted(known - {'photo'})}")
    if generators is not None:
        rows = [row for row in rows if row["generator"] in ("photo", *generators)]
    labels = np.array([row["label"] for row in rows], dtype=np.int64)
    pairs = [str(row["pair"]) for row in rows]
    real_of = {pairs[i]: int(i) for i in np.flatnonzero(labels == 0)}
    variations: dict[int, list[int]] = {}
    for i in np.flatnonzero(labels == 1):
        variations.setdefault(real_of[pairs[i]], []).append(int(i))
    return Split(
        images=np.stack([decode(row["bytes"]) for row in rows]),  # type: ignore[arg-type]
        labels=labels,
        generators=[str(row["generator"]) for row in rows],
        pairs=pairs,
        domains=sorted({str(row["domain"]) for row in rows}),
        variations=variations,
    )


def build_network(recipe: Recipe) -> nn.Module:
    """Build the untrained network of a recipe."""
    network = ARCHITECTURES[recipe.detector].build(recipe.outputs)
    if recipe.zero_head:
        head = [layer for layer in network.modules() if isinstance(layer, nn.Linear)][-1]
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
    return network


@torch.no_grad()
def score(
    network: nn.Module,
    split: Split,
    prepare: Callable[[Tensor], Tensor],
    side: int,
    to_logit: Callable[[Tensor], Tensor],
) -> NDArray[np.float32]:
    """Score a split's centre crops.

    Args:
        network: The network; left in evaluation mode.
        split: What to score.
        prepare: uint8 (N, 3, side, side) -> the network's input.
        side: Side of the centre crop in px.
        to_logit: The network's output -> float32 (N,).

    Returns:
        float32 (N,), in the split's order.
    """
    network.eval()
    start = (split.images.shape[1] - side) // 2
    crops = split.images[:, start : start + side, start : start + side]
    batches = torch.from_numpy(crops.copy()).permute(0, 3, 1, 2)
    logits = torch.cat([to_logit(network(prepare(batch))) for batch in torch.split(batches, 128)])
    return np.asarray(logits.numpy(), dtype=np.float32)


def summary(split: Split, logits: NDArray[np.float32]) -> Summary:
    """Compare logits, float32 (N,), with a split's labels."""
    real = logits[split.labels == 0]
    names = np.array(split.generators)
    by_generator = {}
    for name in sorted(set(split.generators) - {"photo"}):
        fake = logits[names == name]
        labels = np.r_[np.zeros(len(real)), np.ones(len(fake))]
        by_generator[name] = float(roc_auc_score(labels, np.r_[real, fake]))
    accuracy = float(((logits > 0) == (split.labels == 1)).mean())
    return Summary(float(roc_auc_score(split.labels, logits)), accuracy, by_generator)


def to_fp16(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Store weights in half the space without moving the logits.

    The first layer, the last layer and all vectors (biases, normalisation) stay float32: rounding a ResNet's
    first convolution alone moves logits by .2, and together they take little.

    Args:
        state: Weights by name, float32, in the order of the layers; integer tensors stay as they are.

    Returns:
        The same names, the other tensors in float16.

    Raises:
        ValueError: A value does not fit.
    """
    layers = [name for name, value in state.items() if value.dim() > 1 and name.endswith(".weight")]
    kept = {layers[0], layers[-1]}
    half = {
        name: value.half() if value.dim() > 1 and name not in kept else value
        for name, value in state.items()
    }
    if broken := [k for k, v in half.items() if v.is_floating_point() and not v.isfinite().all()]:
        raise ValueError(f"values too large for float16 in {broken[:3]}")
    return half


def digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def versions() -> dict[str, Any]:
    """Versions of what shaped the weights."""
    packages = {
        name: version(name) for name in ("torch", "timm", "numpy", "pillow", "scikit-learn")
    }
    return {"python": sys.version.split()[0], **packages}
