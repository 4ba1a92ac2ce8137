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
        reverse_channels: bool = False,
        library: str = "",
    ) -> None:
        super().__init__()
        self.network = network
        self.fake, self.real, self.outputs = fake, real, outputs
        self.reverse_channels = reverse_channels
        # Another release of the library may compute otherwise: it is part of the identity.
        self.library = library

    def forward(self, batch: Tensor) -> Tensor:
        """Map (N, 3, h, w) to (N, 1).

        Raises:
            ValueError: If the network does not give one number for each of the labels.
        """
        answer: Any = self.network(batch.flip(1) if self.reverse_channels else batch)
        logits: Tensor = answer if isinstance(answer, Tensor) else answer.logits
        if logits.shape != (len(batch), self.outputs):
            raise ValueError(
                f"the network gives shape {tuple(logits.shape)} for {len(batch)} images, and there are "
                f"{self.outputs} labels"
            )
        logits = logits.float()
        if self.outputs == 1:
            return logits
        sides = [torch.logsumexp(logits[:, list(side)], dim=1) for side in (self.fake, self.real)]
        return (sides[0] - sides[1])[:, None]
