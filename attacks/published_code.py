"""What published attack code expects: a model of two logits, and global random state of its own."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from attacks.base import LogitFn


class TwoLogits(nn.Module):
    """The logit function as a model of two classes, which counts what it is asked."""

    def __init__(self, logit_fn: LogitFn, device: torch.device) -> None:
        super().__init__()
        self.logit_fn = logit_fn
        # The published code reads the device off a parameter.
        self.device_holder = nn.Parameter(torch.zeros(1, device=device), requires_grad=False)
        self.gradients = 0
        self.queries = 0

    def forward(self, images: Tensor) -> Tensor:
        """Map ``(N, 3, h, w)`` to the ``(N, 2)`` logits ``[0, z]``."""
        with_gradient = images.requires_grad and torch.is_grad_enabled()
        logits: Tensor = (
            _InputOnly.apply(images, self.logit_fn) if with_gradient else self.logit_fn(images)
        )
        self.queries += len(images)
        self.gradients += int(logits.requires_grad)
        return torch.stack([torch.zeros_like(logits), logits], 1)


class _InputOnly(torch.autograd.Function):
    """The gradient goes to the images alone; published code may leave weights with one."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, logit_fn: LogitFn) -> Tensor:
        with torch.enable_grad():
            ctx.leaf = images.detach().requires_grad_()
            ctx.logits = logit_fn(ctx.leaf)
        return cast(Tensor, ctx.logits.detach())

    @staticmethod
    def backward(ctx: Any, *incoming: Any) -> Any:
        (grad,) = torch.autograd.grad(ctx.logits, ctx.leaf, incoming[0], retain_graph=True)
        return grad, None


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the global generators for a moment, and put them back as they were."""
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
