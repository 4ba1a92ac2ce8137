"""A round trip through the small autoencoder of a latent diffusion model, given as files of weights."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from attacks.checks import whole
from attacks.laundering.base import Image, Laundering
from attacks.laundering.tiny_autoencoder import Decoder, Encoder, read_weights

MOST_TIMES = 10
MOST_PIXELS = 2**22  # the first layers keep 64 numbers a pixel: 1 GB
SIDE = 8  # px of the picture that one position of the latent stands for
ENCODER = "encoder"
# What a condition's spelling would take for its own punctuation.
_PUNCTUATION = frozenset("(),=\"'\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoencoder(Laundering):
    """Encoded to the latent space of a diffusion model and decoded: the picture drawn anew by a generator.

    The network is the small autoencoder that stands in for a diffusion model's own (Bohan's TAESD
    family: TAESD, TAESDXL, TAESD3, TAEF1, TAEF2), on the CPU in float32. Sides that are no multiple of
    8 px are filled up with the border's pixels and cut off again.

    Attributes:
        weights: File of the encoder, a state dict (``.pth`` or ``.safetensors``), with "encoder" in its
            name; the decoder's lies beside it, with "decoder" in that place.
        times: Round trips, 1 to 10; each begins with the 8-bit picture of the one before.
    """

    name: ClassVar[str] = "autoencoder"
    summary: ClassVar[str] = "round trip through a latent autoencoder, given as files of weights"
    severities: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"times": 1},
        {"times": 2},
        {"times": 3},
        {"times": 5},
        {"times": 8},
    )

    weights: str = ""
    times: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "times", whole("autoencoder times", self.times, 1, MOST_TIMES))
        if not isinstance(self.weights, str) or ENCODER not in Path(self.weights).name:
            raise ValueError(
                f"autoencoder weights={self.weights!r}: name the encoder's file, such as "
                "taef2_encoder.pth, with taef2_decoder.pth beside it"
            )
        if odd := sorted(_PUNCTUATION & set(self.weights)):
            raise ValueError(
                f"autoencoder weights={self.weights}: a path in a condition may not hold "
                f"{' '.join(odd)}; rename or link it"
            )

    @property
    def files(self) -> tuple[Path, ...]:
        """The encoder's file and the decoder's.

        Raises:
            ValueError: One of them is not there.
        """
        encoder = Path(self.weights)
        files = (encoder, encoder.with_name(encoder.name.replace(ENCODER, "decoder")))
        for file in files:
            if not file.is_file():
                raise ValueError(f"there are no autoencoder weights {file}: check the path")
        return files

    @property
    def as_done(self) -> str:
        """The sha256 of the two files, where they are there."""
        try:
            digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in self.files]
        except (OSError, ValueError):
            return ""
        return f"encoder {digests[0][:12]}, decoder {digests[1][:12]} (sha256)"

    def apply(self, image: Image, /) -> Image:
        """Encode, decode and round, ``times`` times.

        Raises:
            ValueError: The weights are missing or are no such network's, or the image is too large.
        """
        height, width = image.shape[:2]
        if height * width > MOST_PIXELS:
            raise ValueError(
                f"autoencoder takes at most {MOST_PIXELS} pixels, the image has {width}x{height}: put "
                "resize(size=...,back=false) before it"
            )
        encoder, decoder = self.files
        pair = _networks(_state(encoder), _state(decoder))
        filled = np.pad(image, ((0, -height % SIDE), (0, -width % SIDE), (0, 0)), mode="edge")
        with torch.inference_mode():
            batch = torch.from_numpy(filled.transpose(2, 0, 1)[None].copy())
            for _ in range(self.times):
                out: Tensor = pair(batch.to(torch.float32) / 255)
                batch = (out.clamp(0, 1) * 255).round().to(torch.uint8)
        return batch[0].numpy().transpose(1, 2, 0)[:height, :width]


# Path, size in bytes and time of change in ns: a changed file is read anew.
_State = tuple[str, int, int]


def _state(file: Path) -> _State:
    state = file.stat()
    return str(file), state.st_size, state.st_mtime_ns


@functools.lru_cache(maxsize=2)
def _networks(encoder: _State, decoder: _State) -> nn.Sequential:
    """Build both networks in float32; threads may share them, as they keep nothing between calls."""
    pair = nn.Sequential(
        Encoder.of(read_weights(Path(encoder[0]))), Decoder.of(read_weights(Path(decoder[0])))
    )
    return pair.eval().requires_grad_(False)


LAUNDERINGS = {"autoencoder": Autoencoder}
