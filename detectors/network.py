"""A detector made of one torch network, its card, and weights read strictly."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from detectors.base import Detector, state_digest
from detectors.card import DetectorCard, FakeLogit, InputSpec, WeightsRef, card_beside, read_card
from detectors.errors import DetectorError, UntrainedError
from detectors.fold import channels_last, folded, twin
from detectors.identity.values import Identity
from detectors.inputs.spec import sides
from detectors.inputs.views import pooled
from detectors.pretrained import Pretrained
from detectors.weights import (
    WeightsError,
    file_sha256,
    load_strict,
    read_state_for,
    split_part,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A network by name, before it has weights.

    Attributes:
        name: Name of the detector as users type it.
        build: Makes the network with the given number of outputs, untrained, without any download.
        input: The input rule its paper states.
        reference: Paper or code.
        summary: One line for ``bench ls``.
        fake_logit: The paper's label direction where it has one; a checkpoint's card goes first.
        build_for: For networks whose layers depend on the canvas: makes one from the number of outputs
            and the side in px; ``None`` where one set of layers serves any size.
        pretrained: Where its ImageNet weights are published, if anywhere.
        paper_size: How many parameters its paper counts, in words.
    """

    name: str
    build: Callable[[int], nn.Module]
    input: InputSpec
    reference: str
    summary: str
    fake_logit: FakeLogit | None = None
    build_for: Callable[[int, int], nn.Module] | None = None
    pretrained: Pretrained | None = None
    paper_size: str = ""

    def network(self, outputs: int, size: int | tuple[int, int] | None) -> nn.Module:
        """Build the untrained network for a canvas of ``size`` px, a side or (height, width).

        Raises:
            DetectorError: If it cannot be built at that size.
        """
        if self.build_for is None or size is None:
            return self.build(outputs)
        height, width = sides(size)
        if height != width:
            raise DetectorError(
                f"{self.name} is built for squares, not for {height} x {width} px: give one side"
            )
        try:
            return self.build_for(outputs, height)
        except ValueError as error:
            raise DetectorError(str(error)) from error


class NetworkDetector(Detector):
    """A detector that normalises, runs a network, and maps its head to one logit as the card says."""

    def __init__(self, network: nn.Module, card: DetectorCard) -> None:
        self.card = card
        self.network = network
        self._identity: Identity | None = None
        self._mean = torch.tensor(card.input.mean).view(1, 3, 1, 1)
        self._std = torch.tensor(card.input.std).view(1, 3, 1, 1)

    def to(self, device: torch.device) -> Self:
        """Move the network and its normalisation to ``device``."""
        super().to(device)
        self._mean, self._std = self._mean.to(device), self._std.to(device)
        return self

    def fold(self) -> bool:
        """Put a faster network in place, within ``fold.TOLERANCE``; False where there is none."""
        if self._identity is None:
            quick = folded(
                self.network, self.card.input.network_input or (64, 64), self._mean.device
            )
            if quick is None:
                return False
            # What was loaded, not its faster form, is what this detector is.
            self._identity = super().identify()
            self.network = quick
        return True

    def replica(self) -> Self | None:
        """Make a twin with the same weights in memory and other modules; ``None`` where that is unsafe.

        A hook or an overridden :meth:`logits` may lead back to the original, so neither is copied.
        """
        hooked = any(m._forward_hooks or m._forward_pre_hooks for m in self.network.modules())
        if hooked or type(self).logits is not NetworkDetector.logits:
            return None
        other = copy.copy(self)
        try:
            other.network = twin(self.network)
        except Exception:  # a network may hold what cannot be copied; it is then run by one thread
            return None
        return other

    def identify(self) -> Identity:
        """Digest card, code and weights as they were loaded, whatever form the network has by now."""
        return self._identity or super().identify()

    def held(self) -> dict[str, object]:
        """Give the network, which is all that is not in the card."""
        return {"network": self.network}

    def logits(self, batch: Tensor) -> Tensor:
        """Score (N, 3, h, w) float32 in [0, 1]; returns (N,) float32."""
        return pooled((batch - self._mean) / self._std, self.card.input, self._score)

    def _score(self, batch: Tensor) -> Tensor:
        """Score a batch of normalised views: (N, 3, h, w) to (N,)."""
        out: Tensor = self.network(batch if self._identity is None else channels_last(batch))
        if out.ndim == 1:
            out = out[:, None]
        if out.ndim != 2 or out.shape[1] != self.card.outputs:
            raise DetectorError(
                f"{self.card.name}: the head gives shape {tuple(out.shape)}, the card's fake_logit "
                f"{self.card.fake_logit!r} needs (N, {self.card.outputs})"
            )
        out = out.float()
        match self.card.fake_logit:
            case "z":
                return out[:, 0]
            case "-z":
                return -out[:, 0]
            case "z1-z0":
                return out[:, 1] - out[:, 0]
            case "z0-z1":
                return out[:, 0] - out[:, 1]


