"""A detector that is an ONNX file: forward only, unless gradients of a twin are proven on the batch."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Final, Self

import numpy as np
import torch
from torch import Tensor, nn

from detectors.base import Detector
from detectors.card import DetectorCard
from detectors.errors import GradientError
from detectors.identity.source_code import file_code
from detectors.inputs.views import pooled
from detectors.onnx_model.heads import one_logit
from detectors.onnx_model.session import OnnxFile
from detectors.weights import file_sha256

# Largest difference of a logit, relative to its size (at least 1), up to which gradients are believed.
TOLERANCE: Final = 1e-4
_CODE: Final = ("onnx_model/detector.py", "onnx_model/heads.py", "onnx_model/session.py", "fit.py",
                "inputs/views.py")  # fmt: skip


class OnnxDetector(Detector):
    """An ONNX file behind the detector protocol.

    Attributes:
        card: Geometry, normalisation and output rule.
        file: The loaded model.
        twin: The same network in torch, for gradients; None where none are to be taken.
        no_gradient: Why gradients are not taken of a model without a twin.
    """

    no_gradient: str = (
        'onnxruntime gives no gradient; a card beside the file that says "differentiable": true takes that '
        "of onnx2torch"
    )

    def __init__(self, file: OnnxFile, card: DetectorCard, twin: nn.Module | None = None) -> None:
        self.card = card
        self.file = file
        self.twin = twin
        # Now, while the files are those that were loaded.
        self._digest = self._digested()
        self._mean = torch.tensor(card.input.mean).view(1, 3, 1, 1)
        self._std = torch.tensor(card.input.std).view(1, 3, 1, 1)

    def modules(self) -> list[nn.Module]:
        """List the network that gradients are taken of, where there is one."""
        return [] if self.twin is None else [self.twin]

    def to(self, device: torch.device) -> Self:
        """Move what lies in torch to a device, and the session where onnxruntime can run there."""
        super().to(device)
        self._mean, self._std = self._mean.to(device), self._std.to(device)
        if device.type != "cpu":
            self.file = OnnxFile.load(self.file.path, device)
        return self

    def replica(self) -> Self | None:
        """Give itself: a session may be run from several threads; a torch twin is for one at a time."""
        return self if self.twin is None else None

    def identity(self) -> str:
        """Digest the card, all files of the model, the release of onnxruntime, and our code around it."""
        return self._digest

    def _digested(self) -> str:
        digest = hashlib.sha256(self.card.model_dump_json(exclude_defaults=True).encode())
        digest.update(f"onnxruntime {version('onnxruntime')}\n".encode())
        for path in self.file.files:
            digest.update(f"{path.name} {file_sha256(path)}\n".encode())
        for name in _CODE:
            digest.update(file_code(Path(__file__).parent.parent / name))
        if self.twin is not None:
            digest.update(f"onnx2torch {version('onnx2torch')}\n".encode())
        return digest.hexdigest()

    def logits(self, batch: Tensor) -> Tensor:
        """Score (N, 3, h, w) float32 in [0, 1]; returns (N,) float32.

        Raises:
            DetectorError: The model fails on it.
            GradientError: A gradient is asked for, and that of the twin is not this model's.
        """
        return pooled((batch - self._mean) / self._std, self.card.input, self._score)

    def _score(self, views: Tensor) -> Tensor:
        outputs = self.file.run(views.detach().cpu().to(torch.float32).numpy())
        logits = one_logit(torch.from_numpy(np.ascontiguousarray(outputs)), self.card)
        logits = logits.to(views.device)
        if self.twin is None or not views.requires_grad:
            return logits
        theirs = self._twin_logits(views)
        scale = logits.abs().clamp_min(1.0)
        difference = float(((theirs.detach() - logits).abs() / scale).max())
        if not difference <= TOLERANCE:
            raise GradientError(
                f"onnx2torch's network gives other logits than onnxruntime on these very images (by up to "
                f"{difference:.2g}), so its gradient is another network's"
            )
        # The value is the model's own; only the gradient is the twin's.
        return logits + (theirs - theirs.detach())

    def _twin_logits(self, views: Tensor) -> Tensor:
        assert self.twin is not None
        step = self.file.batch or len(views)
        images = views.permute(0, 2, 3, 1) if self.file.layout == "NHWC" else views
        pieces = []
        for start in range(0, len(images), step):
            piece = images[start : start + step]
            short = step - len(piece)
            padded = (
                torch.cat([piece, piece[-1:].expand(short, *piece.shape[1:])]) if short else piece
            )
            try:
                outputs = self.twin(padded)
            except torch.OutOfMemoryError:
                raise
            except Exception as error:  # whatever a converted graph does
                raise GradientError(
                    f"onnx2torch's network fails ({type(error).__name__})"
                ) from error
            pieces.append(outputs.reshape(len(padded), -1)[: len(piece)])
        return one_logit(torch.cat(pieces).float(), self.card)
