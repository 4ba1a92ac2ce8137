import numpy as np
import pytest

from leaderboards import COLUMNS, ScoreColumn, SeenBy, cell_rows, evaluate, slices

METRICS = COLUMNS[COLUMNS.index("accuracy") : COLUMNS.index("threshold_policy")]


def rows_of(samples, pairing, columns, seen=None, by=("generator",), threshold=0.0):
    cuts = slices(samples, pairing, by)
    return cell_rows(samples, cuts, columns, seen or {}, "data", threshold=threshold)


def test_one_row_a_cell_in_the_stated_columns(pocket_rows):
    assert tuple(pocket_rows.columns) == COLUMNS
    assert len(pocket_rows) == 2 * 3 * 4
    first = pocket_rows.iloc[0]
    assert (first["detector"], first["generator"], first["domain"]) == ("resnet50", "glide", "all")
    assert (first["n_real"], first["n_fake"], first["dataset"]) == (30, 20, "pocket")


def test_a_cell_is_its_slice_evaluated(pocket, pairing, scores):
    column = scores(pocket)
    rows = rows_of(pocket, pairing, [column], threshold=0.25).set_index("generator")
    kept = pocket["generator"].isin(["photo", "vae"]).to_numpy()
    expected = evaluate(pocket["label"].to_numpy()[kept], column.logits[kept], 0.25).as_dict()
    found = rows.loc["vae"]
    assert {name: found[name] for name in expected} == pytest.approx(expected, nan_ok=True)
    assert found["threshold"] == 0.25


@pytest.mark.parametrize("status", ["failed", "not attackable"])
def test_a_failed_column_has_no_number_even_where_scores_exist(pocket, pairing, scores, status):
    rows = rows_of(pocket, pairing, [scores(pocket, status=status, reason="out of memory")])
    assert set(rows["status"]) == {status}
    assert set(rows["reason"]) == {"out of memory"}
    assert rows[list(METRICS)].isna().all(axis=None)
    assert (rows["n_fake"] == 20).all()


def test_one_missing_score_leaves_its_cell_incomplete_and_others_alone(pocket, pairing, scores):
    column = scores(pocket, status="incomplete", reason="chunk 3 failed")
    column.logits[35] = np.nan
    rows = rows_of(pocket, pairing, [column]).set_index("generator")
    assert pocket["generator"][35] == "sd14"
    assert rows["status"].to_dict() == {"glide": "ok", "sd14": "incomplete", "vae": "ok"}
    assert rows.loc["sd14", "reason"] == "1 of 50 images are unscored: chunk 3 failed"
    assert rows.loc["sd14", list(METRICS)].isna().all()
    whole = rows_of(pocket, pairing, [scores(pocket)]).set_index("generator")
    assert rows.loc["vae", "auc"] == whole.loc["vae", "auc"]


def test_a_missing_real_leaves_every_cell_that_needs_it_incomplete(pocket, pairing, scores):
    column = scores(pocket)
    column.logits[0] = np.nan
    rows = rows_of(pocket, pairing, [column])
    assert set(rows["status"]) == {"incomplete"}


def test_an_infinite_logit_is_a_failure_not_a_score(pocket, pairing, scores):
    column = scores(pocket)
    column.logits[35] = np.inf
    rows = rows_of(pocket, pairing, [column]).set_index("generator")
    assert rows.loc["sd14", "status"] == "failed"
    assert rows.loc["sd14", "reason"] == "1 of 50 logits are infinite"
    assert rows.loc["vae", "status"] == "ok"


def test_single_class_slice_is_ok_and_undefined(frame, scores):
    samples = frame(("photo", "sky", 0, 3), ("g", "town", 1, 4))
    rows = rows_of(samples, {"g": ["photo"]}, [scores(samples)], by=("generator", "domain"))
    assert (rows["status"][0], rows["n_real"][0], rows["n_fake"][0]) == ("ok", 0, 4)
    assert rows.loc[0, ["auc", "ap", "precision", "f1", "real_recall"]].isna().all()
    assert rows["fake_recall"].notna().all()


@pytest.mark.parametrize(
    ("seen", "by", "expected"),
    [
        (SeenBy(frozenset({"a"})), ("generator",), ["seen", "unseen"]),
        (SeenBy(frozenset()), ("generator",), ["unseen", "unseen"]),
        (SeenBy(frozenset({"a"}), known=False), ("generator",), ["unknown", "unknown"]),
        (SeenBy(frozenset({"a"}), frozenset({"sky"})), ("domain",), ["seen", "unseen"]),
        (
            SeenBy(frozenset({"a"}), frozenset({"sky"})),
            ("generator", "domain"),
            ["seen", "seen", "seen", "unseen"],
        ),
        (SeenBy(frozenset({"a"})), (), ["mixed"]),
        (SeenBy(frozenset({"a", "b"})), (), ["seen"]),
        (SeenBy(frozenset({"x"})), (), ["unseen"]),
        (SeenBy(frozenset(), frozenset({"town"})), (), ["mixed"]),
    ],
)
def test_seen_marks(frame, scores, seen, by, expected):
    samples = frame(
        *((source, domain, 0, 2) for source in ("real",) for domain in ("sky", "town")),
        *((source, domain, 1, 2) for source in "ab" for domain in ("sky", "town")),
    )
    rows = rows_of(samples, {"a": ["real"], "b": ["real"]}, [scores(samples)], {"net": seen}, by)
    assert list(rows["seen"]) == expected


