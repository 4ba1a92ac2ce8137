import numpy as np
import pandas as pd
import pytest

from leaderboards import Board, BoardNotes
from leaderboards.tables.cells import COLUMNS

NOTES = BoardNotes(suite="s", dataset="data")


def cell(detector, generator, condition="clean", auc=0.9, accuracy=0.8, **more):
    row = dict.fromkeys(COLUMNS, np.nan) | {
        "detector": detector,
        "dataset": "data",
        "generator": generator,
        "domain": "all",
        "condition": condition,
        "seen": "unseen",
        "status": "ok",
        "n_real": 10,
        "n_fake": 10,
        "threshold": 0.0,
        "auc": auc,
        "accuracy": accuracy,
        "reason": "",
    }
    return row | more


def board(*rows):
    return Board(pd.DataFrame(rows, columns=list(COLUMNS)), NOTES)


def failed(detector, generator, condition="clean", **more):
    more = {"status": "failed", "reason": "crash", **more}
    return cell(detector, generator, condition, np.nan, np.nan, **more)


def test_headline_means_are_unweighted_and_leave_seen_out():
    found = board(
        cell("d", "sd14", auc=1.0, accuracy=0.99, seen="seen"),
        cell("d", "glide", auc=0.8, accuracy=0.7, n_fake=1000),
        cell("d", "vae", auc=0.6, accuracy=0.5),
        # A pooled cell holds the same images again and must not enter a mean.
        cell("d", "all", auc=0.1, accuracy=0.1, seen="mixed"),
    ).headline()
    row = found.iloc[0]
    assert row["auc_unseen"] == pytest.approx(0.7)
    assert row["accuracy_unseen"] == pytest.approx(0.6)
    assert (row["auc_seen"], row["accuracy_seen"]) == (1.0, 0.99)
    assert row["auc_all"] == pytest.approx(0.8)
    assert (row["worst"], row["worst_auc"]) == ("vae", 0.6)
    assert (row["n_unseen"], row["n_seen"], row["n_slices"], row["n_cells"]) == (2, 1, 3, 4)


def test_headline_is_sorted_best_first_and_unmeasured_last():
    found = board(
        cell("blank", "g", auc=0.99, seen="unknown"),
        failed("broken", "g"),
        cell("weak", "g", auc=0.6),
        cell("strong", "g", auc=0.9),
        cell("also strong", "g", auc=0.9),
    ).headline()
    assert list(found["detector"]) == ["also strong", "strong", "weak", "blank", "broken"]


def test_a_failed_cell_is_never_averaged_away():
    made = board(
        cell("d", "a", auc=0.8),
        failed("d", "b"),
        cell("d", "c", auc=0.99, seen="seen"),
        cell("d", "a", "jpeg", auc=0.7),
        cell("d", "b", "jpeg", auc=0.5),
        cell("d", "c", "jpeg", auc=0.9, seen="seen"),
    )
    row = made.headline().iloc[0]
    assert np.isnan(row["auc_unseen"])
    assert row["auc_seen"] == 0.99
    # The unscored slice might be the worst, and the drop has nothing to start from.
    assert row["worst"] == ""
    assert np.isnan(row["mean_auc_drop"])
    assert (row["n_not_ok"], row["n_cells"]) == (1, 6)
    conditions = made.by_condition().set_index("condition")
    assert conditions.loc["jpeg", "auc"] == pytest.approx(0.6)
    assert np.isnan(conditions.loc["jpeg", "auc_drop"])
    assert conditions.loc["clean", "n_not_ok"] == 1


def test_an_undefined_cell_makes_the_mean_undefined():
    row = board(cell("d", "a"), cell("d", "b", auc=np.nan)).headline().iloc[0]
    assert np.isnan(row["auc_unseen"])
    assert row["accuracy_unseen"] == pytest.approx(0.8)
    assert row["worst"] == ""


