"""``defended(DETECTOR,DEFENCE,...)``: a detector behind defences, around any other spelling."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from detectors.adapters.base import Adapter, FindArchitecture, LoadOptions
from detectors.errors import DetectorError

if TYPE_CHECKING:
    from detectors.base import Detector

_OPENING = "defended("


class DefendedDetector(Adapter):
    """A detector with defences before it.

    Its package's name puts it before the other adapters, whose marks may stand inside the parentheses.
    """

    pattern: ClassVar[str] = "defended(<detector>,<defence>,...)"
    summary: ClassVar[str] = "any of them behind a defence, which attacks go through"
    weights: ClassVar[str] = "the detector's"

    def recognises(self, name: str) -> bool:
        """Tell whether the name is ``defended(...)``."""
        return name.startswith(_OPENING) and name.endswith(")")

    def inner(self, name: str) -> str:
        """Give the spelling of the detector inside.

        Raises:
            DetectorError: The parentheses do not hold a detector and a defence.
        """
        return _parts(name)[0]

    def around(self, name: str, inner: str) -> str:
        """Spell the same defences around another detector."""
        return f"{_OPENING}{','.join([inner, *_parts(name)[1:]])})"

    def load(self, name: str, options: LoadOptions, find: FindArchitecture) -> Detector:
        """Refuse: what stands inside is built first.

        Raises:
            DetectorError: Always.
        """
        del options, find
        raise DetectorError(f"{name} is built around {self.inner(name)}, not by itself")

    def defences(self, name: str, defence: Callable[[str], Any]) -> list[Any]:
        """Read the defences of a spelling, with nothing built behind them.

        Args:
            name: What a user typed.
            defence: Makes a defence from the text of its call.

        Raises:
            DetectorError: Several of the defences draw.
        """
        from detectors.defences.defended import drawing_of  # noqa: PLC0415  (imports torch)

        made = [defence(text) for text in _parts(name)[1:]]
        drawing_of(made)
        return made

    def wrap(
        self, name: str, inside: Detector, label: str, defence: Callable[[str], Any]
    ) -> Detector:
        """Put the defences before a detector.

        Args:
            name: What a user typed.
            inside: The detector inside.
            label: What boards call the whole.
            defence: Makes a defence from the text of its call.

        Raises:
            DetectorError: Several of the defences draw.
        """
        from detectors.defences.defended import Defended  # noqa: PLC0415  (imports torch)

        return Defended(inside, self.defences(name, defence), label)


def _parts(name: str) -> list[str]:
    """Cut what stands between the outer parentheses at its own commas."""
    parts, depth = [""], 0
    for char in name[len(_OPENING) : -1]:
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    parts = [part.strip() for part in parts]
    if len(parts) < 2 or not all(parts) or depth:
        raise DetectorError(
            f"cannot read {name!r}: write a detector and at least one defence, as in "
            "defended(resnet50,jpeg(quality=75))"
        )
    return parts


ADAPTERS = {DefendedDetector.pattern: DefendedDetector()}
