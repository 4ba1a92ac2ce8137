"""Group-sequential boundaries: how far a statistic must lie out where it is looked at several times."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

_NODES: Final = 160
_FAR: Final = 8.5  # standard deviations beyond which nothing is left
_DENSITY: Final = 1 / math.sqrt(2 * math.pi)


@lru_cache(maxsize=1024)
def boundaries(fractions: tuple[float, ...], level: float) -> tuple[float, ...]:
    """Compute one-sided boundaries for a standard normal statistic that is looked at several times.

    Were there no effect, the chance to lie beyond the boundary at any look so far is ``level`` times the
    fraction of information at that look: error is spent in proportion to information. The statistic at
    fraction t behaves as ``B(t) / sqrt(t)`` with B a Brownian motion; its density below the boundaries
    before is integrated numerically from look to look.

    Args:
        fractions: Share of all information at each look, ascending, the last one at most 1.
        level: Chance of a false alarm over all looks, one-sided, in (0, 1).

    Returns:
        One boundary a look, in standard deviations.

    Example:
        >>> [round(z, 3) for z in boundaries((0.2, 0.4, 0.6, 0.8, 1.0), 0.025)]
        [2.576, 2.492, 2.411, 2.339, 2.276]
        >>> round(boundaries((1.0,), 0.05)[0], 3)
        1.645

    Source:
        Armitage, McPherson and Rowe (1969), JRSS A 132, 235-244, for the integration; Kim and DeMets (1987),
        Biometrika 74, 149-154, for the spending function (their family at rho = 1).
    """
    found: list[float] = []
    before, nodes, mass = 0.0, np.zeros(1), np.ones(1)  # all mass at 0
    for fraction in fractions:
        step = math.sqrt(fraction - before)
        spent = level * (fraction - before)
        boundary = _beyond(nodes, mass, step, math.sqrt(fraction), spent)
        found.append(boundary)
        points, weights = np.polynomial.legendre.leggauss(_NODES)
        low, high = -_FAR * math.sqrt(fraction), boundary * math.sqrt(fraction)
        places = (points + 1) / 2 * (high - low) + low
        density = (mass * _normal((places[:, None] - nodes) / step) / step).sum(axis=1)
        nodes, mass, before = places, density * weights * (high - low) / 2, fraction
    return tuple(found)


def _beyond(
    nodes: NDArray[np.float64], mass: NDArray[np.float64], step: float, scale: float, spent: float
) -> float:
    """Find the boundary that the next look is beyond with just the chance ``spent``."""
    from scipy.optimize import brentq  # noqa: PLC0415

    def excess(boundary: float) -> float:
        return float((mass * ndtr((nodes - boundary * scale) / step)).sum()) - spent

    return float(brentq(excess, -_FAR, _FAR))


def _normal(z: NDArray[np.float64]) -> NDArray[np.float64]:
    density: NDArray[np.float64] = _DENSITY * np.exp(-(z**2) / 2)
    return density
