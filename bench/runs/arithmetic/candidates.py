"""What a check of a cheaper arithmetic is made on: which chunks, and which detectors stand to gain."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from bench.inference.foreign import ask
from bench.runs.prepare import Prepared
from bench.store.units import BF16_UNITS, Chunk
from detectors.base import Detector

# Images of either class at the first look, at least; they come in whole chunks.
LEAST_IMAGES: Final = 256
# Largest share of the images that a check may take: scored twice, more would eat up what is gained.
MOST_SHARE: Final = 0.25
# Multiplications of an image, at least: below, converting numbers takes as long as it saves. The smallest
# network that gained on a CPU with AVX-512 BF16 has 21 million.
LEAST_PRODUCTS: Final = 20_000_000
# The same for gradients through convolutions by channel: MobileNetV2 with 300 million gains nothing,
# ConvNeXt with 4 billion takes half the time.
LEAST_PRODUCTS_BY_CHANNEL: Final = 1_000_000_000


class Operations(NamedTuple):
    """What a network computes for one image.

    Attributes:
        products: Multiplications in matrix products and convolutions.
        grouped: Whether a convolution goes by channel or by group; its gradient is no faster in bf16.
    """

    products: int
    grouped: bool


def looks(prepared: Prepared) -> list[tuple[Chunk, ...]]:
    """Lay out the chunks that both forms are checked on: those of the first look, of the second, and so on.

    Chunks come in the order of scoring where cells may stop, else in that of their digests' hash, which
    scatters them over the data set. The first look has enough of either class, each further one twice the
    images of the one before, and includes them.

    Returns:
        No look where the first would take too much of the data.
    """
    labels = prepared.manifest.table["label"].to_numpy()
    chunks: Sequence[Chunk] = prepared.chunks
    if prepared.looks is None:
        chunks = sorted(chunks, key=lambda c: hashlib.sha256(c.digest.encode()).digest())
    found, counts, due = list[tuple[Chunk, ...]](), np.zeros(2, dtype=np.int64), 0
    for end, chunk in enumerate(chunks, start=1):
        counts += np.bincount(labels[chunk.rows], minlength=2)
        if counts.sum() > MOST_SHARE * len(prepared.rows):
            break
        if (counts >= LEAST_IMAGES).all() and counts.sum() >= due:
            found.append(tuple(chunks[:end]))
            due = 2 * int(counts.sum())
    return found


def refusals(prepared: Prepared, chunks: Sequence[object]) -> dict[str, str]:
    """Say by label which detectors stay in fp32 without a check, and why.

    Nothing is timed here: the same command decides alike on the same kind of machine.
    """
    common = ""
    if not prepared.environment.get(BF16_UNITS):
        common = "the device has no units for bf16."
    elif not chunks:
        common = (
            f"a check needs {LEAST_IMAGES} images of either class within {MOST_SHARE:.0%} of the images, and "
            f"here are {len(prepared.rows)} images."
        )
    elif not _may_gain(prepared):
        common = "every condition is an attack or a certificate that stays in fp32."
    reasons = dict.fromkeys(prepared.detectors, common) if common else {}
    for label, detector in prepared.detectors.items():
        if label in prepared.broken:
            reasons[label] = "its own code fails."
        elif label not in reasons and (reason := _too_little(detector, prepared)):
            reasons[label] = reason
    return reasons


def asks_again(prepared: Prepared) -> bool:
    """Tell whether any condition attacks or certifies: every score of the run is then fp32."""
    return any(condition.asks_again for condition in prepared.conditions.values())


def _may_gain(prepared: Prepared) -> bool:
    return not asks_again(prepared) or any(c.climbs for c in prepared.conditions.values())


def _too_little(detector: Detector, prepared: Prepared) -> str:
    """Say why a detector gains too little; "" where it may gain."""
    try:
        found = Operations(*ask(detector, count_operations))
    except Exception as error:  # its own cells say so
        return f"its operations cannot be counted ({type(error).__name__})."
    if found.products < LEAST_PRODUCTS:
        return f"{found.products / 1e6:.3g} million multiplications an image in torch are too few to gain."
    if asks_again(prepared) and found.grouped and found.products < LEAST_PRODUCTS_BY_CHANNEL:
        return "it is small and convolves by channels: its gradients are no faster in bf16."
    return ""


def count_operations(detector: Detector) -> tuple[int, bool]:
    """Count what a detector computes for one image, by running it once on grey canvases."""
    # It brings torch's decompositions and Triton with it.
    from torch.utils.flop_counter import FlopCounterMode  # noqa: PLC0415

    canvas = torch.full((2, 3, *detector.card.input.canvas_or(64)), 0.5)
    convolutions = _Convolutions()
    with torch.inference_mode(), FlopCounterMode(display=False) as counter, convolutions:
        detector.logits(canvas.to(_device_of(detector)))
    return counter.get_total_flops() // (2 * len(canvas)), convolutions.grouped


def _device_of(detector: Detector) -> torch.device:
    first = next((p for module in detector.modules() for p in module.parameters()), None)
    return torch.device("cpu") if first is None else first.device


class _Convolutions(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch says no types
    """Looks at every convolution that is run.

    Attributes:
        grouped: Whether one of them has groups.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.grouped = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        # A kernel of (out, in / groups, ...) on (N, in, ...).
        if str(func).startswith("aten.conv") and args[0].shape[1] > args[1].shape[1]:
            self.grouped = True
        return func(*args, **(kwargs or {}))
