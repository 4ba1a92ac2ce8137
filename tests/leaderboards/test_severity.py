import csv
import io

import numpy as np
import pandas as pd
import pytest

from leaderboards import Board, BoardNotes, SeenBy, cell_rows, slices
from leaderboards.tables.severity import area, by_series, curve_rows, degradation

CURVES = {
    "jpeg(quality=90)": ("jpeg", 1),
    "jpeg(quality=30)": ("jpeg", 3),
    "jpeg(quality=50)": ("jpeg", 2),
    "grayscale": ("grayscale", 1),
}


@pytest.fixture
def columns(pocket, scores):
    shifts = {
        "clean": 3.0,
        "jpeg(quality=90)": 2.0,
        "jpeg(quality=30)": 0.5,
        "jpeg(quality=50)": 2.5,
    }
    shifts["grayscale"] = 2.8
    return [
        scores(pocket, name, condition, shift - less, seed)
        for name, less in (("net", 0.0), ("cnn", 0.5))
        for seed, (condition, shift) in enumerate(shifts.items())
    ]


@pytest.fixture
def rows(pocket, pairing, columns):
    seen = {"net": SeenBy(frozenset({"sd14"}))}
    return cell_rows(pocket, slices(pocket, pairing), columns, seen, "pocket")


def cell(rows, detector, condition, generator, metric):
    chosen = rows[
        (rows["detector"] == detector)
        & (rows["condition"] == condition)
        & (rows["generator"] == generator)
    ]
    return float(chosen[metric].iloc[0])


def test_drops_areas_and_means_follow_from_the_cells(rows):
    found = by_series(rows, CURVES).set_index(["detector", "family"])
    assert list(found.index) == [
        ("net", "jpeg"), ("net", "grayscale"), ("cnn", "jpeg"), ("cnn", "grayscale"),
    ]  # fmt: skip
    conditions = ["clean", "jpeg(quality=90)", "jpeg(quality=50)", "jpeg(quality=30)"]
    for detector, generators in (("net", ("glide", "vae")), ("cnn", ("sd14", "glide", "vae"))):
        assert np.isnan(found.loc[(detector, "grayscale"), "auc_area"])  # one point is no curve
        row = found.loc[(detector, "jpeg")]
        assert row["conditions"] == tuple(conditions[1:])
        for metric in ("auc", "accuracy"):
            means = [
                np.mean([cell(rows, detector, c, g, metric) for g in generators])
                for c in conditions
            ]
            drops = means[0] - np.array(means[1:])
            assert row[f"{metric}_drops"] == pytest.approx(drops)
            assert row[f"{metric}_mean_drop"] == pytest.approx(drops.mean())
            assert row[f"{metric}_worst_drop"] == pytest.approx(drops.max())
            assert row[f"{metric}_area"] == pytest.approx(np.trapezoid(means) / 3)


def test_degradation_counts_a_family_once(rows):
    table = by_series(rows, CURVES).set_index(["detector", "family"])
    for row in degradation(rows, CURVES).to_dict("records"):
        jpeg, gray = (
            table.loc[(row["detector"], f), "auc_mean_drop"] for f in ("jpeg", "grayscale")
        )
        assert row["n_families"] == 2
        assert row["auc_mean"] == pytest.approx((jpeg + gray) / 2)
        assert row["auc_worst"] == ("jpeg" if jpeg > gray else "grayscale")
        assert row["auc_worst_drop"] == pytest.approx(max(jpeg, gray))


def test_curves_are_the_cells_with_their_intervals(rows):
    found = curve_rows(rows, CURVES)
    assert set(found["family"]) == {"jpeg"}  # one strength makes no curve
    assert len(found) == 2 * 4 * 3
    assert list(found["strength"][:12]) == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    for row in found.to_dict("records"):
        for metric in ("auc", "auc_lo", "auc_hi", "accuracy", "accuracy_lo", "accuracy_hi"):
            expected = cell(rows, row["detector"], row["condition"], row["generator"], metric)
            assert row[metric] == expected
        clean = cell(rows, row["detector"], "clean", row["generator"], "accuracy")
        assert row["accuracy_drop"] == pytest.approx(clean - row["accuracy"])
    assert (found.loc[found["strength"] == 0, "auc_drop"] == 0).all()


def test_an_unscored_cell_undoes_its_curve_and_no_other(pocket, pairing, columns):
    columns[2].logits[5] = np.nan  # of net under jpeg(quality=30); a real, so in every slice
    rows = cell_rows(pocket, slices(pocket, pairing), columns, {}, "pocket")
    found = by_series(rows, CURVES).set_index(["detector", "family"])
    broken = found.loc[("net", "jpeg")]
    assert np.isnan([broken["auc_area"], broken["auc_mean_drop"], broken["auc_worst_drop"]]).all()
    assert not np.isnan(found.loc[("cnn", "jpeg"), "auc_area"])
    worst = degradation(rows, CURVES).set_index("detector")
    assert worst.loc["net", "auc_worst"] == ""
    assert np.isnan(worst.loc["net", "auc_mean"])
    assert worst.loc["cnn", "auc_worst"] == "jpeg"
    text = Board(rows, BoardNotes(suite="s", dataset="pocket", curves=CURVES)).to_markdown()
    assert "nan" not in text.split("## Severity")[1].split("## Notes")[0]


def test_area_is_the_trapezoid_over_the_span():
    assert area([1.0, 0.5]) == 0.75
    assert area([1.0, 0.8, 0.2]) == pytest.approx(np.trapezoid([1.0, 0.8, 0.2]) / 2)
    assert area([0.6] * 5) == pytest.approx(0.6)
    assert np.isnan(area([1.0]))
    assert np.isnan(area([1.0, float("nan")]))


def test_the_csv_stands_beside_the_board_only_where_there_is_a_curve(rows, tmp_path):
    with_curves = Board(rows, BoardNotes(suite="s", dataset="pocket", curves=CURVES))
    with_curves.write(tmp_path / "a")
    records = list(csv.DictReader(io.StringIO((tmp_path / "a" / "severity.csv").read_text())))
    assert len(records) == 24
    assert {r["strength"] for r in records} == {"0", "1", "2", "3"}
    assert float(records[3]["accuracy_lo"]) < float(records[3]["accuracy"])
    single = {"grayscale": ("grayscale", 1)}
    Board(rows, BoardNotes(suite="s", dataset="pocket", curves=single)).write(tmp_path / "b")
    assert not (tmp_path / "b" / "severity.csv").exists()
    assert "## Severity" in with_curves.to_markdown()
    assert "## Severity" not in Board(rows, BoardNotes(suite="s", dataset="pocket")).to_markdown()


def test_hostile_families_break_no_table_and_run_in_no_spreadsheet(rows):
    hostile = {name: ("=a|b\n<i>", strength) for name, (_, strength) in CURVES.items()}
    hostile.pop("grayscale")
    board = Board(rows, BoardNotes(suite="s", dataset="pocket", curves=hostile))
    section = board.to_markdown().split("## Severity", 1)[1].split("## Notes")[0]
    assert "<i>" not in section
    assert "a|b" not in section
    assert curve_rows(rows, hostile)["family"].iloc[0] == "=a|b\n<i>"


def test_without_clean_there_is_nothing_to_fall_from(rows):
    dirty = rows[rows["condition"] != "clean"]
    assert by_series(dirty, CURVES).empty
    assert degradation(dirty, CURVES).empty
    assert isinstance(curve_rows(dirty, CURVES), pd.DataFrame)
