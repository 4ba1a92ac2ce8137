"""From the outputs of a classifier to one logit: signs, differences, probabilities as log-odds."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from detectors.card import DetectorCard
from detectors.errors import DetectorError

# The finest step of a float32 probability below 1: nearer to 0 or 1 none can be told from it.
CLAMP: Final = 2.0**-24
# How far fp16 arithmetic moves a probability out of its range, or a row of them from summing to 1.
_SLACK: Final = 5e-3


def one_logit(outputs: Tensor, card: DetectorCard) -> Tensor:
    """Bring (N, k) outputs to (N,) logits, > 0 for AI-generated, as the card says.

    Of k logits ``logsumexp`` of those that mean AI-generated, minus that of the others; of probabilities
    the log-odds, each side clamped to at least 2^-24.

    Raises:
        DetectorError: The head has another number of outputs, or what should be probabilities are none.
    """
    fakes, reals = sides_of(outputs.shape[1], card)
    if card.output == "probability":
        return _log_odds(outputs, fakes, reals, card)
    if not reals:
        return outputs[:, 0] if card.fake_logit == "z" else -outputs[:, 0]
    return torch.logsumexp(outputs[:, fakes], 1) - torch.logsumexp(outputs[:, reals], 1)


def sides_of(count: int, card: DetectorCard) -> tuple[list[int], list[int]]:
    """Give the outputs that mean AI-generated and those that mean real; none real for a single output.

    Raises:
        DetectorError: A head of ``count`` outputs does not fit what the card says.
    """
    if card.fake_outputs:
        named = (*card.fake_outputs, *card.ignored_outputs)
        reals = [i for i in range(count) if i not in named]
        if max(named) >= count or min(named) < 0 or not reals:
            raise DetectorError(
                f"{card.name} has {count} outputs (0 to {count - 1}), and outputs "
                f"{', '.join(map(str, named))} were named: leave at least one that means real"
            )
        return list(card.fake_outputs), reals
    if count != card.outputs:
        raise DetectorError(
            f"{card.name} has {count} outputs, and fake logit {card.fake_logit} is for {card.outputs}: "
            "say --fake-logit (z or -z for one output, z1-z0 or z0-z1 for two), or --fake-label with the "
            "numbers of the outputs that mean AI-generated"
        )
    if count == 1:
        return [0], []
    return ([1], [0]) if card.fake_logit == "z1-z0" else ([0], [1])


def _log_odds(outputs: Tensor, fakes: list[int], reals: list[int], card: DetectorCard) -> Tensor:
    low, high = (float(outputs.min()), float(outputs.max())) if outputs.numel() else (0.0, 0.0)
    if low < -_SLACK or high > 1 + _SLACK:
        raise DetectorError(
            f"{card.name} was said to give probabilities, and gives {low if low < -_SLACK else high:g}: "
            "say --output logit"
        )
    if not reals:
        p = outputs[:, 0].clamp(CLAMP, 1 - CLAMP)
        logits = torch.log(p) - torch.log1p(-p)
        return logits if card.fake_logit == "z" else -logits
    total = outputs.sum(1)
    if bool(((total - 1).abs() > _SLACK * outputs.shape[1]).any()):
        raise DetectorError(
            f"{card.name} was said to give probabilities, and those of one image sum to "
            f"{float(total[(total - 1).abs().argmax()]):g}: export the logits, or one output"
        )
    fake, real = outputs[:, fakes].sum(1), outputs[:, reals].sum(1)
    return torch.log(fake.clamp_min(CLAMP)) - torch.log(real.clamp_min(CLAMP))


def looks_like_probabilities(outputs: Tensor) -> bool:
    """Tell whether all of (N, k) outputs lie in [0, 1], and those of an image sum to 1 where k > 1."""
    inside = bool(((outputs >= 0) & (outputs <= 1)).all())
    return inside and (outputs.shape[1] == 1 or bool(((outputs.sum(1) - 1).abs() < _SLACK).all()))
