"""The border to detectors that are somebody else's code: what goes in is theirs, what comes out is checked.

Whatever such code does to its arguments, to the process, or instead of returning, concerns its own cells
only.
"""

from __future__ import annotations

import copy
import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.errors import BenchError
from bench.support.interruption import is_ctrl_c
from bench.support.plain import path_name
from detectors.base import Detector
from detectors.card import DetectorCard
from detectors.errors import DetectorError, ForeignCodeError, described
from detectors.global_state import kept
from detectors.identity.elsewhere import reached_by
from detectors.identity.values import Identity
from detectors.network import NetworkDetector

T = TypeVar("T")

# Packages whose networks are known to compute and to do nothing else.
_TRUSTED = ("detectors", "timm", "torch", "torchvision")


def guarded(detector: Detector) -> Detector:
    """Put the border around a detector; one that is made of well-known networks only needs none."""
    if isinstance(detector, Foreign):
        return detector
    well_known = type(detector) is NetworkDetector and all(
        type(inner).__module__.partition(".")[0] in _TRUSTED
        for module in detector.modules()
        for inner in module.modules()
    )
    return detector if well_known else Foreign(detector)


def identify(detector: Detector) -> Identity:
    """Digest what decides a detector's logits, and name what cannot be looked into.

    A class that overrides ``identity()`` says itself what it is, and is believed. One that holds no torch
    module, names no files and calls more than arithmetic may get its answers from anywhere.
    """
    if type(detector).identity is not Detector.identity:
        said = detector.identity()
        if not isinstance(said, str) or not said:
            raise DetectorError(f"identity() returned {said!r}: return a text that is not empty")
        return Identity(said, ())
    identity = detector.identify()
    if detector.files or detector.modules():
        return identity
    answers = tuple(f"what {name} answers" for name in reached_by(type(detector).__mro__))
    return Identity(identity.digest, (*identity.unknown, *answers))


@contextmanager
def blamed(label: str, step: str) -> Iterator[None]:
    """Turn a failure of somebody's code before any image is scored into an error of the user's.

    Args:
        label: What boards call the detector.
        step: What its code is asked to do, as the subject of a sentence.

    Raises:
        BenchError: If the code fails; says how.
    """
    try:
        yield
    except DetectorError as error:
        raise BenchError(f"{label}: {error}") from error
    except Exception as error:
        raise BenchError(f"{label}: {step} fails ({described(error)}): mend its code") from error


