"""Gradients a second of FGSM, PGD and APGD, beside torchattacks on the same device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from attacks.apgd import APGD
from attacks.fgsm import FGSM
from attacks.pgd import PGD
from bench.inference.batches import unit_floats
from bench.scoring.logit_functions import Remembered
from detectors.base import Detector
from tests.benchmarks.gpu.setting import (
    NETWORKS,
    Figures,
    NotInstalledError,
    Setting,
    canvases,
)

EPS = (1 / 255, 2 / 255, 4 / 255, 8 / 255)
Side = Callable[[], object]


class TwoLogits(nn.Module):
    """The detector as torchattacks wants it: logits [0, z]."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector, self.network = detector, nn.ModuleList(detector.modules())

    def forward(self, images: Tensor) -> Tensor:
        """Put a zero before each logit."""
        z = self.detector.logits(images)
        return torch.stack([torch.zeros_like(z), z], 1)


def ask(setting: Setting) -> Iterator[Figures]:
    """Every attack on network after network: bench's own first, then the library's."""
    if setting.device == "cpu":
        torch.set_num_threads(1)
    size, steps = (2, 2) if setting.small else (64, 10)
    networks = ("mobilenetv2_100",) if setting.small else NETWORKS
    yield {"batch": size, "steps of PGD": steps, "steps of APGD": 2 * steps}
    for network in networks:
        detector, images, labels = batch_of(setting, network, size)
        yield {network: ours(setting, detector, images, labels, steps)}
        library = torchattacks_or_raise()
        sides = torchattacks_sides(library, TwoLogits(detector).eval(), images, labels, steps)
        yield {network: rates(setting, sides, size, "torchattacks")}


def batch_of(setting: Setting, network: str, size: int) -> tuple[Detector, Tensor, Tensor]:
    """A detector, images, and its own verdicts as labels, so that neither side leaves an image out."""
    detector = setting.detector(network)
    images = unit_floats(torch.from_numpy(canvases(size)).to(setting.torch_device))
    with torch.no_grad():
        labels = (detector.checked_logits(images) > 0).long()
    return detector, images, labels


def ours(
    setting: Setting, detector: Detector, images: Tensor, labels: Tensor, steps: int
) -> Figures:
    """Gradients a second of bench's own attacks."""
    seeds = range(len(images))

    def fgsm() -> None:
        memory = Remembered(detector.checked_logits)
        for eps in EPS:
            FGSM(eps=eps)(memory, images, labels, seeds)

    sides: dict[str, tuple[int, Side]] = {
        "FGSM at four eps": (1, fgsm),
        "PGD": (steps, lambda: PGD(steps=steps)(detector.checked_logits, images, labels, seeds)),
        "APGD": (
            2 * steps,
            lambda: APGD(steps=2 * steps)(detector.checked_logits, images, labels, seeds),
        ),
    }
    return rates(setting, sides, len(images), "bench")


def torchattacks_sides(
    library: Any, model: nn.Module, images: Tensor, labels: Tensor, steps: int
) -> dict[str, tuple[int, Side]]:
    """The same attacks of torchattacks."""
    pgd = library.PGD(model, steps=steps)
    apgd = library.APGD(model, steps=2 * steps)
    fgsm = [library.FGSM(model, eps=eps) for eps in EPS]
    return {
        "FGSM at four eps": (1, lambda: [attack(images, labels) for attack in fgsm]),
        "PGD": (steps, lambda: pgd(images, labels)),
        "APGD": (2 * steps, lambda: apgd(images, labels)),
    }


def rates(setting: Setting, sides: dict[str, tuple[int, Side]], images: int, whose: str) -> Figures:
    """By attack: gradients a second, as many counted as the attack needs by its definition."""
    seconds = 0.0 if setting.small else setting.seconds / 40
    return {
        name: {whose: round(setting.rate(work, images * gradients, seconds), 2)}
        for name, (gradients, work) in sides.items()
    }


def torchattacks_or_raise() -> Any:
    """Import the library; raises where it is not there."""
    try:
        import torchattacks
    except ImportError as error:
        raise NotInstalledError(f"torchattacks ({error})") from error
    return torchattacks
