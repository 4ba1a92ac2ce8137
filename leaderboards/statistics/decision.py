"""The decision rule: from a logit and a threshold to a verdict."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def called_fake(logits: NDArray[Any], threshold: float) -> NDArray[np.bool_]:
    """Call fake every image whose logit lies strictly above the threshold.

    Args:
        logits: (n,) floating point.
        threshold: On the logit scale. Compared in float64, so a threshold is never rounded to the
            precision of the scores.

    Example:
        >>> called_fake(np.array([-1.0, 0.0, 2.0]), 0.0).tolist()
        [False, False, True]
    """
    return np.asarray(logits).astype(np.float64) > threshold
