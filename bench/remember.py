"""A gradient asked for twice is computed once, and its bits stay what they were."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from attacks.base import LogitFn


class Remembered:
    """A logit function that answers its first question again from memory.

    It recomputes nothing and approximates nothing: where the images and the incoming gradient are
    equal, it hands back the very tensors of the first time; anything else goes to the function.
    """

    def __init__(self, logit_fn: LogitFn) -> None:
        self.logit_fn = logit_fn
        self.leaf: Tensor | None = None
        self.logits: Tensor | None = None
        self.known: list[tuple[Tensor, Tensor]] = []

    def __call__(self, images: Tensor) -> Tensor:
        """``(N, 3, h, w)`` -> ``(N,)``, as the function it stands for."""
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
        """The images' gradient for the gradient that comes in at the logits."""
        for known, gradient in self.known:
            if torch.equal(known, incoming):
                return gradient
        assert self.logits is not None
        assert self.leaf is not None
        (gradient,) = torch.autograd.grad(
            self.logits, self.leaf, incoming, retain_graph=True, materialize_grads=True
        )
        self.known.append((incoming.clone(), gradient))
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
