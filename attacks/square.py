"""Square attack: random squares, by queries alone (Andriushchenko et al. 2020, algorithms 1 and 2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.base import Attack, LogitFn, NotAttackableError, Perturbed
from attacks.checks import choice, real, whole
from attacks.search import STOP, fooled, generators, hurt

# After which query, of a budget of 10,000, the share of changed pixels is halved once more.
_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Square(Attack):
    """Square attack, L-inf: no gradient, so rounding or sorting in the detector is no shelter.

    Attributes:
        queries: Logits asked for an image.
        p_init: Share of pixels a first square covers.
        stop: ``success`` lets an image rest once it is fooled, rounding included; the queries
            counted are then those it took.
    """

    name: ClassVar[str] = "square"
    summary: ClassVar[str] = "random squares by queries, no gradient (L-inf, black-box)"
    concurrent: ClassVar[bool] = True
    knowledge: ClassVar[str] = "black-box"
    needs_gradient: ClassVar[bool] = False

    queries: int = 1000
    p_init: float = 0.8
    stop: str = "never"

    def check(self) -> None:
        """Checks the query budget and the first square's share."""
        object.__setattr__(
            self, "queries", whole(f"{self.name} queries", self.queries, 1, 1_000_000)
        )
        object.__setattr__(self, "p_init", real(f"{self.name} p_init", self.p_init, 1e-3, 1.0))
        choice(f"{self.name} stop", self.stop, STOP)

    @property
    def passes(self) -> int:
        """One forward pass a query."""
        return self.queries

    def perturb(
        self, logit_fn: LogitFn, canvas: Tensor, labels: Tensor, seeds: Sequence[int]
    ) -> Perturbed:
        """Tries a square at a time and keeps it where the detector gets more wrong."""
        own = generators(seeds)
        width = canvas.shape[3]
        stripes = torch.stack([_signs((3, 1, width), g) for g in own]).to(canvas.device)
        images = (canvas + self.eps * stripes).clamp(0, 1)
        spent = torch.zeros_like(labels)
        harm = torch.full(labels.shape, float("-inf"), device=canvas.device)
        rows = torch.arange(len(canvas), device=canvas.device)
        tried = images
        for number in range(self.queries):
            if number:
                tried = self._try(number, images[rows], canvas[rows], [own[i] for i in rows])
            found = self._ask(logit_fn, tried, canvas[rows], labels[rows])
            spent[rows] += 1
            better = found > harm[rows]
            images[rows[better]], harm[rows[better]] = tried[better], found[better]
            if self.stop == "success":
                # Fooled where the harm is above zero; at zero exactly, where a fake passes.
                truth = labels[rows]
                rows = rows[~fooled(torch.where(truth == 1, -harm[rows], harm[rows]), truth)]
                if not len(rows):
                    break
        return Perturbed(images, spent)

    def _ask(self, logit_fn: LogitFn, tried: Tensor, canvas: Tensor, labels: Tensor) -> Tensor:
        """The harm of the pictures that would be handed in, so rounding is no surprise later."""
        with torch.no_grad():
            logits = logit_fn(self.admit(tried, canvas))
        bad = int((~torch.isfinite(logits)).sum())
        if bad:
            raise NotAttackableError(
                f"the logit is nan or infinite for {bad} of {len(logits)} images"
            )
        return hurt(logits, labels)

    def _try(
        self, number: int, images: Tensor, canvas: Tensor, own: Sequence[torch.Generator]
    ) -> Tensor:
        """Every image with one more square of its own."""
        height, width = canvas.shape[2:]
        side = self._side(number, height, width)
        tried = images.clone()
        for row, generator in enumerate(own):
            top = int(torch.randint(height - side + 1, (), generator=generator))
            left = int(torch.randint(width - side + 1, (), generator=generator))
            part = (slice(None), slice(top, top + side), slice(left, left + side))
            push = self.eps * _signs((3, 1, 1), generator).to(canvas.device)
            tried[row][part] = (canvas[row][part] + push).clamp(0, 1)
        return tried

    def _side(self, number: int, height: int, width: int) -> int:
        at = number * 10_000 / self.queries
        share = self.p_init / 2 ** sum(at > bound for bound in _HALVINGS)
        return min(max(round(math.sqrt(share * height * width)), 1), height, width)


def _signs(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randint(2, shape, generator=generator).float() * 2 - 1


ATTACKS = {"square": Square}
