"""Functions whose gradient an attack climbs: a surrogate's, one behind corruptions, one with a memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from attacks.base import LogitFn
from bench.inference.batches import unit_floats
from bench.protocol.seeding import generator_for
from corruptions.base import Corruption

if TYPE_CHECKING:
    from bench.inference.replicas import Replicas
    from bench.protocol.condition import Step


def surrogate_logits(surrogates: Sequence[Replicas]) -> LogitFn:
    """Make the logit function of surrogates on another detector's canvases: the mean of their logits.

    The ensemble in logits of Dong et al. 2018 ("Boosting Adversarial Attacks with Momentum", section 3.3),
    all weights equal.
    """
    members = [_on_its_canvas(surrogate) for surrogate in surrogates]
    if len(members) == 1:
        return members[0]
    return lambda images: torch.stack([member(images) for member in members]).mean(0)


def _on_its_canvas(surrogate: Replicas) -> LogitFn:
    """Make one surrogate's logit function, of images resized to its canvas where sizes differ."""
    canvas = surrogate.card.input.canvas

    def logits(images: Tensor) -> Tensor:
        if canvas is not None and images.shape[2:] != canvas:
            images = F.interpolate(images, canvas, mode="bilinear", antialias=True)
            images = images.clamp(0, 1)
        return surrogate.checked_logits(images)

    return logits


def climbed_in_bf16(logit_fn: LogitFn) -> LogitFn:
    """Make a logit function whose gradients are computed in bf16; without a gradient it answers in fp32.

    So an attack looks for its way in bf16, and what it asks about a picture it has made is answered as the
    picture will be scored.
    """

    def logits(images: Tensor) -> Tensor:
        climbs = images.requires_grad and torch.is_grad_enabled()
        with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=climbs):
            return logit_fn(images)

    return logits


def behind(logit_fn: LogitFn, steps: Sequence[Step], seed: int, purpose: str) -> LogitFn:
    """Make a fresh logit function that corrupts 8-bit copies of the images first; itself without steps.

    Args:
        logit_fn: Logit function of the detector, or of its surrogate.
        steps: Corruptions that keep the size.
        seed: Seed of the run.
        purpose: Text that the draws are derived from. The nth call draws the same for every image, so that an
            image's result does not depend on its batch; other calls draw otherwise. None of them is
            the draw that is scored in the end: the attacker does not know it.
    """
    if not steps:
        return logit_fn
    calls = 0

    def logits(images: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        pictures = (images.detach() * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        changed = []
        for picture in pictures:
            image = np.ascontiguousarray(picture)
            for position, step in enumerate(steps):
                rng = generator_for(seed, f"{purpose}:aware {position}", f"draw {calls}")
                image = cast(Corruption, step.plugin)(image, rng)
            changed.append(image.transpose(2, 0, 1))
        corrupted = unit_floats(torch.from_numpy(np.stack(changed)).to(images.device)).to(images)
        return logit_fn(images + (corrupted - images).detach())

    return logits


class Remembered:
    """A logit function that answers its first question again from memory.

    It recomputes nothing and approximates nothing: where the images and the incoming gradient are
    equal, it hands back the very tensors of the first time; anything else goes to the function.
    """

    def __init__(self, logit_fn: LogitFn) -> None:
        self.logit_fn = logit_fn
        self.leaf: Tensor | None = None
        self.logits: Tensor | None = None
        self._gradients: list[tuple[Tensor, Tensor]] = []

    def __call__(self, images: Tensor) -> Tensor:
        """Map ``(N, 3, h, w)`` to ``(N,)``, as the wrapped function does."""
        if not (images.requires_grad and torch.is_grad_enabled()):
            return self.logit_fn(images)
        if self.leaf is None:
            leaf = images.detach().clone().requires_grad_()
            logits = self.logit_fn(leaf)
            if not logits.requires_grad:
                return logits
            self.leaf, self.logits = leaf, logits
        elif self.leaf.shape != images.shape or not torch.equal(self.leaf, images):
            return self.logit_fn(images)
        answer: Tensor = _Replay.apply(images, self)
        return answer

    def gradient(self, incoming: Tensor) -> Tensor:
        """Give the gradient at the images for the gradient that comes in at the logits."""
        for earlier, gradient in self._gradients:
            if torch.equal(earlier, incoming):
                return gradient
        assert self.logits is not None
        assert self.leaf is not None
        (gradient,) = torch.autograd.grad(
            self.logits, self.leaf, incoming, retain_graph=True, materialize_grads=True
        )
        self._gradients.append((incoming.clone(), gradient))
        return gradient


class _Replay(torch.autograd.Function):
    """Logits and their gradient as :class:`Remembered` has them."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, memory: Remembered) -> Tensor:  # noqa: ARG004
        ctx.memory = memory
        assert memory.logits is not None
        return memory.logits.detach().clone()

    @staticmethod
    def backward(ctx: Any, *incoming: Any) -> Any:
        return ctx.memory.gradient(incoming[0]), None
