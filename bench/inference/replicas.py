"""A detector for several threads: twins that share its weights, and its compiled form where asked for."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from bench.errors import BenchError
from bench.inference.foreign import compiled
from detectors.base import Detector
from detectors.card import DetectorCard
from detectors.errors import ForeignCodeError, described


class Replicas:
    """One detector, ready to be asked from several threads where it allows that.

    Attributes:
        parallel: Whether several threads may ask at once; else only one thread at a time may.
    """

    def __init__(self, detector: Detector, device: torch.device) -> None:
        self.detector = detector
        # On an accelerator one thread keeps it busy, and a second would only wait.
        self._failure: Exception | None = None
        self._spare = self._replica() if device.type == "cpu" else None
        self.parallel = self._spare is not None
        self._twins: dict[int, Detector] = {}
        self._lock = threading.Lock()
        self._compiled: Callable[[Tensor], Tensor] | None = None

    @property
    def card(self) -> DetectorCard:
        """Give the card of the detector."""
        return self.detector.card

    def checked_logits(self, batch: Tensor) -> Tensor:
        """Score a batch on the calling thread's twin, with gradients and checks; what attacks climb."""
        return self._here().checked_logits(batch)

    def score(self, batch: Tensor) -> Tensor:
        """(N,) float32 logits for scoring; compiled where asked for, not checked to be finite."""
        logits = self._here().logits(batch) if self._compiled is None else self._compiled(batch)
        return self.detector.shaped(logits, batch)

    def compile(self, batch: Tensor, precision: str) -> None:
        """Score from now on with the network compiled, for this very shape and precision at once.

        For other shapes and precisions it is compiled when the first such batch comes.

        Raises:
            BenchError: It cannot be compiled here.
        """
        _lift_recompile_limit()
        # Gradients keep the plain network: a compiled one would be made anew for them.
        quick = compiled(self.detector, functools.partial(torch.compile, dynamic=False))
        try:
            with scoring(batch.device, precision):
                quick(batch)
        except Exception as error:  # whatever a compiler does
            reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else ""
            raise BenchError(
                f"--compile: {self.card.name} cannot be compiled here "
                f"({type(error).__name__}: {reason}): leave --compile out"
            ) from error
        self._compiled = quick

    def _replica(self) -> Detector | None:
        try:
            return self.detector.replica()
        except (
            Exception
        ) as error:  # said by whoever asks for a logit: the cells of this detector alone fail
            self._failure = error
            return None

    def _here(self) -> Detector:
        if self._failure is not None:
            raise ForeignCodeError(f"replica failed ({described(self._failure)})")
        if not self.parallel:
            return self.detector
        twin = self._twins.get(threading.get_ident())
        if twin is None:
            with self._lock:
                twin = self.detector.replica() if self._spare is None else self._spare
                self._spare = None
                assert twin is not None
                self._twins[threading.get_ident()] = twin
        return twin


@contextmanager
def scoring(device: torch.device, precision: str) -> Iterator[None]:
    """Inference mode, and bf16 arithmetic where the precision says so."""
    low = precision == "bf16"
    with torch.inference_mode(), torch.autocast(device.type, dtype=torch.bfloat16, enabled=low):
        yield


def _lift_recompile_limit() -> None:
    """Compile for any number of shapes, precisions and detectors.

    By default torch goes on uncompiled from the ninth on, without a word: which scores those are would
    depend on the order in which batches came.
    """
    import torch._dynamo.config as dynamo  # noqa: PLC0415 - two seconds, for those who compile

    newer = hasattr(dynamo, "recompile_limit")
    for name in ("recompile_limit", "accumulated_recompile_limit") if newer else (
        "cache_size_limit", "accumulated_cache_size_limit",
    ):  # fmt: skip
        setattr(dynamo, name, sys.maxsize)