def test_drops_are_against_clean_over_the_same_slices():
    found = board(
        cell("d", "a", auc=0.9, accuracy=0.9),
        cell("d", "b", auc=0.8, accuracy=0.7),
        cell("d", "a", "jpeg", auc=0.7, accuracy=0.6),
        cell("d", "b", "jpeg", auc=0.7, accuracy=0.6),
        # The attack was run on one generator only: compared with clean on that one.
        cell("d", "a", "pgd", auc=0.1, accuracy=0.2, attack_success=0.75),
    )
    conditions = found.by_condition().set_index("condition")
    assert list(conditions.index) == ["clean", "jpeg", "pgd"]
    assert conditions["auc_drop"].to_list() == pytest.approx([0.0, 0.15, 0.8])
    assert conditions["accuracy_drop"].to_list() == pytest.approx([0.0, 0.2, 0.7])
    assert conditions.loc["pgd", "attack_success"] == 0.75
    row = found.headline().iloc[0]
    assert row["mean_auc_drop"] == pytest.approx((0.15 + 0.8) / 2)
    assert row["mean_accuracy_drop"] == pytest.approx((0.2 + 0.7) / 2)
    assert row["n_conditions"] == 2


def test_by_condition_averages_unseen_or_says_it_averages_all():
    found = board(
        cell("d", "a", auc=0.9, seen="seen"),
        cell("d", "b", auc=0.5),
        cell("e", "a", auc=0.9, seen="unknown"),
        cell("e", "b", auc=0.5, seen="unknown"),
    ).by_condition()
    assert found["basis"].to_list() == ["unseen", "all"]
    assert found["auc"].to_list() == pytest.approx([0.5, 0.7])


def test_no_clean_cells_no_drop():
    found = board(cell("d", "a", "jpeg")).by_condition()
    assert np.isnan(found["auc_drop"][0])
    assert found["auc"][0] == 0.9


def test_matrices_hold_detector_by_slice():
    made = board(
        cell("d", "b", auc=0.7),
        cell("d", "a", auc=0.8),
        failed("e", "b"),
        cell("e", "a", auc=0.6),
        cell("d", "all", auc=0.5, domain="sky"),
        cell("d", "b", auc=0.4, domain="sky"),
        cell("d", "a", "jpeg", auc=0.3),
    )
    by_generator = made.by_generator()
    assert list(by_generator.index) == ["d", "e"]
    assert list(by_generator.columns) == ["b", "a"]
    assert by_generator.loc["d"].to_list() == [0.7, 0.8]
    assert np.isnan(by_generator.loc["e", "b"])
    assert made.by_generator("accuracy").loc["e", "a"] == 0.8
    assert made.by_generator(condition="jpeg").loc["d", "a"] == 0.3
    assert made.by_domain().to_dict() == {"sky": {"d": 0.5}}
    assert made.by_generator_and_domain().to_dict() == {("b", "sky"): {"d": 0.4}}
    assert board(cell("d", "a")).by_domain().empty
    with pytest.raises(ValueError, match=r"no metric 'roc'; known: .*auc"):
        made.by_generator("roc")


def test_headline_of_a_domain_board_rests_on_domains():
    row = board(
        cell("d", "all", domain="reddit", auc=0.9, seen="seen"),
        cell("d", "all", domain="twitter", auc=0.6),
    ).headline()
    assert (row["worst"][0], row["auc_unseen"][0], row["auc_seen"][0]) == ("twitter", 0.6, 0.9)


def test_failures_lists_cells_with_their_reason():
    found = board(cell("d", "a"), failed("d", "b"), failed("d", "c", "pgd", reason="no gradient"))
    assert found.failures().to_dict("records") == [
        {
            "detector": "d",
            "generator": generator,
            "domain": "all",
            "condition": condition,
            "status": "failed",
            "reason": reason,
        }
        for generator, condition, reason in [("b", "clean", "crash"), ("c", "pgd", "no gradient")]
    ]


def test_a_board_of_nothing_is_empty_not_broken():
    made = board()
    assert made.headline().empty
    assert made.by_condition().empty
    assert made.by_generator().empty
    assert made.to_csv().count("\n") == 1
    assert made.to_markdown().startswith("# Leaderboard")


def test_contradictory_rows_are_refused():
    with pytest.raises(ValueError, match=r"cell given twice.*'generator': 'a'"):
        board(cell("d", "a"), cell("d", "a", auc=0.1))
    with pytest.raises(ValueError, match=r"one data set, got \['data', 'other'\]"):
        board(cell("d", "a"), cell("d", "a", dataset="other"))
    with pytest.raises(ValueError, match=r"lack the columns \['reason'\]"):
        Board(pd.DataFrame([cell("d", "a")]).drop(columns="reason"), NOTES)
