"""A linear layer on the features of a network of timm, which stays as it was published."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


class Probe(nn.Module):
    """One linear layer on an image's features, which are not normalised.

    Args:
        model: Name that timm has for the backbone.
        outputs: Number of outputs.
        projected: Take a CLIP tower's features behind its projection, where text and images meet;
            else those before any classifier.

    Source: Ojha et al. 2023, arXiv:2302.10174, section 4.2.
    """

    def __init__(self, model: str, outputs: int = 1, *, projected: bool) -> None:
        super().__init__()
        import timm  # noqa: PLC0415  (5 s to import: only when one is built)

        kept: dict[str, Any] = {} if projected else {"num_classes": 0}
        self.backbone: nn.Module = timm.create_model(model, pretrained=False, **kept)
        self.fc = nn.Linear(feature_width(self.backbone, projected=projected), outputs)

    def forward(self, batch: Tensor) -> Tensor:
        """Map (N, 3, h, w) normalised float32 to (N, outputs)."""
        scores: Tensor = self.fc(self.backbone(batch))
        return scores


def feature_width(backbone: nn.Module, *, projected: bool) -> int:
    """Give how many features a network of timm has an image.

    Args:
        backbone: The network; with its projection where ``projected``.
        projected: Count the features behind the projection.
    """
    sizes: Any = backbone
    return int(sizes.num_classes if projected else sizes.head_hidden_size or sizes.num_features)


def probe_builder(model: str, *, projected: bool) -> Callable[[int], nn.Module]:
    """Give what builds a probe from its number of outputs."""

    def build(outputs: int) -> nn.Module:
        return Probe(model, outputs, projected=projected)

    return build
