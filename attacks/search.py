"""What iterative attacks share: starts drawn by seed, the worst image met, and a gradient search."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from attacks.base import LogitFn, Perturbed
from attacks.gradient import (
    InputGradient,
    margin_loss,
    not_finite,
    require_finite,
    require_usable,
)

KEEP = ("best", "last")
STOP = ("never", "success")
# 2**64 over the golden ratio, the increment of SplitMix64 (Steele et al. 2014): multiples of it, taken
# modulo a power of two, stay far apart, so the seeds of two restarts of a run do not meet.
_SEED_STRIDE = 0x9E3779B97F4A7C15


def fooled(logits: Tensor, labels: Tensor) -> Tensor:
    """Find the images whose verdict is wrong, the threshold being zero; ``(M,)`` bool."""
    return (logits > 0) != (labels == 1)


def reseed(seeds: Sequence[int], number: int) -> list[int]:
    """Derive the seeds of a restart; the first restart, number 0, keeps the seeds as they are."""
    return [(seed + number * _SEED_STRIDE) % 2**63 for seed in seeds]


def generators(seeds: Sequence[int]) -> list[torch.Generator]:
    """Make one CPU generator an image: the global one would tie an image to its batch and device."""
    return [torch.Generator("cpu").manual_seed(seed) for seed in seeds]


def uniform_start(canvas: Tensor, seeds: Sequence[int], eps: float) -> Tensor:
    """Draw ``(N, 3, h, w)`` changes uniform in [-eps, eps], each image by its own seed."""
    starts = [torch.rand(canvas.shape[1:], generator=rng) for rng in generators(seeds)]
    return torch.stack(starts).to(canvas.device) * (2 * eps) - eps


def ball_start(canvas: Tensor, seeds: Sequence[int], eps: float) -> Tensor:
    """Draw ``(N, 3, h, w)`` changes of uniform direction, of length uniform in [0, eps], by seed."""
    starts = []
    for rng in generators(seeds):
        direction = torch.randn(canvas.shape[1:], generator=rng)
        radius = torch.rand((), generator=rng) * eps
        starts.append(direction * (radius / torch.linalg.vector_norm(direction)))
    return torch.stack(starts).to(canvas.device)


@dataclass(slots=True, eq=False)
class Worst:
    """The image, of those offered, by which the detector errs most, for each of M images.

    Attributes:
        images: ``(M, 3, h, w)`` the worst images so far.
        labels: ``(M,)`` int64 labels.
        logits: ``(M,)`` logits of the worst images.
    """

    images: Tensor
    labels: Tensor
    logits: Tensor

    @classmethod
    def start(cls, canvas: Tensor, labels: Tensor) -> Self:
        """Begin with the canvas, as if the detector were infinitely sure of it: any offer is worse."""
        sure = canvas.new_full((len(canvas),), float("inf"))
        return cls(canvas.clone(), labels, torch.where(labels == 1, sure, -sure))

    def offer(self, rows: Tensor, images: Tensor, logits: Tensor) -> None:
        """Take the images of ``rows`` that have a larger margin loss; a tie keeps the earlier one."""
        labels = self.labels[rows]
        worse = margin_loss(logits, labels) > margin_loss(self.logits[rows], labels)
        self.replace(rows[worse], images[worse], logits[worse])

    def replace(self, rows: Tensor, images: Tensor, logits: Tensor) -> None:
        """Take the images of ``rows``, whatever was there before."""
        self.images[rows] = images.detach()
        self.logits[rows] = logits


@dataclass(slots=True, eq=False)
class GradientHealth:
    """Whether the gradients that a search over M images goes by can be believed.

    Attributes:
        broken: ``(M,)`` bool, whether a gradient of the image was not finite.
        zero_share: Share of exact zeros in the first gradient of all; nan before.
        at_start: Whether the next gradient is the first of a restart.
    """

    broken: Tensor
    zero_share: float = float("nan")
    at_start: bool = True

    def check(self, rows: Tensor, gradient: InputGradient) -> None:
        """Check the gradient of the images of ``rows``; the first of a restart must be usable.

        Raises:
            NotAttackableError: It is the first one and of no use.
        """
        if self.at_start:
            share = require_usable(gradient)
            self.zero_share = share if math.isnan(self.zero_share) else self.zero_share
            self.at_start = False
        self.broken[rows] |= not_finite(gradient.grad)


@dataclass(slots=True, eq=False)
class Search:
    """A search along gradients over M images: the worst iterate of each, and what it took to find it.

    An image may leave the search, as fooled. Canvas, labels and seeds are those of the m images that
    are still in it; the outcome and the counts are kept for all M.

    Attributes:
        logit_fn: The logit function of the attack.
        canvas: ``(m, 3, h, w)`` images as they were.
        labels: ``(m,)`` int64 labels.
        seeds: Seeds of the m images.
        rows: ``(m,)`` positions of the m images among the M.
        keep: ``best`` offers every iterate as the worst one, ``last`` only the last of a restart.
        stop: ``success`` has an image leave the search once it is fooled, ``never`` keeps all.
        rounding: Turns iterates and their canvases into the pictures handed in, in which the detector
            must be fooled too; none where the iterates themselves are handed in.
        worst: The outcome so far.
        gradients: ``(M,)`` gradients taken of each image.
        health: The checks of the gradients.
    """

    logit_fn: LogitFn
    canvas: Tensor
    labels: Tensor
    seeds: list[int]
    rows: Tensor
    keep: str
    stop: str
    rounding: Callable[[Tensor, Tensor], Tensor] | None
    worst: Worst
    gradients: Tensor
    health: GradientHealth

    @classmethod
    def start(
        cls,
        logit_fn: LogitFn,
        canvas: Tensor,
        labels: Tensor,
        seeds: Sequence[int],
        *,
        keep: str = "best",
        stop: str = "never",
        rounding: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> Self:
        """Begin with all M images in the search; the parameters are the attributes."""
        return cls(
            logit_fn=logit_fn,
            canvas=canvas,
            labels=labels,
            seeds=list(seeds),
            rows=torch.arange(len(canvas), device=canvas.device),
            keep=keep,
            stop=stop,
            rounding=rounding,
            worst=Worst.start(canvas, labels),
            gradients=torch.zeros_like(labels),
            health=GradientHealth(torch.zeros_like(labels, dtype=torch.bool)),
        )

    @property
    def is_over(self) -> bool:
        """Whether every image has left the search."""
        return not self.seeds

    def restarts(self, count: int) -> Iterator[list[int]]:
        """Give the seeds of the m images for each restart, until every image has left the search."""
        for number in range(count):
            if self.is_over:
                return
            self.health.at_start = True
            yield reseed(self.seeds, number)

    def steps(self, count: int) -> Iterator[int]:
        """Count the steps of a restart, until every image has left the search."""
        for number in range(count):
            if self.is_over:
                return
            yield number

    def record(self, images: Tensor, gradient: InputGradient) -> None:
        """Take note of an ``(m, 3, h, w)`` iterate and of the gradient there.

        Raises:
            NotAttackableError: It is the first gradient of a restart and of no use.
        """
        self.health.check(self.rows, gradient)
        self.gradients[self.rows] += gradient.samples
        if self.keep == "best":
            self.worst.offer(self.rows, images, gradient.logits)

    def advance(self, images: Tensor, gradient: InputGradient, moved: Tensor) -> Tensor:
        """Record an iterate and go on to the next one, without the images that may rest.

        Args:
            images: ``(m, 3, h, w)`` iterate at which the gradient was taken.
            gradient: The gradient there.
            moved: ``(m, 3, h, w)`` next iterate.

        Returns:
            The next iterate of the images that are still in the search.

        Raises:
            NotAttackableError: It is the first gradient of a restart and of no use.
        """
        self.record(images, gradient)
        if self.stop == "never":
            return moved
        rests = self._fooled(images, gradient.logits)
        self.worst.replace(self.rows[rests], images[rests], gradient.logits[rests])
        stays = ~rests
        self.rows, self.canvas = self.rows[stays], self.canvas[stays]
        self.labels = self.labels[stays]
        self.seeds = [self.seeds[i] for i in stays.nonzero().flatten().tolist()]
        return moved[stays]

    def _fooled(self, images: Tensor, logits: Tensor) -> Tensor:
        """Find the images that are fooled as iterates, and still as the pictures handed in."""
        wrong = fooled(logits, self.labels)
        if self.rounding is not None and bool(wrong.any()):
            with torch.no_grad():
                rounded = self.logit_fn(self.rounding(images.detach()[wrong], self.canvas[wrong]))
            wrong[wrong.clone()] = fooled(rounded, self.labels[wrong])
        return wrong

    def finish_restart(self, images: Tensor, *, compare: bool) -> None:
        """Offer the iterate after the last step, and judge the gradients of the restart.

        Args:
            images: ``(m, 3, h, w)`` iterate of which no gradient was taken.
            compare: Whether it must be worse than what was met before, which costs a query.

        Raises:
            NotAttackableError: A gradient was not finite.
        """
        if not self.is_over and compare:
            with torch.no_grad():
                logits = self.logit_fn(images)
            self.worst.offer(self.rows, images, logits)
        elif not self.is_over:
            self.worst.images[self.rows] = images.detach()
        self.require_finite()

    def require_finite(self) -> None:
        """Refuse to go on where a gradient was not finite.

        Raises:
            NotAttackableError: A gradient was not finite.
        """
        require_finite(self.health.broken)

    def result(self) -> Perturbed:
        """Hand back the worst image of each of the M, with what they took."""
        return Perturbed(self.worst.images, self.gradients, self.health.zero_share)
