"""RayS: hard-label ray search, coarse patterns first (Chen and Gu 2020, algorithms 1 and 3), L-inf."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from attacks.base import Attack, LogitFn, NotAttackableError, Perturbed
from attacks.budget import of_levels
from attacks.checks import whole
from attacks.search import fooled

# Halvings of a radius, after which it is known to a sixteenth of what it was.
_HALVINGS = 4
# A (3, h, w)-shaped change to ask about, for the answer whether it fools.
_Walk = Generator[Tensor, bool, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RayS(Attack):
    """Low-frequency decision attack in the L-inf norm, black-box: all it is told is real or fake.

    It looks for the ray of signs ``d`` along which the border is nearest, at ``r(d)``: signs are turned
    in one block at a time, the whole picture first, then halves and smaller, of all channels and then
    of each, which keeps the change at low frequencies. A turn is kept where ``x + r d`` still fools, and
    ``r`` is then halved down along the new ray. An image rests once it is fooled within eps. Source:
    Chen and Gu 2020, "RayS: A Ray Searching Method for Hard-label Adversarial Attack", with blocks of
    pixels for runs of the flattened picture, and the whole range for the first radius.

    Attributes:
        queries: Verdicts an image may cost.
        finest: Least side of a block, in pixels.
    """

    name: ClassVar[str] = "rays"
    summary: ClassVar[str] = "coarse sign patterns by verdicts alone, no logit (L-inf, black-box)"
    concurrent: ClassVar[bool] = True
    knowledge: ClassVar[str] = "black-box"
    needs_gradient: ClassVar[bool] = False

    queries: int = 500
    finest: int = 2

    def check(self) -> None:
        """Check the query budget and the finest block."""
        object.__setattr__(
            self, "queries", whole(f"{self.name} queries", self.queries, 1, 1_000_000)
        )
        object.__setattr__(self, "finest", whole(f"{self.name} finest", self.finest, 1, 4096))

    @property
    def stops_early(self) -> bool:
        """Always: an image rests once it is fooled."""
        return True

    @property
    def draws(self) -> bool:
        """Nothing: the same image gives the same result."""
        return False

    def perturb(
        self, logit_fn: LogitFn, canvas: Tensor, labels: Tensor, seeds: Sequence[int]
    ) -> Perturbed:
        """Ask about one picture of each image at a time, until it is fooled within the budget."""
        del seeds
        height, width = canvas.shape[2:]
        walks = [self._walk(height, width) for _ in range(len(canvas))]
        changes = torch.stack([next(walk) for walk in walks]).to(canvas)
        spent = torch.zeros_like(labels)
        active = torch.ones_like(labels, dtype=torch.bool)
        nearest = changes.clone()  # the change to hand in: of what fooled, the smallest
        for _ in range(self.queries):
            wrong = self._verdicts(logit_fn, canvas, changes, labels)
            spent += active.long()
            hits = active & wrong
            nearest[hits] = changes[hits]
            active = active & ~(hits & (_reach(changes) <= self.eps * (1 + 1e-6)))
            if not bool(active.any()):
                break
            # Images at rest are asked about again, so that every batch has one shape.
            for row in active.nonzero().flatten().tolist():
                change = next_change(walks[row], bool(wrong[row]))
                if change is None:
                    active[row] = False
                else:
                    changes[row] = change.to(canvas)
        scale = (self.eps / _reach(nearest).clamp_min(1e-9)).clamp_max(1)
        moved = canvas + nearest * scale.reshape(-1, 1, 1, 1)
        return Perturbed(moved, spent)

    def _verdicts(
        self, logit_fn: LogitFn, canvas: Tensor, changes: Tensor, labels: Tensor
    ) -> Tensor:
        """Ask whether 8-bit pictures at the changes, ``(M, 3, h, w)``, fool; ``(M,)`` bool."""
        pictures = (canvas + changes).clamp(0, 1)
        within = _reach(changes) <= self.eps * (1 + 1e-6)
        inside = self.admit(pictures, canvas)
        if self.quantize:
            pictures = of_levels((pictures * 255).round())
        asked = torch.where(within.reshape(-1, 1, 1, 1), inside, pictures)
        with torch.no_grad():
            logits = logit_fn(asked)
        if not bool(torch.isfinite(logits).all()):
            raise NotAttackableError("the logit is nan or infinite: it gives no verdict")
        return fooled(logits, labels)

    def _walk(self, height: int, width: int) -> _Walk:
        """Search one image: yields changes to ask about, and is sent the verdicts."""
        ray, radius = torch.ones(3, height, width), 1.0
        for turned in self._turns(height, width):
            candidate = ray * turned
            if not (yield radius * candidate):
                continue
            ray, low = candidate, 0.0
            # The one question that counts, first: is the ray short enough?
            if (yield self.eps * ray):
                return
            low = min(self.eps, radius)
            for _ in range(_HALVINGS):
                middle = (low + radius) / 2
                if (yield middle * ray):
                    radius = middle
                else:
                    low = middle

    def _turns(self, height: int, width: int) -> Generator[Tensor, None, None]:
        """Give patterns of signs, ``(3, h, w)``: none turned, all, then a block each, ever smaller."""
        whole_picture = torch.ones(3, height, width)
        yield whole_picture
        yield -whole_picture
        parts = 1
        while True:
            rows, columns = min(parts, height), min(parts, width)
            for channels in (slice(0, 3), slice(0, 1), slice(1, 2), slice(2, 3)):
                for top, bottom in _cuts(height, rows):
                    for left, right in _cuts(width, columns):
                        turned = whole_picture.clone()
                        turned[channels, top:bottom, left:right] = -1
                        yield turned
            if min(height, width) // (parts * 2) >= self.finest:
                parts *= 2


def next_change(walk: _Walk, answer: bool) -> Tensor | None:
    """Send a verdict to a search; give the next change to ask about, or None where it is over."""
    try:
        return walk.send(answer)
    except StopIteration:
        return None


def _cuts(length: int, parts: int) -> list[tuple[int, int]]:
    """Cut ``length`` pixels into parts as equal as can be."""
    edges = [round(length * i / parts) for i in range(parts + 1)]
    return list(itertools.pairwise(edges))


def _reach(changes: Tensor) -> Tensor:
    return changes.abs().flatten(1).amax(1)


ATTACKS = {"rays": RayS}
