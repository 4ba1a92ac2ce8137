"""Detection over time: windows of generators by release, the next period, days since a first post."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

from leaderboards import ScoreColumn, SeenBy, slices
from leaderboards.tables.further.periods import over_time
from leaderboards.tables.slicing import column_slices

NAMES = [f"gen{i}" for i in range(10)]
DATES = dict(zip(NAMES, [f"20{15 + i}-0{1 + i % 3}-01" for i in range(10)], strict=True))


@pytest.fixture
def samples():
    rows = [("photo", 0, "", 0)] * 40 + [
        (n, 1, DATES[n], i) for i, n in enumerate(NAMES) for _ in range(8)
    ]
    frame = pd.DataFrame(rows, columns=["generator", "label", "free:release_date", "n"])
    frame["sample_id"] = [str(i) for i in range(len(frame))]
    frame["free:days_since_1st_post"] = [str(i % 40) for i in range(len(frame))]
    frame["free:category"] = ["cat" if i % 3 else "dog" for i in range(len(frame))]
    return frame.assign(domain="").sample(frac=1, random_state=0).reset_index(drop=True)


@pytest.fixture
def column(samples):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=len(samples)) + samples["label"] * (3 - samples["n"] / 4)
    return ScoreColumn(detector="net", condition="clean", logits=logits.to_numpy(np.float32))


def periods(samples, column, seen):
    return over_time(
        samples, dict.fromkeys(NAMES, ("photo",)), [column], {"net": seen}, {"net": 0.0}
    )


def test_windows_of_four_in_the_order_of_release_agree_with_scikit_learn(samples, column):
    table = periods(samples, column, SeenBy(frozenset(["gen1", "gen4"])))
    rows = table[table["axis"] == "release date"]
    assert list(rows["generators"]) == [
        ", ".join(NAMES[:4]), ", ".join(NAMES[4:8]), ", ".join(NAMES[8:]),
    ]  # fmt: skip
    assert list(rows["period"]) == [
        "1: 2015-01-01 to 2018-01-01",
        "2: 2019-02-01 to 2022-02-01",
        "3: 2023-03-01 to 2024-01-01",
    ]
    assert list(rows["next"]) == [False, False, True]  # gen4 is of the second window
    for row, window in zip(
        rows.to_dict("records"), (NAMES[:4], NAMES[4:8], NAMES[8:]), strict=True
    ):
        chosen = (samples["label"] == 0) | samples["generator"].isin(window)
        labels, logits = samples["label"][chosen], column.logits[chosen]
        assert row["auc"] == pytest.approx(roc_auc_score(labels, logits))
        assert row["accuracy"] == pytest.approx(accuracy_score(labels, logits > 0))
        assert (row["n_real"], row["n_fake"]) == (40, 8 * len(window))


@pytest.mark.parametrize(
    ("seen", "following"),
    [
        (SeenBy(frozenset(["gen0"])), 1),
        (SeenBy(frozenset(["gen9"])), None),  # nothing came after
        (SeenBy(frozenset(["glide"])), None),  # it saw none of these: there is no last one
        (SeenBy(frozenset(["unknown"])), None),
        (SeenBy(known=False), None),
    ],
)
def test_the_next_period_is_known_or_absent(samples, column, seen, following):
    rows = periods(samples, column, seen)
    rows = rows[rows["axis"] == "release date"].reset_index(drop=True)
    assert list(rows.index[rows["next"]]) == ([] if following is None else [following])


def test_days_since_a_first_post_take_both_classes(samples, column):
    table = periods(samples, column, SeenBy(frozenset(["gen0"])))
    rows = table[table["axis"] == "days since first post"]
    assert list(rows["period"]) == ["0", "1 to 7", "8 to 30", "31 to 90"]
    days = samples["free:days_since_1st_post"].astype(int)
    chosen = (days >= 8) & (days <= 30)
    expected = roc_auc_score(samples["label"][chosen], column.logits[chosen])
    assert rows["auc"].iloc[2] == pytest.approx(expected)


def test_dates_nobody_can_read_and_none_at_all_give_no_periods(samples, column):
    odd = samples.assign(**{"free:release_date": "soon", "free:days_since_1st_post": "?"})
    assert periods(odd, column, SeenBy()).empty
    assert periods(samples[["sample_id", "label", "generator", "domain"]], column, SeenBy()).empty


def test_a_free_column_cuts_as_a_frame_does(samples):
    pairing = dict.fromkeys(NAMES, ("photo",))
    pieces = {piece.domain: piece for piece in column_slices(samples, pairing, "category")}
    assert set(pieces) == {"category=cat", "category=dog"}
    for value in ("cat", "dog"):
        of_value = samples["free:category"] == value
        piece = pieces[f"category={value}"]
        assert set(piece.fake_rows) == set(np.flatnonzero(of_value & (samples["label"] == 1)))
        assert set(piece.real_rows) == set(np.flatnonzero(of_value & (samples["label"] == 0)))
    # Reals have no release date: every value is then compared with those its generators are paired with.
    by_date = column_slices(samples, pairing, "release_date")
    assert {len(piece.real_rows) for piece in by_date} == {40}
    assert len(by_date) == 10
    assert len(slices(samples, pairing)) == 10


def test_a_column_that_is_not_there_or_has_a_value_an_image(samples):
    with pytest.raises(ValueError, match="lack the column 'colour'"):
        column_slices(samples, {}, "colour")
    wide = samples.assign(**{"free:id": [str(i) for i in range(len(samples))]})
    wide = pd.concat([wide, wide.assign(**{"free:id": [f"b{i}" for i in range(len(samples))]})])
    with pytest.raises(ValueError, match="160 values, too many"):
        column_slices(wide, dict.fromkeys(NAMES, ("photo",)), "id")
