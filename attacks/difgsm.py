"""DI- and TI-FGSM: gradients that carry over, by varied inputs and smoothed gradients, with momentum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from attacks.base import LogitFn
from attacks.checks import real, whole
from attacks.gradient import InputGradient, input_gradient
from attacks.mifgsm import MIFGSM
from attacks.search import generators

# Standard deviations of the Gaussian from the kernel's centre to its edge, as published.
_DEVIATIONS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DIFGSM(MIFGSM):
    """Input diversity in the L-inf norm, with momentum: each gradient is taken at a varied picture.

    White-box, or against a surrogate. With probability ``diversity``, the picture is shrunk to a random
    size of at least ``shrink`` of its own and set at a random place on black before the detector sees
    it; the gradient is that of the picture all the same. Source: Xie et al. 2019, "Improving
    Transferability of Adversarial Examples with Input Diversity", algorithm 1 (M-DI2-FGSM).

    Attributes:
        diversity: Probability that a picture is varied, image by image and step by step.
        shrink: Least share of its side that it is shrunk to.
    """

    name: ClassVar[str] = "difgsm"
    summary: ClassVar[str] = "momentum steps at pictures resized and padded at random (L-inf)"

    diversity: float = 0.5
    shrink: float = 0.9

    def check(self) -> None:
        """Check diversity and shrink, and what momentum needs."""
        MIFGSM.check(self)
        object.__setattr__(
            self, "diversity", real(f"{self.name} diversity", self.diversity, 0.0, 1.0)
        )
        object.__setattr__(self, "shrink", real(f"{self.name} shrink", self.shrink, 0.1, 1.0))

    @property
    def draws(self) -> bool:
        """Sizes and places, unless nothing is varied."""
        return self.diversity > 0

    def gradients_of(
        self, logit_fn: LogitFn, labels: Tensor, seeds: Sequence[int]
    ) -> Callable[[Tensor], InputGradient]:
        """Take gradients at varied pictures, by each image's own generator."""
        rngs = generators(seeds)

        def varied(images: Tensor) -> Tensor:
            return logit_fn(
                torch.stack([self._vary(i, r) for i, r in zip(images, rngs, strict=True)])
            )

        def gradient(images: Tensor) -> InputGradient:
            return input_gradient(varied, images, labels, self.loss)

        return gradient

    def _vary(self, image: Tensor, rng: torch.Generator) -> Tensor:
        """Shrink and pad one ``(3, h, w)`` image, or leave it; draws in the published order."""
        height, width = image.shape[1:]
        least = int(width * self.shrink)
        if least >= width:
            return image
        new_width = int(torch.randint(least, width, (1,), generator=rng))
        new_height = max(round(new_width * height / width), 1)
        new_height = min(new_height, height - 1) if height > 1 else height
        top = int(torch.randint(0, max(height - new_height, 1), (1,), generator=rng))
        left = int(torch.randint(0, width - new_width, (1,), generator=rng))
        if float(torch.rand(1, generator=rng)) >= self.diversity:
            return image
        small = F.interpolate(
            image[None], size=[new_height, new_width], mode="bilinear", align_corners=False
        )
        right, bottom = width - new_width - left, height - new_height - top
        return F.pad(small, [left, right, top, bottom])[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class TIFGSM(DIFGSM):
    """Translation invariance in the L-inf norm, with momentum and input diversity.

    As :class:`DIFGSM`, with every gradient smoothed by a Gaussian of ``kernel`` pixels, which stands for
    the mean over shifted pictures. Source: Dong et al. 2019, "Evading Defenses to Transferable
    Adversarial Examples by Translation-Invariant Attacks", section 3.2.

    Attributes:
        kernel: Side of the kernel in pixels, odd.
    """

    name: ClassVar[str] = "tifgsm"
    summary: ClassVar[str] = (
        "momentum steps, varied pictures, gradients smoothed over shifts (L-inf)"
    )

    kernel: int = 15

    def check(self) -> None:
        """Check the kernel, and what input diversity needs."""
        DIFGSM.check(self)
        object.__setattr__(self, "kernel", whole(f"{self.name} kernel", self.kernel, 1, 101))
        if self.kernel % 2 == 0:
            raise ValueError(
                f"{self.name} kernel must be odd, got {self.kernel}: use {self.kernel + 1}"
            )

    def smooth(self, grad: Tensor) -> Tensor:
        """Smooth each channel of ``(M, 3, h, w)`` gradients by the Gaussian kernel."""
        place = torch.linspace(-_DEVIATIONS, _DEVIATIONS, self.kernel, dtype=torch.float64)
        line = torch.exp(-place.square() / 2)
        plane = torch.outer(line, line)
        weights = (plane / plane.sum()).to(grad).expand(3, 1, -1, -1)
        return F.conv2d(grad, weights, padding="same", groups=3)


ATTACKS = {"difgsm": DIFGSM, "tifgsm": TIFGSM}
