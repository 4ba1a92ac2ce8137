"""A classifier of k labels as one logit."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class LabelHead(nn.Module):
    """The log-odds of AI-generated against real, exactly: over a softmax of k labels, or of one output.

    For k labels they are logsumexp(fake logits) - logsumexp(real logits); what counts for neither side
    is as if the softmax had been taken without it.
    """

    def __init__(
        self,
        network: nn.Module,
        fake: tuple[int, ...],
        real: tuple[int, ...],
        *,
        outputs: int,
        plain: bool,
        reverse_channels: bool = False,
        library: str = "",
    ) -> None:
        super().__init__()
        self.network = network
        self.fake, self.real, self.outputs = fake, real, outputs
        self.plain = plain  # the network gives a tensor, not an object with one
        self.reverse_channels = reverse_channels
        # Another release of the library may compute otherwise: it is part of the identity.
        self.library = library

    def forward(self, batch: Tensor) -> Tensor:
        """Map (N, 3, h, w) to (N, 1)."""
        logits = self.answers(batch).float()
        if self.outputs == 1:
            return logits
        sides = [torch.logsumexp(logits[:, list(side)], dim=1) for side in (self.fake, self.real)]
        return (sides[0] - sides[1])[:, None]

    def answers(self, batch: Tensor) -> Tensor:
        """Give the network's own logits, one a label: (N, 3, h, w) to (N, labels)."""
        answer: Any = self.network(batch.flip(1) if self.reverse_channels else batch)
        logits: Tensor = answer if self.plain else answer.logits
        return logits