class Foreign(Detector):
    """A detector behind the border; it answers as the one inside does.

    Attributes:
        inside: The detector itself.
    """

    def __init__(self, inside: Detector) -> None:
        self.inside = inside
        self._ask: Callable[[Tensor], Tensor] = inside.logits
        self.card = inside.card
        self.no_gradient = inside.no_gradient
        self._fits_by_card = bool(self._call("fits_by_card", lambda: inside.fits_by_card))
        self._fitting = threading.Lock()

    @property
    def fits_by_card(self) -> bool:
        """Whether the geometry is the card's, so that canvases can be shared."""
        return self._fits_by_card

    def fit(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Fit a copy of the image; the canvas is checked and copied.

        Raises:
            DetectorError: The canvas is not (3, h, w) uint8.
        """
        if self.fits_by_card:
            return super().fit(image)
        # Images are fitted in several threads, which somebody's code need not allow; and it may hand out
        # one buffer of its own again and again.
        with self._fitting:
            canvas = self._call("fit", lambda: self.inside.fit(image.copy()))
            if isinstance(canvas, np.ndarray):
                canvas = np.array(canvas, order="C")
        if not isinstance(canvas, np.ndarray):
            raise DetectorError(
                f"fit returned {type(canvas).__name__}: return a (3, h, w) uint8 array"
            )
        if canvas.dtype != np.uint8 or canvas.ndim != 3 or canvas.shape[0] != 3 or canvas.size == 0:
            raise DetectorError(
                f"fit returned shape {canvas.shape} and type {canvas.dtype}: return a (3, h, w) uint8 array"
            )
        return canvas

    def logits(self, batch: Tensor) -> Tensor:
        """Score a batch, and refuse what is no logit.

        Raises:
            DetectorError: The answer is no real floating tensor of shape (N,).
        """
        given = batch if batch.requires_grad else batch.clone()
        logits = self._call("logits", lambda: self._ask(given))
        if not isinstance(logits, Tensor):
            raise DetectorError(
                f"logits returned {type(logits).__name__}: return a tensor of shape (N,)"
            )
        if logits.dtype.is_complex or logits.dtype == torch.bool:
            raise DetectorError(f"logits returned type {logits.dtype}: return real numbers")
        # Not a view of a buffer that the next call overwrites.
        return logits if logits.requires_grad else logits.to(batch.device).clone()

    def asking(self, ask: Callable[[Tensor], Tensor]) -> Self:
        """Make a twin that takes the logits of the detector inside by another way to the same ones."""
        twin = copy.copy(self)
        twin._ask = ask
        return twin

    def modules(self) -> list[nn.Module]:
        """List the torch modules of the detector inside."""
        return self._call("modules", self.inside.modules)

    def to(self, device: torch.device) -> Self:
        """Move the detector inside to a device."""
        self._call("to", lambda: self.inside.to(device))
        return self

    def fold(self) -> bool:
        """Fold the detector inside, where it can be."""
        return self._call("fold", self.inside.fold)

    def replica(self) -> Self | None:
        """Give a twin behind a border of its own."""
        twin = self._call("replica", self.inside.replica)
        return None if twin is None else type(self)(twin)

    def identify(self) -> Identity:
        """Identify the detector inside; an identity of its own making is believed."""
        return self._call("identity", lambda: identify(self.inside))

    def _call(self, what: str, do: Callable[[], T]) -> T:
        with border(what), kept():
            return do()


def compiled(
    detector: Detector, compiler: Callable[[Callable[[Tensor], Tensor]], Callable[[Tensor], Tensor]]
) -> Callable[[Tensor], Tensor]:
    """Give a detector's logits as ``compiler`` makes them; the border stays around what it has made.

    A compiler follows every call into the code, and what the border does around somebody's is no arithmetic.
    """
    if isinstance(detector, Foreign):
        return detector.asking(compiler(detector.inside.logits)).logits
    return compiler(detector.logits)


@contextmanager
def border(what: str) -> Iterator[None]:
    """Turn what would end the whole process into an error of one detector, attack or corruption.

    Raises:
        ForeignCodeError: The code inside tried to end the process, or interrupted itself.
    """
    try:
        yield
    except Exception:
        # Whoever scores tells the kinds apart: too little memory, a missing gradient, any other failure.
        raise
    except BaseException as error:  # sys.exit() in a detector is no end of the run
        if is_ctrl_c(error):
            raise
        raise ForeignCodeError(f"{what} ended with {described(error)}") from error


class Broken(Detector):
    """A stand-in for a detector that could not be built, moved or asked: whoever asks it is told why.

    Its cells fail with the reason, and nobody else's do.

    Attributes:
        reason: Why there is no detector.
    """

    def __init__(self, label: str, reason: str) -> None:
        self.card = DetectorCard(name=path_name(label), arch="unknown")
        self.reason = reason

    def logits(self, batch: Tensor) -> Tensor:  # noqa: ARG002
        """Say why there are none.

        Raises:
            ForeignCodeError: Always.
        """
        raise ForeignCodeError(self.reason)

    def fit(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:  # noqa: ARG002
        """Say why there is no canvas; see :meth:`logits`."""
        raise ForeignCodeError(self.reason)

    def identity(self) -> str:
        """Digest the reason: no score is ever kept under it."""
        return hashlib.sha256(f"broken {self.card.name} {self.reason}".encode()).hexdigest()


class Elsewhere(Detector):
    """A detector that lives in another process: known here by its card and identity alone.

    Attributes:
        foreign: Whether it is behind the border there.
    """

    def __init__(
        self, card: DetectorCard, identity: Identity, ask: Callable[..., Any], *, foreign: bool
    ) -> None:
        self.card = card
        self.foreign = foreign
        self._identity = identity
        self._ask = ask

    def identify(self) -> Identity:
        """Give the identity that the other process found."""
        return self._identity

    def logits(self, batch: Tensor) -> Tensor:  # noqa: ARG002
        """Refuse: it is asked where it lives.

        Raises:
            DetectorError: Always.
        """
        raise DetectorError(f"{self.card.name} is in another process: ask it there")

    def ask(self, question: Callable[..., T], *arguments: Any) -> T:
        """Have a function called with the detector itself, in its process."""
        answer: T = self._ask(question, *arguments)
        return answer


def is_foreign(detector: Detector) -> bool:
    """Tell whether a detector is somebody else's code, wherever it lives."""
    return isinstance(detector, Foreign) or (isinstance(detector, Elsewhere) and detector.foreign)


def ask(detector: Detector, question: Callable[..., T], *arguments: Any) -> T:
    """Call a function with a detector and further arguments, in the process where the detector lives."""
    if isinstance(detector, Elsewhere):
        return detector.ask(question, *arguments)
    return question(detector, *arguments)
