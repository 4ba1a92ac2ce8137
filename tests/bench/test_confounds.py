from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency

from bench.results.confounds import format_lines
from bench.support.contingency import independence_p


def samples(real, fake):
    return pd.DataFrame(
        {"label": [0] * len(real) + [1] * len(fake), "format": [*real, *fake]},
    )


def test_png_fakes_against_jpeg_reals_are_called_out():
    lines = format_lines(samples(["JPEG"] * 9 + ["PNG"], ["PNG"] * 10))
    assert lines[0] == "File formats: real JPEG 9, PNG 1; fake PNG 10."
    assert "balanced accuracy 0.95" in lines[1]


@pytest.mark.parametrize("mix", [["JPEG"] * 10, ["JPEG", "PNG"] * 5])
def test_the_same_formats_in_both_classes_give_no_warning(mix):
    assert len(format_lines(samples(mix, mix))) == 1


def test_one_class_says_nothing():
    assert format_lines(samples([], ["PNG"])) == []


def test_the_test_of_independence_is_scipys():
    rng = np.random.default_rng(0)
    for columns in (2, 3, 7):
        for scale in (1, 20, 3000):
            table = (rng.integers(1, 9, (2, columns)) * scale).astype(float)
            expected = chi2_contingency(table, correction=False).pvalue
            assert independence_p(table) == pytest.approx(expected, rel=1e-9, abs=1e-300)
