"""Gaussian noise before the network and the verdict of most copies: a smoothed detector to attack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from detectors.defences.base import RandomisedDefence
from detectors.defences.checks import number, whole


@dataclass(frozen=True, kw_only=True)
class Smoothing(RandomisedDefence):
    """The verdict that a detector gives most often under noise.

    The score is the log-odds of the votes at logit 0, half a vote added to either side. Votes have no
    gradient; an attack takes that of the log-odds of the mean probability over ``eot`` copies: Salman et al.
    2019, "Provably Robust Deep Learning via Adversarially Trained Smoothed Classifiers" (SmoothAdv).

    Attributes:
        sigma: Standard deviation of the noise, in units of [0, 1].
        n: Copies that vote.
        eot: Copies that the gradient is taken over.
        clip: Bring noisy values back to [0, 1].
    """

    name: ClassVar[str] = "smoothing"
    summary: ClassVar[str] = "the verdict of most noisy copies; gradients of the mean probability"

    sigma: float = 0.25
    n: int = 64
    eot: int = 16
    clip: bool = True

    def __post_init__(self) -> None:
        number("smoothing sigma", self.sigma, 1e-3, 10.0)
        whole("smoothing n", self.n, 1, 1_000_000)
        whole("smoothing eot", self.eot, 1, 10_000)

    @property
    def draws(self) -> int:  # type: ignore[override]
        """Draws that the score of one picture is made of."""
        return self.n

    def apply(self, batch: Tensor, seeds: Sequence[int]) -> Tensor:
        """Add noise to every image of a batch; past the border the gradient goes on as if unclipped."""
        generators = (torch.Generator("cpu").manual_seed(seed) for seed in seeds)
        noise = torch.stack([torch.randn(batch.shape[1:], generator=g) for g in generators])
        noisy = batch + self.sigma * noise.to(batch)
        if not self.clip:
            return noisy
        return noisy + (noisy.clamp(0, 1) - noisy).detach()

    def pool(self, logits: Tensor) -> Tensor:
        """Count votes, (n, N) to (N,)."""
        votes = (logits > 0).sum(dim=0)
        return torch.log((votes + 0.5) / (len(logits) - votes + 0.5))

    def soft(self, logits: Tensor) -> Tensor:
        """Give the log-odds of the mean probability, in a form that does not saturate."""
        fake = torch.logsumexp(torch.nn.functional.logsigmoid(logits), dim=0)
        real = torch.logsumexp(torch.nn.functional.logsigmoid(-logits), dim=0)
        return fake - real


DEFENCES = {"smoothing": Smoothing}
