"""The file that ``bench new detector`` writes."""

from __future__ import annotations

from typing import Final

from bench.skeletons.skeleton import Skeleton

_TEXT: Final = '''"""$title: a detector of AI-generated images, to be made one's own.

It runs as it is, with random weights, and says so: its numbers mean nothing before it is trained.
Train `$title().network`, save it with `torch.save(network.state_dict(), "$name.pth")`, then

    bench run --detector $name.py:$title --weights $name.pth --suite smoke
"""

from pathlib import Path

from detectors import Detector, DetectorCard, InputSpec
from detectors.weights import load_strict, read_state_for
from torch import Tensor, nn


class ResidualNetwork(nn.Module):
    """A few convolutions on what a local mean leaves of an image, which generators seldom get right."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.head = nn.Linear(32, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, 3, h, w) in [0, 1] to (N, 1)."""
        residual = 10 * (images - self.mean(images))
        logit: Tensor = self.head(self.features(residual).mean(dim=(2, 3)))
        return logit


class $title(Detector):
    """One logit an image, > 0 means AI-generated."""

    # What travels with the numbers: geometry, and what was trained on, so that the board can tell seen
    # generators from unseen ones: training_data=TrainingData(dataset="...", generators=("...",)).
    card = DetectorCard(
        name="$name (untrained)",
        arch="$name",
        input=InputSpec(size=64, fit="crop"),
    )

    def __init__(self, weights: Path | None = None) -> None:
        """Build the network; --weights FILE arrives as `weights`."""
        self.network = ResidualNetwork()
        if weights is not None:
            state = read_state_for(self.network, weights)
            load_strict(self.network, state, weights.name)
            self.card = self.card.model_copy(update={"name": "$name"})

    def logits(self, batch: Tensor) -> Tensor:
        """Score (N, 3, 64, 64) float32 in [0, 1]: (N,) raw logits, never probabilities."""
        logits: Tensor = self.network(batch)[:, 0]
        return logits
'''

DETECTOR = Skeleton(
    kind="detector",
    text=_TEXT,
    runs="bench run --detector $detector --suite smoke --out runs/$name",
)
