from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_sample_images


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """A real photograph, 240 x 321 px: odd on one side, a multiple of 16 on the other."""
    picture = np.ascontiguousarray(load_sample_images().images[0][100:340, 200:521])
    picture.flags.writeable = False
    return picture


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)
