"""Minimal-norm attacks: the distance of every image to the nearest one that fools, not one budget.

One run answers every budget: an image is robust at eps where its distance is larger. The base class owns
what makes a distance believable: the picture handed in is an 8-bit one, it is the picture that was asked
about, and an image that nothing fools has no distance at all.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, final

import torch
from torch import Tensor

from attacks.base import Attack, LogitFn, Perturbed
from attacks.budget import SMALLEST_LENGTH, distance
from attacks.checks import whole
from attacks.gradient import InputGradient, input_gradient, margin_loss, require_finite
from attacks.search import GradientHealth, fooled

# How far along a change that fools to look for an 8-bit picture that does: rounding loses some of it.
_SCALES = (1.0, 1.15, 1.5, 2.5, 6.0, 20.0)
_HALVINGS = 5
# A change so small that it cannot be scaled to one level of 8 bits is no change.
_LARGEST_SCALE = 1e9
# How much of the change may be left out where all of it fools as an 8-bit picture.
_NEARER = {"linf": 0.4, "l2": 0.75}
# A rounded L-inf change may use its whole budget in every value: the change is steepened, then cut.
_STEEPER = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MinimalNorm(Attack):
    """A search for the smallest change that turns the verdict on each image.

    A concrete one searches in :meth:`search`, and says by ``eps`` how far it looks: an image that is not
    fooled within it has no distance, and is handed back at its most harmful. An image that is judged
    wrongly as it is has distance 0.

    Attributes:
        eps: How far it looks: the largest distance, in units of [0, 1].
        steps: Gradients of an image.
    """

    finds_distance: ClassVar[bool] = True

    eps: float = 1.0
    steps: int = 100

    def check(self) -> None:
        """Check the number of steps; a subclass that adds parameters checks them in :meth:`check_more`."""
        object.__setattr__(self, "steps", whole(f"{self.name} steps", self.steps, 1, 100_000))
        self.check_more()

    def check_more(self) -> None:
        """Check the parameters that a subclass adds.

        Raises:
            ValueError: One of them is not valid.
        """

    @property
    def nests(self) -> bool:
        """Never: one run answers every budget."""
        return False

    @property
    def stops_early(self) -> bool:
        """Always: the picture lies at the border, so its logit says nothing of its rank."""
        return True

    @property
    def draws(self) -> bool:
        """Nothing: the same image gives the same result."""
        return False

    @property
    def gradients(self) -> int:
        """Gradients of one image, one a step."""
        return self.steps

    @property
    def queries(self) -> int:
        """A look at the image, at its change along a line, and at the halvings behind that."""
        shapes = 2 if self.quantize and self.norm == "linf" else 1
        return 1 + shapes * (len(_SCALES) + _HALVINGS)

    @final
    def perturb(
        self, logit_fn: LogitFn, canvas: Tensor, labels: Tensor, seeds: Sequence[int]
    ) -> Perturbed:
        """Search, then bring each change onto the grid at the least length that still fools."""
        del seeds
        hunt = Hunt.start(self, logit_fn, canvas, labels)
        self.search(hunt)
        require_finite(hunt.health.broken)
        images = self._nearest(hunt)
        return Perturbed(images, hunt.taken, hunt.health.zero_share)

    @abstractmethod
    def search(self, hunt: Hunt) -> None:
        """Ask ``hunt`` for gradients at changes of the images; it keeps the smallest that fool.

        Raises:
            NotAttackableError: No usable gradient.
        """

    def _nearest(self, hunt: Hunt) -> Tensor:
        """Find, along the smallest change of each image, the nearest picture that may be handed in."""
        nearest = Nearest.start(self, hunt)
        low = torch.full_like(hunt.length, _NEARER[self.norm])
        high = torch.full_like(hunt.length, _SCALES[-1])
        open_ = ~nearest.wrong
        least = self._least_scale(hunt)
        for scale in _SCALES:
            tried = scale * least
            hits = nearest.offer(tried, open_)
            high = torch.where(open_ & hits, tried, high)
            open_ = open_ & ~hits
            low = torch.where(open_, tried, low)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            # What was wrong from the start stays as it is, and what never fooled at its worst.
            hits = nearest.offer(middle, nearest.wrong & (nearest.length > 0))
            low, high = torch.where(hits, low, middle), torch.where(hits, middle, high)
        return nearest.images

    def _least_scale(self, hunt: Hunt) -> Tensor:
        """Find the factor below which each change is lost in rounding: ``(M,)``, at least 1."""
        if not self.quantize:
            return torch.ones_like(hunt.length)
        return (1 / 255 / size_of(hunt.change, "linf").clamp_min(SMALLEST_LENGTH)).clamp(
            1, _LARGEST_SCALE
        )


@dataclass(slots=True, eq=False)
class Hunt:
    """The gradients of a search, and the smallest change of each of M images that fools.

    Attributes:
        attack: The attack that searches.
        logit_fn: Its logit function.
        canvas: ``(M, 3, h, w)`` images as they were.
        labels: ``(M,)`` int64 labels.
        change: ``(M, 3, h, w)`` smallest change that fools; of the others, the most harmful one.
        length: ``(M,)`` its length in the attack's norm; infinite where none fools.
        harm: ``(M,)`` margin loss of the change, where none fools.
        health: The checks of the gradients.
        taken: ``(M,)`` gradients that each image took so far.
    """

    attack: Attack
    logit_fn: LogitFn
    canvas: Tensor
    labels: Tensor
    change: Tensor
    length: Tensor
    harm: Tensor
    health: GradientHealth
    taken: Tensor

    @classmethod
    def start(cls, attack: Attack, logit_fn: LogitFn, canvas: Tensor, labels: Tensor) -> Hunt:
        """Begin with nothing that fools."""
        infinite = torch.full((len(canvas),), float("inf"), device=canvas.device)
        health = GradientHealth(torch.zeros_like(labels, dtype=torch.bool))
        blank = torch.zeros_like(canvas)
        taken = torch.zeros_like(labels)
        return cls(attack, logit_fn, canvas, labels, blank, infinite, -infinite, health, taken)

    @property
    def ever_fooled(self) -> Tensor:
        """Which images some change has fooled; ``(M,)`` bool."""
        return torch.isfinite(self.length)

    def gradient(self, change: Tensor, rows: Tensor | None = None) -> tuple[InputGradient, Tensor]:
        """Take the gradient of the margin loss at a change of the images, and keep what fools.

        Args:
            change: ``(M, 3, h, w)``, such that the images stay in [0, 1].
            rows: ``(M,)`` bool, the images that still need it; all by default.

        Returns:
            The gradient, and whether the change fools; ``(M,)`` bool.

        Raises:
            NotAttackableError: It is the first gradient and of no use.
        """
        gradient = input_gradient(self.logit_fn, self.canvas + change, self.labels, "margin")
        self.health.check(torch.arange(len(change), device=change.device), gradient)
        self.taken += 1 if rows is None else rows.long()
        wrong = fooled(gradient.logits, self.labels)
        length = size_of(change, self.attack.norm)
        harm = margin_loss(gradient.logits, self.labels)
        nearer = wrong & (length < self.length)
        worse = ~wrong & ~self.ever_fooled & (harm > self.harm)
        self.change = torch.where(_wide(nearer | worse), change, self.change)
        self.length = torch.where(nearer, length, self.length)
        self.harm = torch.where(worse, harm, self.harm)
        return gradient, wrong


@dataclass(slots=True, eq=False)
class Nearest:
    """The nearest picture of each of M images that fools, of those that may be handed in.

    Attributes:
        attack: The attack, whose budget and grid the pictures keep.
        hunt: The changes that the pictures lie along.
        images: ``(M, 3, h, w)`` nearest pictures; where none fools, the most harmful one.
        wrong: ``(M,)`` bool, whether a picture fools.
        length: ``(M,)`` its distance in the attack's norm; infinite where none fools.
        harm: ``(M,)`` margin loss, where none fools.
    """

    attack: Attack
    hunt: Hunt
    images: Tensor
    wrong: Tensor
    length: Tensor
    harm: Tensor = field(repr=False)

    @classmethod
    def start(cls, attack: Attack, hunt: Hunt) -> Nearest:
        """Begin with the images as they are: those judged wrongly have distance 0."""
        with torch.no_grad():
            logits = hunt.logit_fn(hunt.canvas)
        wrong = fooled(logits, hunt.labels)
        length = torch.where(wrong, 0.0, float("inf")).to(hunt.canvas)
        return cls(
            attack, hunt, hunt.canvas.clone(), wrong, length, margin_loss(logits, hunt.labels)
        )

    def offer(self, scale: Tensor, rows: Tensor) -> Tensor:
        """Look at the changes times ``scale``, ``(M,)``, in the images that ``rows`` names.

        Returns:
            Which of the M pictures fool; ``(M,)`` bool.
        """
        change = self.hunt.change * scale.reshape(-1, 1, 1, 1)
        hits = self._offer(change, rows)
        if self.attack.quantize and self.attack.norm == "linf":
            reach = change.abs().flatten(1).amax(1).reshape(-1, 1, 1, 1)
            steep = (change * _STEEPER).clamp(-reach, reach)
            hits = hits | self._offer(steep, rows)
        return hits

    def _offer(self, change: Tensor, rows: Tensor) -> Tensor:
        canvas, labels = self.hunt.canvas, self.hunt.labels
        images = self.attack.admit(canvas + change, canvas)
        with torch.no_grad():
            logits = self.hunt.logit_fn(images)
        wrong = fooled(logits, labels)
        length, harm = distance(images, canvas, self.attack.norm), margin_loss(logits, labels)
        nearer = rows & wrong & (length < self.length)
        worse = rows & ~wrong & ~self.wrong & (harm > self.harm)
        self.images = torch.where(_wide(nearer | worse), images, self.images)
        self.length = torch.where(nearer, length, self.length)
        self.harm = torch.where(worse, harm, self.harm)
        self.wrong = self.wrong | nearer
        return wrong


def size_of(change: Tensor, norm: str) -> Tensor:
    """Measure each ``(M, 3, h, w)`` change in a norm: ``(M,)``, in units of [0, 1]."""
    return distance(change, torch.zeros_like(change), "linf" if norm == "linf" else "l2")


def unit_length(grad: Tensor) -> Tensor:
    """Scale each ``(M, 3, h, w)`` gradient to Euclidean length 1; zero stays zero."""
    length = distance(grad, torch.zeros_like(grad), "l2").clamp_min(SMALLEST_LENGTH)
    return grad / length.reshape(-1, 1, 1, 1)


def furthest(canvas: Tensor, norm: str) -> Tensor:
    """Measure how far each image is from the furthest one in [0, 1]: ``(M,)``."""
    return size_of(torch.maximum(canvas, 1 - canvas), norm)


def _wide(rows: Tensor) -> Tensor:
    return rows.reshape(-1, 1, 1, 1)
