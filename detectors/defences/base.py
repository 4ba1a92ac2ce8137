"""The protocol of a defence: what is done to a canvas before the network, and what an attack climbs."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor


class Defence(ABC):
    """A change of the canvas before a network sees it.

    A concrete one is a ``@dataclass(frozen=True, kw_only=True)`` whose fields are its parameters, each with a
    default, checked in ``__post_init__`` with a ``ValueError``.
    """

    name: ClassVar[str]
    summary: ClassVar[str]

    @abstractmethod
    def apply(self, batch: Tensor, seeds: Sequence[int]) -> Tensor:
        """Change a batch, so that a gradient can go back through it.

        Where the change has no useful gradient, the backward pass is another one's (BPDA: Athalye, Carlini
        and Wagner 2018, "Obfuscated Gradients Give a False Sense of Security", section 4.1).

        Args:
            batch: (N, 3, h, w) float32 in [0, 1].
            seeds: One an image, the only randomness.

        Returns:
            (N, 3, h, w) float32 in [0, 1].
        """


class RandomisedDefence(Defence):
    """A defence that draws: a detector behind it is asked several times, and an attack takes mean gradients.

    Attributes:
        draws: Draws that the score of one picture is made of.
        eot: Draws that the gradient is the mean of (expectation over transformation).
    """

    draws: int
    eot: int

    def pool(self, logits: Tensor) -> Tensor:
        """Make one logit an image of the logits of its draws, (draws, N) to (N,)."""
        return logits.mean(dim=0)

    def soft(self, logits: Tensor) -> Tensor:
        """Make the differentiable form of :meth:`pool` whose gradient an attack takes, (eot, N) to (N,)."""
        return logits.mean(dim=0)


def straight_through(changed: Tensor, batch: Tensor) -> Tensor:
    """Give ``changed`` the gradient of ``batch``: the backward pass is that of the identity."""
    through: Tensor = _StraightThrough.apply(batch, changed)
    return through


class _StraightThrough(torch.autograd.Function):
    """Forward hands back other values, backward the gradient as it came; values keep their bits."""

    @staticmethod
    def forward(ctx: Any, batch: Tensor, changed: Tensor) -> Tensor:  # noqa: ARG004
        return changed.detach().clone()

    @staticmethod
    def backward(ctx: Any, *incoming: Any) -> Any:  # noqa: ARG004
        return incoming[0], None


def image_seeds(batch: Tensor, purpose: str) -> list[int]:
    """Derive a seed from each picture's own values, so that neither batch nor order matters.

    Args:
        batch: (N, 3, h, w) float32.
        purpose: What is drawn for; other purposes draw otherwise.
    """
    pictures = batch.detach().cpu().contiguous().numpy()
    digests = (
        hashlib.sha256(purpose.encode() + picture.tobytes()).digest() for picture in pictures
    )
    return [int.from_bytes(digest[:8], "little") >> 1 for digest in digests]
