"""What can go wrong in a way a user can mend, and the exit code each carries.

Every error here is one sentence with the way out; the CLI prints it without a traceback.
"""

from __future__ import annotations

from collections.abc import Iterable

EXIT_OK = 0
EXIT_USAGE = 2
EXIT_NOTHING = 5
EXIT_REGRESSION = 10
EXIT_INCONCLUSIVE = 11
EXIT_INCOMPLETE = 12
EXIT_DIFFERENT = 13
EXIT_INTERNAL = 70
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


class BenchError(Exception):
    """Bad input or usage: the message is for the user and says what to do next."""

    exit_code = EXIT_USAGE


class NothingSelectedError(BenchError):
    """The request is well formed and selects no image, no cell or no detector."""

    exit_code = EXIT_NOTHING


class NoBaselineError(BenchError):
    """Nothing to hold a candidate against; never a pass."""

    exit_code = EXIT_INCONCLUSIVE


class IncompleteError(BenchError):
    """What is asked for needs scores that are not all there."""

    exit_code = EXIT_INCOMPLETE


class DataError(BenchError):
    """A data set that is missing, ambiguous, damaged, or changed since it was indexed."""


class NoImageError(DataError):
    """A place that holds no image at all."""

    exit_code = EXIT_NOTHING


class DetectorFailedError(BenchError):
    """A detector's own code that failed where it was imported, built or moved; others can go on."""


class OutputError(BenchError):
    """A place that cannot be written."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A clause that suggests the known names nearest to ``name``, or lists them all.

    Returns:
        For example ``"did you mean 'resnet50'?"``; a plain listing where nothing is near.
    """
    names = sorted(known)
    import difflib  # noqa: PLC0415  (only errors need it)

    # Case and the sign between words are typed as one remembers them.
    folded = {each.lower().replace("_", "-"): each for each in reversed(names)}
    plain = name.lower().replace("_", "-")
    close = difflib.get_close_matches(plain, folded, n=3, cutoff=0.6)
    close = close or [each for each in folded if len(each) > 3 and each in plain.split("-")]
    if close:
        return "did you mean " + " or ".join(repr(folded[c]) for c in close) + "?"
    return "known: " + ", ".join(names) if names else "none is installed"
