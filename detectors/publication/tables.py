"""Tables of test sets that several papers print for one another's detectors. Imports no torch."""

from __future__ import annotations

from detectors.publication.facts import PaperFigure, paper_figures

_AIGIBENCH = {
    "CNNDetection": (98.2, 11.6, 54.9, 67.0),
    "Gram-Net": (90.5, 26.6, 58.6, 62.4),
    "UniFD": (73.3, 71.5, 72.5, 75.6),
    "NPR": (93.8, 41.9, 67.9, 73.9),
    "LaDeDa": (91.7, 54.9, 73.4, 79.3),
    "SAFE": (89.0, 66.6, 78.1, 83.6),
    "FerretNet": (96.6, 61.8, 79.4, 85.8),
}


def aigibench(method: str) -> tuple[PaperFigure, ...]:
    """Give a method's row of AIGIBench, whose authors trained every method anew.

    Args:
        method: Name of the method in that table.
    """
    return paper_figures(
        "AIGIBench",
        "AIGIBench, trained anew on its setting II, so not with the published weights",
        {"": _AIGIBENCH[method]},
        metrics=("real accuracy", "fake accuracy", "balanced accuracy", "average precision"),
    )
