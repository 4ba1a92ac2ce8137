"""Files of equal bytes among the images of a run: how many, and in which class."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd


class Repeats(NamedTuple):
    """Files that repeat the bytes of others.

    Attributes:
        real: Real files that repeat another of their class.
        fake: AI-generated files that do.
        files_of_both: Files whose bytes stand in both classes.
        images_of_both: Different images that these are.
    """

    real: int = 0
    fake: int = 0
    files_of_both: int = 0
    images_of_both: int = 0


def repeats_of(samples: pd.DataFrame) -> Repeats:
    """Count the files of equal bytes.

    Args:
        samples: Columns ``label`` (1 = AI-generated) and ``sha256``, one row an image; bytes that nobody
            hashed are like no other.
    """
    if "sha256" not in samples.columns:
        return Repeats()
    hashed = samples.loc[samples["sha256"] != "", ["sha256", "label"]]
    again = hashed[hashed.duplicated(["sha256", "label"])]["label"]
    n_labels = hashed.groupby("sha256")["label"].nunique()
    both = n_labels.index[n_labels > 1]
    return Repeats(
        int((again == 0).sum()), int((again == 1).sum()),
        int(hashed["sha256"].isin(both).sum()), len(both),
    )  # fmt: skip
