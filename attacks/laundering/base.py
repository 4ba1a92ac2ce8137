"""The protocol of laundering: a picture goes through a network that is not the detector, and comes out anew.

It takes no gradient, asks no detector and has no budget, so it is no :class:`attacks.base.Attack`. A
condition uses it where it uses a corruption, on the source image, before the detector's own resize.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, final

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


class Laundering(ABC):
    """A picture made anew by somebody without the detector; files of weights say by what.

    A concrete one is a ``@dataclass(frozen=True, slots=True, kw_only=True)`` whose fields are its
    parameters, checked in ``__post_init__`` with ``ValueError``, and implements :meth:`apply`. It never
    draws: equal images and files give equal pictures.
    """

    __slots__ = ()

    name: ClassVar[str]
    """The name in a condition, such as ``autoencoder``."""
    summary: ClassVar[str]
    """One line for listings."""
    severities: ClassVar[tuple[Mapping[str, Any], ...]]
    """Five sets of parameter overrides, mild to harsh."""
    draws: ClassVar[bool] = False
    one_strength: ClassVar[bool] = False
    may_be_identity: ClassVar[bool] = False
    keeps_size: ClassVar[bool] = True

    @property
    @abstractmethod
    def files(self) -> tuple[Path, ...]:
        """Files that decide the result beside the parameters; a score is filed under their content."""

    @property
    def as_done(self) -> str:
        """What the parameters stand for, where a name hides it; else ""."""
        return ""

    @classmethod
    def table(cls) -> list[dict[str, str]]:
        """List what the values of a parameter stand for: nothing here."""
        return []

    @classmethod
    def at_severity(cls, severity: int, **parameters: Any) -> Self:
        """Make it with the parameters of one of its five severities.

        Args:
            severity: 1 (mild) to 5 (harsh).
            **parameters: What severities leave open, such as weights.

        Raises:
            ValueError: No such severity.
        """
        if isinstance(severity, bool) or severity not in range(1, len(cls.severities) + 1):
            raise ValueError(
                f"{cls.name} has severities 1 to {len(cls.severities)}, got {severity!r}"
            )
        return cls(**{**cls.severities[severity - 1], **parameters})

    @final
    def __call__(self, image: Image, _rng: np.random.Generator) -> Image:
        """Launder an image.

        Args:
            image: Height x width x 3, uint8, RGB; left untouched.
            _rng: Not used.

        Returns:
            Height x width x 3, uint8, RGB, C-contiguous, sharing no memory with the input.

        Raises:
            ValueError: The input or the output is not such an image.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
            raise ValueError(
                f"{self.name} works on a height x width x 3 uint8 array, got shape {image.shape} "
                f"and type {image.dtype}"
            )
        out = self.apply(image)
        if out.dtype != np.uint8 or out.shape != image.shape:
            raise ValueError(
                f"{self.name} must return shape {image.shape} and type uint8, got shape {out.shape} "
                f"and type {out.dtype}"
            )
        return out.copy() if np.may_share_memory(out, image) else np.ascontiguousarray(out)

    @abstractmethod
    def apply(self, image: Image, /) -> Image:
        """Launder an image; the arrays are as in :meth:`__call__`."""