def load_network(
    arch: Architecture,
    weights: Path,
    *,
    fake_logit: FakeLogit | None = None,
    input_rule: InputSpec | None = None,
) -> NetworkDetector:
    """Build ``arch`` and fill it from a weights file and the card beside it.

    Args:
        arch: Architecture to build.
        weights: ``.safetensors`` or a torch checkpoint; ``FILE::PART`` for one of several sets in it.
        fake_logit: The label direction, where there is no card.
        input_rule: The input rule, where there is no card and it is not the architecture's own.

    Raises:
        WeightsError: If the file does not fit, or nothing says which output means *fake*.
    """
    weights, part = split_part(weights)
    card_path = card_beside(weights)
    card = read_card(card_path) if card_path.is_file() else None
    if card and fake_logit and fake_logit != card.fake_logit:
        raise WeightsError(
            f"--fake-logit {fake_logit} contradicts the card {card_path}, which says "
            f"{card.fake_logit}: leave the option out, or mend the card"
        )
    if card and input_rule and input_rule != card.input:
        raise WeightsError(
            f"--input {input_rule.describe()} contradicts the card {card_path}, which says "
            f"{card.input.describe()}: leave the option out, or mend the card"
        )
    if card and (card.output == "probability" or card.fake_outputs):
        raise WeightsError(
            f"{card_path} says that the head gives probabilities or more than two classes: of {arch.name} "
            "that is not so, only of ONNX files; give fake_logit alone"
        )
    direction = fake_logit or (card.fake_logit if card else arch.fake_logit)
    if direction is None:
        raise WeightsError(
            f"nothing says which output of {weights.name} means AI-generated: pass --fake-logit "
            f"z|-z|z1-z0|z0-z1, or put a card at {card_path}"
        )
    if card is None:
        card = DetectorCard(
            name=arch.name,
            arch=arch.name,
            reference=arch.reference,
            input=input_rule or arch.input,
        )
    reference = card.weights or WeightsRef()
    card = card.model_copy(update={"fake_logit": direction})
    if part and reference.part not in ("", part):
        raise WeightsError(
            f"{weights.name}::{part} contradicts the card {card_path}, which says "
            f"{reference.part!r}: leave `::{part}` out, or mend the card"
        )
    part = part or reference.part
    network = arch.network(card.outputs, card.input.network_input)
    state = read_state_for(
        network, weights, sha256=reference.sha256, part=part, key_map=reference.key_map
    )
    load_strict(network, state, weights.name)
    sha256 = reference.sha256 or file_sha256(weights)
    reference = reference.model_copy(update={"sha256": sha256, "part": part})
    card = card.model_copy(update={"weights": reference})
    return NetworkDetector(network, card)


def untrained(arch: Architecture, *, allow: bool, seed: int = 0) -> NetworkDetector:
    """Build the network with random weights, for smoke tests, where that is allowed.

    Raises:
        UntrainedError: Unless ``allow``.
    """
    if not allow:
        raise UntrainedError(
            f"{arch.name} has no trained weights here: pass --weights FILE (or "
            "--allow-untrained to score noise on purpose)"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = arch.build(1)
    card = DetectorCard(
        name=f"{arch.name} (untrained)",
        arch=arch.name,
        reference=arch.reference,
        input=arch.input,
        weights=WeightsRef(sha256=state_digest(network.state_dict())),
    )
    return NetworkDetector(network, card)
