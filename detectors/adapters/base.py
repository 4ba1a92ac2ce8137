"""The protocol of an adapter: from the spelling of a detector to the detector with its weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from detectors.errors import DetectorError

if TYPE_CHECKING:
    from detectors.base import Detector
    from detectors.card import FakeLogit
    from detectors.network import Architecture

# From an architecture's name to what the lists have under it.
FindArchitecture = Callable[[str], "Architecture | type[Detector]"]


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What a user may say beside a detector's name.

    Attributes:
        weights: A weights file; ``None`` for those that belong to the name.
        fake_logit: Label direction of a head whose weights come without a card.
        allow_untrained: Build the detector with random weights where it has none.
        backbone: Weights of a backbone, for a detector whose own file leaves them out.
    """

    weights: Path | None = None
    fake_logit: FakeLogit | None = None
    allow_untrained: bool = False
    backbone: Path | None = None

    def refuse(
        self, name: str, *, weights: str = "", fake_logit: str = "", backbone: str = ""
    ) -> None:
        """Refuse an option that would have no effect.

        Args:
            name: The detector as typed.
            weights: Why a weights file has none; empty where it has one.
            fake_logit: Why a label direction has none; empty where it has one.
            backbone: Why a backbone's weights have none; empty where they have one.

        Raises:
            DetectorError: If such an option is given.
        """
        if weights and self.weights is not None:
            raise DetectorError(f"--weights {self.weights} has no effect on {name}: {weights}")
        if fake_logit and self.fake_logit is not None:
            raise DetectorError(
                f"--fake-logit {self.fake_logit} has no effect on {name}: {fake_logit}"
            )
        if backbone and self.backbone is not None:
            raise DetectorError(f"--backbone {self.backbone} has no effect on {name}: {backbone}")


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
