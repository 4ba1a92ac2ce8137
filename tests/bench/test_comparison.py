"""Comparisons, LaTeX and gates take the numbers of the board, and none that the board withholds."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bench.results import comparison
from bench.results import gate as gating
from bench.results.gate import GateRules
from bench.results.scores import ScoreTable
from leaderboards import Board, BoardNotes, ScoreColumn, SeenBy, cell_rows
from leaderboards.render.latex import render_latex
from leaderboards.tables.means import board_mean

GENERATORS = ("alpha", "beta", "gamma")
ATTACK = "pgd(eps=8/255)"


@pytest.fixture
def tables():
    """Score tables of two detectors over three generators, each with its training data."""
    samples = pd.DataFrame(
        [
            {"sample_id": f"{name}/{i}", "label": int(name != "photo"), "generator": name,
             "domain": "", "group": "", "sha256": ""}
            for name in ("photo", *GENERATORS)
            for i in range(40)
        ]
    )  # fmt: skip
    rng = np.random.default_rng(0)
    strength = samples["generator"].map({"photo": 0, "alpha": 3, "beta": 1, "gamma": 2}).to_numpy()

    def table(name, training, **attack):
        columns = [
            ScoreColumn(
                detector=name,
                condition=condition,
                logits=(rng.normal(size=len(samples)) + strength * share).astype("f4"),
                **(attack if condition == ATTACK else {}),
            )
            for condition, share in (("clean", 1.0), ("jpeg(quality=50)", 0.7), (ATTACK, 0.2))
        ]
        return ScoreTable(
            name=name, protocol={"threshold": "0", "split": "test"}, context={}, dataset="set", limit=None,
            cuts=("generator", "pooled"), pairing=dict.fromkeys(GENERATORS, ("photo",)),
            samples=samples, columns=tuple(columns), thresholds={name: 0.0}, bad={},
            training={name: training},
        )  # fmt: skip

    return table


def rows_of(table):
    return cell_rows(
        table.samples, table.slices(), table.columns, table.training, "set",
        threshold=table.thresholds,
    )  # fmt: skip


def compare(monkeypatch, *tables, metric="auc"):
    by_name = {table.name: table for table in tables}
    monkeypatch.setattr(comparison, "load_scores", by_name.get)
    return comparison.compare(list(by_name), metric)


def means_of(found):
    tests = [contrast.test for contrast in found.contrasts]
    return {test.name[3]: test for test in tests if test.name[1] == "(macro mean)"}


@pytest.mark.parametrize("metric", ["auc", "accuracy", "f1"])
def test_compare_and_latex_give_the_boards_mean(tables, monkeypatch, metric):
    training = SeenBy(frozenset({"alpha"}))
    a, b = tables("a", training), tables("b", training)
    means = means_of(compare(monkeypatch, a, b, metric=metric))
    assert set(means) == {"clean", "jpeg(quality=50)", ATTACK}
    for condition, test in means.items():
        for value, table in zip(test.values, (a, b), strict=True):
            expected = board_mean(rows_of(table), table.name, metric, condition)
            assert value == pytest.approx(expected, abs=1e-12)
    board = Board(pd.concat([rows_of(a), rows_of(b)]), BoardNotes(suite="s", dataset="set"))
    unseen = board.headline().set_index("detector")
    latex = render_latex(board.rows, board.notes, None, metric)
    for name in ("a", "b"):
        mean = board_mean(board.rows, name, metric)
        if f"{metric}_unseen" in unseen:
            assert mean == unseen.loc[name, f"{metric}_unseen"] != unseen.loc[name, f"{metric}_all"]
        line = next(line for line in latex.splitlines() if line.startswith(f"    {name} &"))
        assert f"{mean:.3f}" in line.rsplit("&", 1)[1]


def test_means_of_detectors_trained_on_different_data_are_over_what_neither_has_seen(
    tables, monkeypatch
):
    a = tables("a", SeenBy(frozenset({"alpha"})))
    b = tables("b", SeenBy(frozenset({"beta"})))
    found = compare(monkeypatch, a, b)
    rows = rows_of(b)
    gamma = rows[(rows["generator"] == "gamma") & (rows["condition"] == "clean")]
    assert means_of(found)["clean"].values[1] == pytest.approx(float(gamma["auc"].iloc[0]))
    assert any("means are over 1 slices" in note for note in found.notes)


def test_what_the_board_withholds_is_compared_nowhere(tables, monkeypatch):
    a = tables("a", SeenBy())
    b = tables("b", SeenBy(), status="attack unreliable", reason="the gradient is zero")
    found = compare(monkeypatch, a, b)
    assert ATTACK not in {contrast.test.name[3] for contrast in found.contrasts}
    assert {name.condition for name, _ in found.lacking} == {ATTACK}
    assert all("attack unreliable: the gradient" in reason for _, reason in found.lacking)
    tables_by_role = {"baseline": a, "run": b}
    monkeypatch.setattr(gating, "load_scores", lambda path, role="run": tables_by_role[role])
    result = gating.gate(SimpleNamespace(), SimpleNamespace(), GateRules(margin=0.5))
    under_attack = [v for v in result.verdicts if v.name[3] == ATTACK]
    assert {v.decision for v in under_attack} == {"INCOMPLETE"}


def test_ranks_of_an_attack_that_stops_at_success_are_not_compared(tables, monkeypatch):
    a, b = tables("a", SeenBy()), tables("b", SeenBy(), ranked=False)
    found = compare(monkeypatch, a, b)
    assert ATTACK not in {contrast.test.name[3] for contrast in found.contrasts}
    assert any(ATTACK in note and "undefined" in note for note in found.notes)
    accuracy = compare(monkeypatch, a, b, metric="accuracy")
    assert ATTACK in {contrast.test.name[3] for contrast in accuracy.contrasts}
