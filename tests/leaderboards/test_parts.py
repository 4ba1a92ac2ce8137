"""A protocol in parts: the worst of each list, image by image, and never above the weakest member."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from leaderboards import Board, BoardNotes, cell_rows, extras, slices
from leaderboards.tables.attacks import AttackFacts
from leaderboards.tables.further.certified import CertificateFacts
from leaderboards.tables.further.parts import PART_COLUMNS, PartFacts, parts
from leaderboards.tables.slicing import pool

PROOF = CertificateFacts(sigma=0.25, n=1000, n0=100, alpha=0.001)
SMOOTH = "smoothing(sigma=0.25)"
MINIMAL = "minimal(eps=8/255)"
FACTS = AttackFacts(
    name="minimal", family="minimal(eps=*)", ladder="", chain="*", norm="linf", eps=8 / 255,
    goal="both", quantize=True, knowledge="white-box", finds_distance=True,
)  # fmt: skip


@pytest.fixture
def measured(pocket, pairing, scores):
    """Tables of parts made of columns, beside the slices and the verdicts by condition."""
    cuts = slices(pocket, pairing)

    def measure(asked, columns, **more):
        options = {"attacks": {MINIMAL: FACTS}, "proofs": {SMOOTH: PROOF}} | more
        table = parts(pocket, cuts, columns, {"net": 0.0}, asked, **options)
        return table.set_index("part")

    return measure


@pytest.fixture
def columns(pocket, scores):
    shifts = {"clean": 3.0, "jpeg(quality=75)": 2.0, "blur(sigma=1)": 1.5, "pgd(eps=2/255)": 0.2}
    return [scores(pocket, "net", name, shift, n) for n, (name, shift) in enumerate(shifts.items())]


def test_the_worst_is_never_above_the_weakest_of_its_parts_and_equals_brute_force(
    measured, columns, pocket
):
    members = ("jpeg(quality=75)", "blur(sigma=1)", "pgd(eps=2/255)")
    table = measured([PartFacts(name="worst", conditions=members)], columns)
    labels = pocket["label"].to_numpy()
    verdicts = np.stack([(column.logits > 0).astype(int) for column in columns])
    each = [balanced_accuracy_score(labels, verdict) for verdict in verdicts]
    worst = np.where((verdicts == labels).all(axis=0), labels, 1 - labels)
    row = table.loc["worst"]
    assert row["value"] == pytest.approx(balanced_accuracy_score(labels, worst))
    assert row["value"] <= min(each)
    assert row["value"] < min(each[:3])
    assert row["value_lo"] < row["value"] < row["value_hi"]
    assert row["fakes"] == pytest.approx((worst == 1)[labels == 1].mean())
    assert table.loc["clean", "value"] == pytest.approx(roc_auc_score(labels, columns[0].logits))


def test_a_longer_list_is_never_above_a_shorter_one(measured, columns):
    names = [column.condition for column in columns[1:]]
    asked = [PartFacts(name=str(k), conditions=tuple(names[:k])) for k in (1, 2, 3)]
    values = measured(asked, columns).loc[["1", "2", "3"], "value"].tolist()
    assert values == sorted(values, reverse=True)


def test_of_a_smallest_change_only_what_the_budget_allows_counts(measured, columns, pocket, scores):
    labels = pocket["label"].to_numpy()
    wrong = np.where(labels == 1, -1.0, 1.0).astype(np.float32)
    sizes = np.where(np.arange(len(pocket)) % 2, 1, 5) / 255
    minimal = dataclasses.replace(
        scores(pocket, "net", MINIMAL), logits=wrong, linf=sizes.astype(np.float32)
    )
    sure = dataclasses.replace(columns[0], logits=-wrong)
    asked = [PartFacts(name=f"{k}/255", conditions=(MINIMAL,), eps=k / 255) for k in (0.5, 1, 2, 8)]
    table = measured(asked, [sure, minimal])
    near = np.arange(len(pocket)) % 2 == 1
    half = (np.mean(~near[labels == 1]) + np.mean(~near[labels == 0])) / 2
    assert table.loc[["0.5/255", "1/255", "2/255", "8/255"], "value"].tolist() == pytest.approx(
        [1.0, half, half, 0.0]
    )


def test_an_attack_of_a_fixed_budget_counts_wherever_it_ended(measured, columns, pocket, scores):
    labels = pocket["label"].to_numpy()
    wrong = np.where(labels == 1, -1.0, 1.0).astype(np.float32)
    far = np.full(len(pocket), 2 / 255 + 2e-6, dtype=np.float32)
    attacked = dataclasses.replace(scores(pocket, "net", MINIMAL), logits=wrong, linf=far)
    sure = dataclasses.replace(columns[0], logits=-wrong)
    asked = [PartFacts(name="p", conditions=(MINIMAL,), eps=2 / 255)]
    for finds, value in ((False, 0.0), (True, 1.0)):
        facts = {MINIMAL: dataclasses.replace(FACTS, finds_distance=finds)}
        assert measured(asked, [sure, attacked], attacks=facts).loc["p", "value"] == value


def test_nothing_is_certified_by_what_is_no_certificate(measured, columns):
    part = PartFacts(name="p", conditions=("jpeg(quality=75)",), radius=0.25)
    row = measured([part], columns).loc["p"]
    assert np.isnan(row["value"])
    assert row["reason"] == "jpeg(quality=75) certifies nothing"


def test_a_certificate_counts_where_it_is_right_and_reaches_the_radius(
    measured, columns, pocket, scores
):
    labels = pocket["label"].to_numpy()
    sure = dataclasses.replace(columns[0], logits=np.where(labels == 1, 1, -1).astype(np.float32))
    votes = np.where(labels == 1, 980.0, 0.0)  # radii .49 and .62
    smoothed = dataclasses.replace(
        scores(pocket, "net", SMOOTH), votes=votes, pilot_votes=np.where(labels == 1, 100.0, 0.0)
    )
    asked = [
        PartFacts(name=str(radius), conditions=(SMOOTH,), radius=radius)
        for radius in (0.25, 0.55, 0.7)
    ]
    table = measured(asked, [sure, smoothed])
    assert table.loc[["0.25", "0.55", "0.7"], "value"].tolist() == [1.0, 0.5, 0.0]


def test_without_a_result_there_is_no_number_and_the_reason_says_why(measured, columns):
    part = PartFacts(name="p", conditions=("jpeg(quality=75)", "pgd(eps=2/255)"))
    failed = [
        *columns[:3],
        dataclasses.replace(columns[3], status="not attackable", reason="no slope"),
    ]
    row = measured([part], failed).loc["p"]
    assert np.isnan(row["value"])
    assert row["reason"] == "pgd(eps=2/255) is not attackable: no slope"
    assert "was not run" in measured([part], columns[:3]).loc["p", "reason"]
    doubtful = dataclasses.replace(columns[3], status="attack unreliable", reason="it falls")
    # It can only lower the number, beside one that is reliable; alone it is believed nothing.
    row = measured([part], [*columns[:3], doubtful]).loc["p"]
    assert row["value"] == measured([part], columns).loc["p", "value"]
    alone = PartFacts(name="a", conditions=("pgd(eps=2/255)",))
    assert "believe none" in measured([alone], [*columns[:3], doubtful]).loc["a", "reason"]


def test_the_board_quotes_its_headlines_first(pocket, pairing, columns, measured, tmp_path):
    asked = (
        PartFacts(name="deliveries", conditions=("jpeg(quality=75)",), headline="Worst delivery"),
        PartFacts(name="attacks", conditions=("pgd(eps=2/255)",), eps=2 / 255),
    )
    cuts = slices(pocket, pairing)
    rows = cell_rows(pocket, cuts, columns, {}, "pocket")
    table = measured(asked, columns).reset_index()[list(PART_COLUMNS)]
    made = dataclasses.replace(extras(pocket, cuts, columns, rows, {}), parts=table)
    board = Board(rows, BoardNotes(suite="standard-v1", dataset="pocket", parts=asked), made)
    text = board.to_markdown()
    assert "## standard-v1: the numbers to quote" in text
    header = text.split("the numbers to quote\n\n")[1].splitlines()[0]
    assert [cell.strip() for cell in header.strip("| ").split("|")] == [
        "Detector", "AUC, clean", "Worst delivery",
    ]  # fmt: skip
    assert "(changes up to 2/255)" in text
    board.write(tmp_path)
    assert (tmp_path / "parts.csv").read_text().startswith("detector,part,headline")
    assert len(pool(pocket, cuts).rows) == table["n_real"].iloc[0] + table["n_fake"].iloc[0]
