"""What tells the classes apart without looking at a pixel: a note beside the number it spoils.

PNG fakes against JPEG reals gave a published detector AUC .83-.98, and .09-.33 once the same fakes
were saved as JPEG; Grommelt et al. 2024 (arXiv:2403.17608) measured the bias in a whole benchmark.
"""

from __future__ import annotations

import pandas as pd

# Balanced accuracy of guessing by file format alone from which a reader is warned.
WARN_FROM = 0.6


def format_lines(samples: pd.DataFrame) -> list[str]:
    """Count file formats by class, and warn where they tell real from fake.

    The balanced accuracy of guessing by format is ``sum over formats max(P(format | real),
    P(format | fake)) / 2``: that of the best rule that sees nothing else.

    Args:
        samples: Columns ``label`` (1 = AI-generated) and ``format``, one row a scored image.

    Returns:
        Sentences for the notes of a board; none where a class is missing.
    """
    shares = pd.crosstab(samples["format"], samples["label"], normalize="columns")
    if shares.shape[1] < 2:
        return []
    counts = pd.crosstab(samples["format"], samples["label"])
    real, fake = (
        ", ".join(f"{name} {n}" for name, n in counts[label].items() if n) for label in (0, 1)
    )
    lines = [f"File formats: real {real}; fake {fake}."]
    balanced_accuracy = float(shares.max(axis=1).sum() / 2)
    if balanced_accuracy >= WARN_FROM:
        lines.append(
            "WARNING: file format alone tells real from fake with balanced accuracy "
            f"{balanced_accuracy:.2f}; a detector may have learned the format. Score both classes in "
            "one format (for example under jpeg(quality=95)) before believing these numbers."
        )
    return lines