def test_a_detector_without_a_card_is_unknown(pocket, pairing, scores):
    assert set(rows_of(pocket, pairing, [scores(pocket)])["seen"]) == {"unknown"}


@pytest.fixture
def tiny(frame):
    """Two reals, four fakes."""
    return frame(("real", "", 0, 2), ("g", "", 1, 4))


def attack(logits, attacked, clean=(-1, -1, 1, 1, 1, -1), **more):
    f32 = np.float32
    hit = np.array(attacked, dtype=float)
    return [
        ScoreColumn(detector="d", condition="clean", logits=np.array(clean, f32), **more),
        ScoreColumn(
            detector="d",
            condition="pgd()",
            logits=np.array(logits, f32),
            linf=np.where(hit, [0.01, 0.02, 0.03, 0.01, 0.02, 0.09], np.nan).astype(f32),
            l2=np.where(hit, 2.0, np.nan),
        ),
    ]


def test_attack_success_counts_what_was_right_and_is_wrong_now(tiny):
    # Right when clean: both reals and the first three fakes. Flipped: one real, two fakes.
    columns = attack([1, -1, -1, -1, 1, -1], attacked=[1] * 6)
    row = rows_of(tiny, {"g": ["real"]}, columns).iloc[1]
    assert row["attack_success"] == pytest.approx(3 / 5)
    assert row["median_linf"] == pytest.approx(0.02)
    assert row["median_l2"] == 2.0


def test_attack_success_leaves_out_what_the_goal_leaves_alone(tiny):
    # goal=evade: reals are not attacked; of three right fakes, two flip.
    columns = attack([-1, -1, -1, -1, 1, -1], attacked=[0, 0, 1, 1, 1, 1])
    row = rows_of(tiny, {"g": ["real"]}, columns).iloc[1]
    assert row["attack_success"] == pytest.approx(2 / 3)
    assert row["median_linf"] == pytest.approx(0.025)


def test_attack_success_follows_the_threshold(tiny):
    # At threshold -2 every fake was right and every real wrong; none of the fakes falls below it.
    columns = attack([1, -1, -1, -1, 1, -1], attacked=[1] * 6)
    row = rows_of(tiny, {"g": ["real"]}, columns, threshold={"d": -2.0}).iloc[1]
    assert row["attack_success"] == 0.0


def test_attack_success_needs_the_clean_scores(tiny):
    columns = attack([1, -1, -1, -1, 1, -1], attacked=[1] * 6)
    assert rows_of(tiny, {"g": ["real"]}, columns[1:])["attack_success"].isna().all()
    holed = attack([1, -1, -1, -1, 1, -1], [1] * 6, clean=(np.nan, -1, 1, 1, 1, -1))
    row = rows_of(tiny, {"g": ["real"]}, holed).iloc[1]
    assert row["status"] == "ok"
    assert np.isnan(row["attack_success"])
    failed = attack([1, -1, -1, -1, 1, -1], [1] * 6, status="failed")
    assert rows_of(tiny, {"g": ["real"]}, failed)["attack_success"].isna().all()


def test_a_corruption_has_no_attack_success(pocket_rows):
    jpeg = pocket_rows[pocket_rows["condition"] == "jpeg(quality=75)"]
    assert jpeg[["attack_success", "median_linf", "median_l2"]].isna().all(axis=None)


def test_bad_columns_are_refused(pocket, pairing, scores):
    with pytest.raises(ValueError, match="two score columns"):
        rows_of(pocket, pairing, [scores(pocket), scores(pocket)])
    short = ScoreColumn(detector="d", condition="clean", logits=np.zeros(3, np.float32))
    with pytest.raises(ValueError, match=r"shape \(3,\); the samples need \(90,\)"):
        rows_of(pocket, pairing, [short])
    with pytest.raises(ValueError, match="linf"):
        rows_of(pocket, pairing, [scores(pocket, linf=np.zeros(3))])
    with pytest.raises(ValueError, match="status 'done' is unknown"):
        rows_of(pocket, pairing, [scores(pocket, status="done")])
    with pytest.raises(ValueError, match="no threshold for detector 'net'"):
        rows_of(pocket, pairing, [scores(pocket)], threshold={"other": 0.0})
