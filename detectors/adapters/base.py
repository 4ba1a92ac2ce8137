"""The protocol of an adapter: from the spelling of a detector to the detector with its weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from detectors.card import Output
from detectors.errors import DetectorError
from detectors.options import FLAGS, LoadOptions

__all__ = ["FLAGS", "Adapter", "FindArchitecture", "LoadOptions", "Output"]

if TYPE_CHECKING:
    from detectors.base import Detector
    from detectors.network import Architecture

# From an architecture's name to what the lists have under it.
FindArchitecture = Callable[[str], "Architecture | type[Detector]"]


class Adapter(ABC):
    """One way to spell a detector that stands in no list.

    A subclass says what it recognises and how to load it; what it does not override is what holds for
    a plain name. Its module imports torch only when a detector is built.
    """

    pattern: ClassVar[str]
    """How a user writes it, with placeholders, such as ``timm/<model>``."""
    summary: ClassVar[str]
    """One line for listings."""
    weights: ClassVar[str]
    """Where its weights come from, in two or three words, for listings."""

    @abstractmethod
    def recognises(self, name: str) -> bool:
        """Tell whether what a user typed is spelled this way."""

    def label(self, name: str) -> str:
        """Give the name that boards show."""
        return name

    def absolute(self, name: str) -> str:
        """Spell the same detector with absolute paths, for a process in another folder."""
        return name

    def architecture(self, name: str) -> Architecture:
        """Give the architecture to train.

        Raises:
            DetectorError: There is none: the detector brings its own code or weights.
        """
        raise DetectorError(
            f"{name} brings its own code or weights and cannot be trained here: choose an architecture"
        )

    @abstractmethod
    def load(self, name: str, options: LoadOptions, find: FindArchitecture) -> Detector:
        """Build the detector and load its weights, strictly.

        Args:
            name: What a user typed.
            options: What was said beside it.
            find: Looks up an architecture by name.

        Raises:
            DetectorError: It cannot be built; the message says the way out.
        """
