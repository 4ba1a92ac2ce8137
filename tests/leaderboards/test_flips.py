"""Which images change their verdict, and the weakest condition that is enough."""

from __future__ import annotations

import numpy as np
import pytest

from leaderboards import ScoreColumn, slices
from leaderboards.tables.further.flips import flips
from leaderboards.tables.slicing import pool


@pytest.fixture
def board(frame):
    """Two reals and two fakes; logits are written out, so that every flip can be read off."""
    samples = frame(("photo", "web", 0, 2), ("sd14", "web", 1, 2))
    conditions = {
        "clean": [-2.0, -1.0, 3.0, 1.0],
        "jpeg(quality=30)": [-2.0, 1.0, 3.0, -1.0],  # turns 1 and 3
        "jpeg(quality=90)": [-2.0, -1.0, 3.0, -1.0],  # turns 3
        "pgd(eps=8/255)": [2.0, 1.0, -3.0, -1.0],  # turns all
        "blur(sigma=9)": [-2.0, -1.0, 3.0, 1.0],  # turns none
    }
    columns = [
        ScoreColumn(detector="net", condition=name, logits=np.array(logits, dtype=np.float32))
        for name, logits in conditions.items()
    ]
    everything = pool(samples, slices(samples, {"sd14": ("photo",)}))
    return samples, everything, columns


def test_the_weakest_is_the_one_that_turns_the_fewest_and_this_one_too(board):
    made = flips(*board, {"net": 0.0}, {"pgd(eps=8/255)"})
    order = made.harshness
    assert order["condition"].tolist() == [
        "blur(sigma=9)", "jpeg(quality=90)", "jpeg(quality=30)", "pgd(eps=8/255)",
    ]  # fmt: skip
    assert order["flips"].tolist() == [0, 1, 2, 4]
    assert order["share"].tolist() == [0, 0.25, 0.5, 1]
    assert order["weakest_for"].tolist() == [0, 1, 1, 2]
    assert order["attack"].tolist() == [False, False, False, True]
    images = made.images.set_index("image")
    fake = images.loc["sd14/web/1/1"]
    assert (fake["weakest"], fake["weakest_place"], fake["flips"]) == ("jpeg(quality=90)", 2, 3)
    assert fake["all_flips"] == "jpeg(quality=90); jpeg(quality=30); pgd(eps=8/255)"
    assert (fake["label"], fake["clean_verdict"], fake["clean_right"]) == ("fake", "fake", True)
    by_attack_alone = images.loc["photo/web/0/0"]
    assert by_attack_alone["weakest"] == "pgd(eps=8/255)"
    assert by_attack_alone["weakest_delivery"] == ""
    # The most fragile first.
    assert made.images["weakest_place"].is_monotonic_increasing
    assert len(made.images) == 4


def test_equally_harsh_conditions_share_a_place(board):
    samples, everything, columns = board
    twin = ScoreColumn(detector="net", condition="rotate", logits=columns[2].logits)
    made = flips(samples, everything, [*columns, twin], {"net": 0.0}, ())
    order = made.harshness.set_index("condition")
    assert order["flips"].tolist() == [0, 1, 1, 2, 4]
    assert order["place"].tolist() == [1, 2, 2, 4, 5]
    by_name = order["place"].to_dict()
    assert [by_name[name] for name in made.images["weakest"]] == made.images[
        "weakest_place"
    ].tolist()


def test_every_share_adds_up_by_brute_force(board):
    samples, everything, columns = board
    threshold = 0.5
    made = flips(samples, everything, columns, {"net": threshold}, ())
    clean = columns[0].logits[everything.rows] > threshold
    for row in made.harshness.to_dict("records"):
        column = next(c for c in columns if c.condition == row["condition"])
        assert row["flips"] == int(((column.logits[everything.rows] > threshold) != clean).sum())
        listed = made.images["all_flips"].str.split("; ").explode()
        assert row["flips"] == int((listed == row["condition"]).sum())
    assert int(made.harshness["weakest_for"].sum()) == len(made.images)


def test_what_is_not_wholly_scored_or_has_no_threshold_is_in_none_of_it(board):
    samples, everything, columns = board
    columns[1].logits[0] = np.nan
    made = flips(samples, everything, columns, {"net": 0.0}, ())
    assert "jpeg(quality=30)" not in set(made.harshness["condition"])
    assert flips(samples, everything, columns, {"net": float("nan")}, ()).images.empty
    assert flips(samples, everything, columns[1:], {"net": 0.0}, ()).harshness.empty
