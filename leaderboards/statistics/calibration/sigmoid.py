"""Calibrated probabilities: logistic regression of the label on the logit, after Platt."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, xlog1py, xlogy

from leaderboards.statistics.ranking import is_fake_mask


class Sigmoid(NamedTuple):
    """``P(fake | logit) = sigmoid(slope * logit + intercept)``."""

    slope: float
    intercept: float

    def probability(self, logit: float) -> float:
        """Compute the probability of an image with this logit."""
        return float(expit(self.slope * logit + self.intercept))


def fit_sigmoid(labels: NDArray[Any], logits: NDArray[Any]) -> Sigmoid:
    """Fit Platt's sigmoid with both classes weighted alike, so that it speaks of an even prior.

    Targets are drawn in as Platt does, (n_fake + 1) / (n_fake + 2) and 1 / (n_real + 2): classes that are
    apart give a finite slope.

    Args:
        labels: (n,) 0 or 1, both present.
        logits: (n,) finite.

    Raises:
        ValueError: A single class, or equal logits throughout.

    Source: Platt, "Probabilistic outputs for support vector machines", 1999, section 2.2.
    """
    fake = is_fake_mask(labels)
    n_fake, n_real = int(fake.sum()), int((~fake).sum())
    values = np.asarray(logits, dtype=np.float64)
    if not n_fake or not n_real:
        raise ValueError("it holds a single class; a probability needs real and fake images")
    middle, spread = float(values.mean()), float(values.std())
    if spread == 0:
        raise ValueError("all its scores are equal")
    z = (values - middle) / spread
    target = np.where(fake, (n_fake + 1) / (n_fake + 2), 1 / (n_real + 2))
    weight = np.where(fake, 0.5 / n_fake, 0.5 / n_real)

    def loss(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        p = expit(at[0] * z + at[1])
        value = -float((weight * (xlogy(target, p) + xlog1py(1 - target, -p))).sum())
        residual = weight * (p - target)
        return value, np.array([float((residual * z).sum()), float(residual.sum())])

    found = minimize(loss, np.zeros(2), jac=True, method="BFGS", options={"gtol": 1e-10})
    slope = float(found.x[0]) / spread
    return Sigmoid(slope, float(found.x[1]) - slope * middle)
