"""What a board withholds is in no other output either: one status, one reading."""

from __future__ import annotations

import csv
import io
import json
import re

import numpy as np
import pytest

from leaderboards import Board, BoardNotes, ScoreColumn, SeenBy, cell_rows, extras, slices
from leaderboards.render.huggingface import model_card_files
from leaderboards.render.latex import render_latex
from leaderboards.tables.attacks import AttackFacts
from leaderboards.tables.means import board_mean, by_condition

EPS = {"pgd(eps=2/255)": 2 / 255, "pgd(eps=8/255)": 8 / 255}
SECRET = 0.8765


def facts(name, eps, knowledge="white-box"):
    return AttackFacts(
        name=name, family=f"{name}(eps=*)", ladder=f"{name}(eps=*)", chain="*", norm="linf", eps=eps,
        goal="both", quantize=True, knowledge=knowledge, steps=10,
    )  # fmt: skip


@pytest.fixture
def board(frame, scores):
    """Clean, two budgets of an attack and a transfer; the status of all but clean can be chosen."""
    samples = frame(("photo", "", 0, 20), ("sd14", "", 1, 20), ("glide", "", 1, 20))
    n = len(samples)

    def build(status):
        reason = "" if status == "ok" else "weaker than FGSM"
        attacked = [
            ScoreColumn(
                detector="net", condition=condition, logits=np.linspace(-1, 1, n).astype("f4"),
                status=status, reason=reason, linf=np.full(n, SECRET), l2=np.full(n, SECRET),
                steps=np.full(n, SECRET),
            )
            for condition in (*EPS, "transfer(surrogate=net)")
        ]  # fmt: skip
        columns = [scores(samples, "net", "clean", 3.0), *attacked]
        cuts = slices(samples, dict.fromkeys(("sd14", "glide"), ("photo",)))
        seen = {"net": SeenBy(frozenset({"sd14"}))}
        rows = cell_rows(samples, cuts, columns, seen, "set")
        notes = BoardNotes(
            suite="s", dataset="set",
            attacks={
                **{condition: facts("pgd", eps) for condition, eps in EPS.items()},
                "transfer(surrogate=net)": facts("transfer", 8 / 255, "transfer"),
            },
            curves={condition: ("pgd(eps=*)", i + 1) for i, condition in enumerate(EPS)},
        )  # fmt: skip
        return Board(rows, notes, extras(samples, cuts, columns, rows, seen))

    return build


BAD = ("attack unreliable", "failed", "not attackable")


@pytest.mark.parametrize("status", BAD)
def test_tables_and_files_hold_no_number_of_a_withheld_cell(board, status):
    made, sound = board(status), board("ok")
    assert f"{SECRET:.4g}" in sound.to_csv()
    for name, text in made.files().items():
        assert f"{SECRET:.4g}" not in text, name
    for row in csv.DictReader(io.StringIO(made.to_csv())):
        if row["condition"] != "clean":
            numbers = [row[k] for k in ("auc", "accuracy", "tp", "attack_success", "median_linf")]
            assert numbers == ["n/a"] * 5
    document = json.loads(made.to_json())
    for row in (*document["cells"], *document["by_condition"]):
        if row["condition"] != "clean":
            assert row["auc"] is row["accuracy"] is row["attack_success"] is None
    for row in document["severity"]:
        assert (row["auc"] is None) == (row["strength"] != 0)


@pytest.mark.parametrize("status", BAD)
def test_means_areas_and_matrices_hold_none_either(board, status):
    made = board(status)
    conditions = by_condition(made.rows).set_index("condition")
    for condition in EPS:
        assert np.isnan(conditions.loc[condition, "auc"])
        assert np.isnan(board_mean(made.rows, "net", "auc", condition))
    (line,) = made.headline().to_dict("records")
    assert np.isnan(line["mean_auc_drop"])
    areas = made.robustness()
    if len(areas):
        numbers = areas.select_dtypes("number").drop(columns="eps", errors="ignore")
        assert not np.isfinite(numbers.filter(regex="area|auc|accuracy").to_numpy()).any()
    transfers = made.transfer_matrix()
    if len(transfers):
        assert not np.isfinite(transfers.select_dtypes("number").to_numpy(dtype=float)).any()


def test_latex_and_model_cards_show_clean_numbers_only(board):
    made, sound = board("attack unreliable"), board("ok")
    for metric in ("auc", "accuracy"):
        assert render_latex(made.rows, made.notes, made.extras, metric) == render_latex(
            sound.rows, sound.notes, sound.extras, metric
        )
    card = model_card_files(made.rows, made.notes, "net", "o/set")
    assert card == model_card_files(sound.rows, sound.notes, "net", "o/set")
    assert not re.search(r"pgd|transfer", "".join(card.values()))
