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
from attacks.search import STOP, Worst, fooled, generators

# After which query, of a budget of 10,000, the share of changed pixels is halved once more,
# as published; other budgets stretch the schedule.
_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Square(Attack):
    """Square attack in the L-inf norm, black-box: rounding or sorting in the detector is no shelter.

    From vertical stripes of +-eps, each query sets one more square of the image ``x``, at a random
    place and of ever smaller area, to ``x +- eps`` (a sign a channel), and keeps it where the
    margin loss grows. Source: Andriushchenko et al. 2020, "Square Attack: a query-efficient black-box
    adversarial attack via random search", algorithms 1 and 2.

    Attributes:
        queries: Forward passes an image may cost.
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
        """Check the query budget, the share of the first square and the stop."""
        object.__setattr__(
            self, "queries", whole(f"{self.name} queries", self.queries, 1, 1_000_000)
        )
        object.__setattr__(self, "p_init", real(f"{self.name} p_init", self.p_init, 1e-3, 1.0))
        choice(f"{self.name} stop", self.stop, STOP)

    @property
    def stops_early(self) -> bool:
        """Whether a fooled image is left as it is, as ``stop`` says."""
        return self.stop == "success"

    def perturb(
        self, logit_fn: LogitFn, canvas: Tensor, labels: Tensor, seeds: Sequence[int]
    ) -> Perturbed:
        """Try a square at a time and keep it where the detector gets more wrong."""
        rngs = generators(seeds)
        worst = Worst.start(canvas, labels)
        spent = torch.zeros_like(labels)
        rows = torch.arange(len(canvas), device=canvas.device)
        candidates = self._stripes(canvas, rngs)
        for number in range(self.queries):
            if number:
                row_rngs = [rngs[row] for row in rows.tolist()]
                candidates = self._add_square(number, worst.images[rows], canvas[rows], row_rngs)
            worst.offer(rows, candidates, self._query(logit_fn, candidates, canvas[rows]))
            spent[rows] += 1
            if self.stops_early:
                rows = rows[~fooled(worst.logits[rows], labels[rows])]
                if not len(rows):
                    break
        return Perturbed(worst.images, spent)

    def _query(self, logit_fn: LogitFn, candidates: Tensor, canvas: Tensor) -> Tensor:
        """Ask for the logits of the pictures that would be handed in, so that rounding counts."""
        with torch.no_grad():
            logits = logit_fn(self.admit(candidates, canvas))
        broken = int((~torch.isfinite(logits)).sum())
        if broken:
            raise NotAttackableError(
                f"the logit is nan or infinite for {broken} of {len(logits)} images"
            )
        return logits

    def _stripes(self, canvas: Tensor, rngs: Sequence[torch.Generator]) -> Tensor:
        """Draw the first candidates: vertical stripes one pixel wide, as published."""
        width = canvas.shape[3]
        signs = torch.stack([_signs((3, 1, width), rng) for rng in rngs]).to(canvas.device)
        return (canvas + self.eps * signs).clamp(0, 1)

    def _add_square(
        self, number: int, images: Tensor, canvas: Tensor, rngs: Sequence[torch.Generator]
    ) -> Tensor:
        """Draw one more square for every image, by the image's own generator."""
        height, width = canvas.shape[2:]
        side = self._side(number, height, width)
        candidates = images.clone()
        for row, rng in enumerate(rngs):
            top = int(torch.randint(height - side + 1, (), generator=rng))
            left = int(torch.randint(width - side + 1, (), generator=rng))
            square = (slice(None), slice(top, top + side), slice(left, left + side))
            change = self.eps * _signs((3, 1, 1), rng).to(canvas.device)
            candidates[row][square] = (canvas[row][square] + change).clamp(0, 1)
        return candidates

    def _side(self, number: int, height: int, width: int) -> int:
        """Length of the side of a square, whose area is the share of pixels still changed."""
        progress = number * 10_000 / self.queries
        share = self.p_init / 2 ** sum(progress > halving for halving in _HALVINGS)
        return min(max(round(math.sqrt(share * height * width)), 1), height, width)


def _signs(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randint(2, shape, generator=generator).float() * 2 - 1


ATTACKS = {"square": Square}
