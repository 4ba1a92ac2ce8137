"""Randomised smoothing: a detector behind Gaussian noise, and the L2 radius its verdict is certified in.

Not a search for a change but a proof that there is none. The smoothed detector asks for the verdict that
the detector gives most often under noise; by the share of that verdict no change below a radius turns it.
Only forward passes are needed, so any detector can be smoothed, a black box too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from attacks.checks import flag, real, whole

SMALLEST_BATCH = 2
"""Copies in a batch at least: a batch of one may run through other kernels than any larger one."""


class Votes(NamedTuple):
    """How often noisy copies of one image were called fake.

    Attributes:
        pilot: Of the ``n0`` copies that only choose which verdict is to be certified.
        main: Of the ``n`` further copies that certify it.
    """

    pilot: int
    main: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Smoothing:
    """Verdicts under Gaussian noise, an image at a time.

    Noise of standard deviation sigma is added to n0 + n copies of an image. The verdict of most of the
    first n0 is the candidate; where the one-sided Clopper-Pearson bound p of its share among the other n
    is above one half, the smoothed verdict holds within the L2 radius ``sigma * Phi^-1(p)``, except with
    probability ``alpha``; otherwise there is none. Source: Cohen, Rosenfeld and Kolter 2019, "Certified
    Adversarial Robustness via Randomized Smoothing", theorem 1 and algorithm CERTIFY.

    Attributes:
        sigma: Standard deviation of the noise, in units of [0, 1].
        n: Copies that the certificate rests on.
        n0: Copies that choose the candidate.
        alpha: Chance, for each image, that its certificate is wrong.
        clip: Bring noisy values back to [0, 1], which is what detectors are promised. The certificate is
            then that of the detector behind the clipping, for every picture there is; the paper's own
            networks were shown values outside.
    """

    name: ClassVar[str] = "smoothing"
    summary: ClassVar[str] = "certified L2 radius under Gaussian noise, forward passes only"
    draws: ClassVar[bool] = True

    sigma: float = 0.25
    n: int = 1000
    n0: int = 100
    alpha: float = 0.001
    clip: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma", real(f"{self.name} sigma", self.sigma, 1e-3, 10.0))
        object.__setattr__(self, "n", whole(f"{self.name} n", self.n, 10, 10_000_000))
        object.__setattr__(self, "n0", whole(f"{self.name} n0", self.n0, 1, 100_000))
        object.__setattr__(self, "alpha", real(f"{self.name} alpha", self.alpha, 1e-9, 0.5))
        flag(f"{self.name} clip", self.clip)

    @property
    def queries(self) -> int:
        """Forward passes that one image costs."""
        return self.n0 + self.n

    def votes(
        self,
        logit_fn: Callable[[Tensor], Tensor],
        canvas: Tensor,
        seed: int,
        *,
        batch_size: int,
        threshold: float = 0.0,
    ) -> Votes:
        """Count how often noisy copies of an image are called fake.

        Copies meet in batches of one fixed shape, each holding copies of this image only, so that the
        result depends on nothing but the arguments.

        Args:
            logit_fn: ``(N, 3, h, w)`` float32 -> ``(N,)`` float32 logits.
            canvas: ``(3, h, w)`` float32 in [0, 1], on the detector's device.
            seed: The only randomness.
            batch_size: Copies in a batch.
            threshold: Logit above which a copy is called fake.

        Raises:
            ValueError: A logit is not finite.
        """
        # Drawn on the CPU, so that every device sees the same noise.
        generator = torch.Generator("cpu").manual_seed(seed)
        size, fakes = max(batch_size, SMALLEST_BATCH), []
        for start in range(0, self.queries, size):
            noise = torch.randn((size, *canvas.shape), generator=generator).to(canvas.device)
            copies = canvas + self.sigma * noise
            logits = logit_fn(copies.clamp(0, 1) if self.clip else copies)
            kept = logits[: self.queries - start]
            if not bool(torch.isfinite(kept).all()):
                raise ValueError(f"{self.name}: the logit of a noisy copy is not finite")
            fakes.append(kept > threshold)
        called_fake = torch.cat(fakes)
        return Votes(int(called_fake[: self.n0].sum()), int(called_fake[self.n0 :].sum()))


CERTIFICATES = {"smoothing": Smoothing}
