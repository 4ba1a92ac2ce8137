"""The detector protocol: one image in, one logit out, > 0 means AI-generated."""

from __future__ import annotations

import hashlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from detectors.card import DetectorCard
from detectors.errors import DetectorError
from detectors.fit import fit_image
from detectors.identity.source_code import (
    SourceUnknownError,
    code_digest,
    file_code,
    own_module_names,
)
from detectors.identity.values import (
    Identity,
    file_digests,
    held_by,
    held_values,
    nested_modules,
    own_modules,
)

# Code that an identity need not follow: releases that stand beside it in a fingerprint, and files of ours
# that are digested by name, or that load weights whose values are digested.
_NOT_ARITHMETIC = (
    "torch",
    "torchvision",
    "timm",
    "transformers",
    "numpy",
    "scipy",
    "PIL",
    "pydantic",
    "detectors.adapters",
    "detectors.backbones",
    "detectors.base",
    "detectors.card",
    "detectors.errors",
    "detectors.fit",
    "detectors.fold",
    "detectors.inputs",
    "detectors.network",
    "detectors.options",
    "detectors.pretrained",
    "detectors.publication",
    "detectors.identity",
    "detectors.global_state",
    "detectors.weights",
    "detectors.huggingface.network",
    "detectors.huggingface.timm_folder",
)


class Detector(ABC):
    """A trained model that gives one logit an image.

    A subclass sets ``card`` and implements :meth:`logits`; everything else has a working default.
    Geometry (:meth:`fit`) is apart from the network so that attacks act on exactly the pixels the
    network sees, and so that several detectors with the same geometry share the work.
    """

    card: DetectorCard
    no_gradient: str = "its card says that its gradient means nothing"
    """Why gradients are not taken, where the card says that it is not differentiable."""
    files: Sequence[str | Path] = ()
    """Files that decide the logits besides torch modules, for a detector that reads its weights elsewhere."""

    @property
    def fits_by_card(self) -> bool:
        """Whether :meth:`fit` is the card's geometry, so that canvases can be shared with others."""
        return getattr(self.fit, "__func__", None) is Detector.fit

    def fit(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Bring one (H, W, 3) uint8 RGB image to the (3, h, w) uint8 canvas (geometry only)."""
        return fit_image(image, self.card.input)

    @abstractmethod
    def logits(self, batch: Tensor) -> Tensor:
        """Score a batch of canvases; normalisation and the rest happen inside.

        Args:
            batch: (N, 3, h, w) float32 in [0, 1] on the detector's device.

        Returns:
            (N,) float32 raw logits, never probabilities: sigmoids saturate and tie.
        """

    def modules(self) -> list[nn.Module]:
        """List the torch modules held as attributes, in lists, mappings and own objects inside them too."""
        return nested_modules(self)

    def to(self, device: torch.device) -> Self:
        """Move every module to ``device``, in inference mode and without parameter gradients."""
        for module in self.modules():
            module.to(device).eval().requires_grad_(requires_grad=False)
        return self

    def fold(self) -> bool:
        """Trade the plain order of operations for speed, logits within 1e-4; False where it cannot."""
        return False

    def replica(self) -> Self | None:
        """Make a twin for another thread, sharing the weights; ``None`` where one thread at a time may score.

        On a CPU, several threads that score a batch each are quicker than one batch spread over them.
        A detector whose :meth:`logits` keeps nothing between or during calls may return itself.
        """
        return None

    def identity(self) -> str:
        """Digest all that decides this detector's logits: weights, values, card, files and own code.

        Override it where a detector is more than that, a service for example; what it returns is then
        believed.
        """
        return self.identify().digest

    def identify(self) -> Identity:
        """Digest what decides the logits, and name what cannot be looked into.

        Values that the detector holds are walked: modules, arrays, containers and objects of its own
        code, the globals of its modules. :attr:`files` stands for what cannot be walked.
        """
        # What a field says by default it need not say: a card written before the field was there is the same.
        digest = hashlib.sha256(self.card.model_dump_json(exclude_defaults=True).encode())
        for name in ("base.py", "fit.py", "fold.py", "inputs/views.py", "network.py"):
            digest.update(file_code(Path(__file__).parent / name))
        classes = [cls for cls in type(self).__mro__ if cls not in (Detector, ABC, object)]
        networks = {type(inner) for module in self.modules() for inner in module.modules()}
        unknown: list[str] = []
        names: list[str] = []
        try:
            digest.update(code_digest([*classes, *networks], stop_at=_NOT_ARITHMETIC).encode())
            names = own_module_names(classes, stop_at=_NOT_ARITHMETIC)
        except SourceUnknownError as error:
            unknown.append(str(error))
        user_modules = own_modules(name for name in names if not name.startswith("detectors."))
        held = held_by(self.held(), user_modules)
        digest.update(held.digest.encode())
        if self.files:
            folder = Path(inspect.getfile(type(self))).parent
            digest.update(file_digests(self.files, folder).encode())
            return Identity(digest.hexdigest(), tuple(unknown))
        return Identity(digest.hexdigest(), (*unknown, *held.unknown))

    def held(self) -> dict[str, object]:
        """Collect the values that count towards the identity, by name; the card counts by itself."""
        values = held_values(self)
        values.pop("card", None)
        return values

    @final
    def checked_logits(self, batch: Tensor) -> Tensor:
        """Score a batch as :meth:`logits` does, and hold the result to its contract.

        Raises:
            DetectorError: If the shape is not (N,) or a logit is not finite.
        """
        logits = self.shaped(self.logits(batch), batch)
        if not bool(torch.isfinite(logits).all()):
            raise DetectorError(f"{self.card.name} returned a logit that is not finite")
        return logits

    @final
    def shaped(self, logits: Tensor, batch: Tensor) -> Tensor:
        """Hold logits of a batch to the shape (N,), as float32; the caller checks that they are finite.

        Raises:
            DetectorError: If the shape is not (N,).
        """
        if logits.shape != batch.shape[:1]:
            raise DetectorError(
                f"{self.card.name} returned shape {tuple(logits.shape)} for "
                f"{batch.shape[0]} images: return one logit an image, shape (N,)"
            )
        return logits.float()


def state_digest(state: dict[str, Tensor]) -> str:
    """Digest the names, dtypes, shapes and bytes of a state dict, in key order, with sha256."""
    digest = hashlib.sha256()
    for key in sorted(state):
        tensor = state[key].detach().cpu().contiguous()
        digest.update(f"{key}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
