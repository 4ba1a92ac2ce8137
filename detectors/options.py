"""What a user may say beside a detector's name. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detectors.card import Output
from detectors.errors import DetectorError

if TYPE_CHECKING:
    from detectors.card import FakeLogit
    from detectors.inputs.spec import InputSpec

# The options that change what a detector is, as a user types them.
FLAGS = {
    "weights": "--weights",
    "fake_logit": "--fake-logit",
    "fake_labels": "--fake-label",
    "ignore_labels": "--ignore-label",
    "processor": "--processor",
    "input": "--input",
    "output": "--output",
    "backbone": "--backbone",
}


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What a user may say beside a detector's name.

    Attributes:
        weights: A weights file; ``None`` for those that belong to the name.
        fake_logit: Label direction of a head whose weights come without a card.
        allow_untrained: Build the detector with random weights where it has none.
        backbone: Weights of a backbone, for a detector whose own file leaves them out.
        offline: Fetch nothing from anywhere.
        fake_labels: Labels of a classifier that mean AI-generated; empty where its own words tell.
        ignore_labels: Labels of a classifier whose outputs count for neither side.
        processor: Folder with the preprocessing of a network that comes without one.
        input: The input rule, where no card or file states one.
        output: Whether a network that comes without a card gives logits or probabilities.
    """

    weights: Path | None = None
    fake_logit: FakeLogit | None = None
    allow_untrained: bool = False
    backbone: Path | None = None
    offline: bool = False
    fake_labels: tuple[str, ...] = ()
    ignore_labels: tuple[str, ...] = ()
    processor: Path | None = None
    input: InputSpec | None = None
    output: Output | None = None

    @property
    def given(self) -> dict[str, Any]:
        """What was said, by the name of the attribute; what was left out is not in it."""
        values = {name: getattr(self, name) for name in FLAGS}
        return {name: value for name, value in values.items() if value not in (None, ())}

    def refuse(self, name: str, **reasons: str) -> None:
        """Refuse options that would have no effect.

        Args:
            name: The detector as typed.
            reasons: By attribute, why that option has none.

        Raises:
            DetectorError: If such an option is given.
        """
        for option, value in self.given.items():
            if reasons.get(option):
                said = ",".join(value) if isinstance(value, tuple) else value
                said = value.describe() if option == "input" else said
                raise DetectorError(
                    f"{FLAGS[option]} {said} has no effect on {name}: {reasons[option]}"
                )

    def refuse_but(self, name: str, *used: str, why: str) -> None:
        """Refuse every option except those that are used, all for one reason.

        Raises:
            DetectorError: If such an option is given.
        """
        self.refuse(name, **{option: why for option in FLAGS if option not in used})
