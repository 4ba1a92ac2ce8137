"""`resnet50-frozen`: a fixed ImageNet body under a small trained head (Babes-Bolyai University)."""

from __future__ import annotations

from typing import Self

from torch import Tensor, nn

from detectors.card import InputSpec
from detectors.network import Architecture
from detectors.pretrained import Pretrained


class FrozenResNet50(nn.Module):
    """ResNet-50 without its classifier, averaged, then FC 256, ReLU, dropout 0.5 and one output.

    Source: a study of Tiny-GenImage: frozen ImageNet body, global average pooling, FC 256 ReLU, dropout 0.5,
    one sigmoid. There the sigmoid means *real*; here, as everywhere, a positive logit means AI-generated.

    The body gets no gradients and its batch norms keep their statistics, until `thaw` is called.
    """

    def __init__(self, outputs: int = 1) -> None:
        super().__init__()
        import timm  # noqa: PLC0415  (5 s to import: only when one is built)

        self.body: nn.Module = timm.create_model("resnet50", pretrained=False, num_classes=0)
        self.head = nn.Sequential(
            nn.Linear(2048, 256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, outputs)
        )
        self.body.requires_grad_(requires_grad=False)
        self._frozen = True

    def thaw(self) -> None:
        """Let the body learn too: random features that never change are of no use."""
        self.body.requires_grad_(requires_grad=True)
        self._frozen = False

    def train(self, mode: bool = True) -> Self:
        """Switch to training; a frozen body stays as it was."""
        super().train(mode)
        if self._frozen:
            self.body.eval()
        return self

    def forward(self, batch: Tensor) -> Tensor:
        """Map (N, 3, h, w) float32 to (N, outputs)."""
        scores: Tensor = self.head(self.body(batch))
        return scores


DETECTORS: dict[str, Architecture] = {
    "resnet50-frozen": Architecture(
        name="resnet50-frozen",
        build=FrozenResNet50,
        input=InputSpec(size=224, fit="shortest-crop", interpolation="bilinear"),
        reference="Tiny-GenImage study, Babes-Bolyai University",
        summary="fixed ImageNet ResNet-50 under a trained head of 0.52 M parameters",
        pretrained=Pretrained("timm", "resnet50", head=("fc.",), prefix="body."),
    ),
}
