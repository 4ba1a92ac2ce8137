"""An attack that owns the idea only: budget, range, grid and checks are the base class's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.base import Attack, LogitFn, Perturbed


@dataclass(frozen=True, slots=True, kw_only=True)
class Nudge(Attack):
    """Brighten or darken the whole image, whichever moves the logit the wrong way."""

    name: ClassVar[str] = "nudge"
    summary: ClassVar[str] = "uniform brightness, the better of two directions"
    knowledge: ClassVar[str] = "black-box"
    needs_gradient: ClassVar[bool] = False

    @property
    def queries(self) -> int:
        """Logits that one image costs: those of the two candidates."""
        return 2

    def perturb(
        self, logit_fn: LogitFn, canvas: Tensor, labels: Tensor, seeds: Sequence[int]
    ) -> Perturbed:
        """(M, 3, h, w) in [0, 1] to the better of two candidates; two queries an image."""
        del seeds
        up, down = canvas + self.eps, canvas - self.eps
        toward_wrong = (logit_fn(up.clamp(0, 1)) - logit_fn(down.clamp(0, 1))) * (1 - 2 * labels)
        images = torch.where((toward_wrong > 0)[:, None, None, None], up, down)
        return Perturbed(images, torch.full_like(labels, 2))


ATTACKS = {"nudge": Nudge}
