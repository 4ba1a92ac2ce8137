"""What can be wrong with a detector; each message is one sentence with the way out. Imports no torch."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DetectorError(ValueError):
    """A detector that cannot be built or breaks its contract; the message says the way out."""


class ForeignCodeError(DetectorError):
    """Somebody's own code that failed while it was imported, built or asked; the message says how."""


class WeightsError(DetectorError):
    """A weights file that cannot be used; the message says why and what to do."""


class GradientError(DetectorError):
    """A gradient that is not that of the detector's own logits: there is nothing an attack could climb."""


class UntrainedError(DetectorError):
    """A detector without trained weights: its scores would be noise that looks like a result."""


def near(name: str, names: Iterable[str]) -> str:
    """Suggest the names nearest to one that is unknown, or list a few of them all."""
    candidates = sorted(names)
    close = difflib.get_close_matches(name, candidates, n=3, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(map(repr, close)) + "?"
    return "there is " + (", ".join(candidates[:8]) or "nothing of the kind")


def described(error: BaseException) -> str:
    """Put an error of somebody else's code into one short line: its kind and what it says.

    Returns:
        For example ``"KeyError: 'layer4'"``; the kind alone where the error has nothing to say, or
        fails even at that.
    """
    kind = type(error).__name__
    try:
        text = " ".join(str(error).split())[:300]
    except BaseException:  # an exception's own code may raise anything
        text = ""
    return f"{kind}: {text}" if text else kind
