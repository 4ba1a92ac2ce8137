"""Honesty checks, curves and the transfer matrix, against cases worked out by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import auc as trapezoid

from leaderboards import Board, BoardNotes, ScoreColumn, SeenBy, cell_rows, slices
from leaderboards.tables.attack_checks import AttackScores, check_attacks
from leaderboards.tables.attacks import AttackFacts

N = 40
LABELS = np.arange(N) % 2
CLEAN = np.where(LABELS == 1, 2.0, -2.0).astype(np.float32)


def facts(name, eps, knowledge="white-box", steps=0, goal="both", **more):
    return AttackFacts(
        name=name, family=f"{name}(eps=*,steps={steps},{goal})", ladder=f"{name}(eps=*,{goal})",
        chain="*", norm="linf", eps=eps, goal=goal, quantize=True, knowledge=knowledge, steps=steps,
        **more,
    )  # fmt: skip


def column(name, eps, flipped, knowledge="white-box", steps=0, **more):
    """An attack that turns the first ``flipped`` images."""
    logits = CLEAN.copy()
    logits[:flipped] *= -1
    blank = np.full(N, np.nan, dtype=np.float32)
    arrays = {"grad_zero": blank, "unbounded": blank, "unrounded": blank, **more}
    return AttackScores(
        detector="net", condition=f"{name}(eps={eps},steps={steps})",
        facts=facts(name, eps, knowledge, steps), clean=CLEAN, logits=logits,
        attacked=np.ones(N, dtype=bool), **arrays,
    )  # fmt: skip


def failed(*columns):
    checks = check_attacks(LABELS, columns, {"net": 0.0})
    return {(check.condition, check.name) for check in checks if check.passed is False}


def test_an_honest_set_of_attacks_passes_everything():
    probes = np.full(N, np.nan, dtype=np.float32)
    probes[:4] = 1
    zeros = np.full(N, 0.01, dtype=np.float32)
    columns = [
        column("fgsm", 0.01, 5, grad_zero=zeros),
        column("fgsm", 0.02, 9),
        column("pgd", 0.01, 8, steps=10, unbounded=probes),
        column("pgd", 0.01, 9, steps=40),
        column("pgd", 0.02, 30, steps=10),
        column("square", 0.02, 20, "black-box"),
    ]
    checks = check_attacks(LABELS, columns, {"net": 0.0})
    assert all(check.passed for check in checks)
    names = {check.name for check in checks}
    assert names == {
        "gradient", "unbounded eps fools", "success grows with eps", "success grows with steps",
        "at least as strong as FGSM", "at least as strong as without the gradient",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            [column("pgd", 0.01, 20), column("pgd", 0.02, 10)],
            {("pgd(eps=0.02,steps=0)", "success grows with eps")},
        ),
        (
            [column("pgd", 0.01, 20, steps=5), column("pgd", 0.01, 10, steps=50)],
            {("pgd(eps=0.01,steps=50)", "success grows with steps")},
        ),
        (
            [column("pgd", 0.01, 5), column("fgsm", 0.01, 15)],
            {("pgd(eps=0.01,steps=0)", "at least as strong as FGSM")},
        ),
        (
            [column("pgd", 0.01, 5), column("square", 0.01, 15, "black-box")],
            {("pgd(eps=0.01,steps=0)", "at least as strong as without the gradient")},
        ),
        (
            [column("pgd", 0.01, 5, grad_zero=np.full(N, 0.99, dtype=np.float32))],
            {("pgd(eps=0.01,steps=0)", "gradient")},
        ),
        (
            [column("pgd", 0.01, 5, unbounded=np.tile([1.0, 0.0], N // 2).astype(np.float32))],
            {("pgd(eps=0.01,steps=0)", "unbounded eps fools")},
        ),
    ],
)
def test_each_dishonest_one_fails_its_own_check_only(columns, expected):
    assert failed(*columns) == expected


def test_one_image_of_chance_is_no_failure():
    assert not failed(column("pgd", 0.01, 11), column("pgd", 0.02, 10))


def test_a_loss_within_chance_is_no_failure():
    """Eight gained, eleven lost of 40: McNemar's one-sided p is .25."""
    weak, strong = column("pgd", 0.02, 8), column("pgd", 0.01, 0)
    strong.logits[20:31] *= -1
    assert not failed(strong, weak)
    strong.logits[31:40] *= -1
    assert failed(strong, weak) == {("pgd(eps=0.02,steps=0)", "success grows with eps")}


def test_an_image_the_goal_leaves_alone_may_not_turn():
    logits = CLEAN.copy()
    logits[0] = 3  # a real image, under an attack on fakes only
    blank = np.full(N, np.nan, dtype=np.float32)
    moved = AttackScores(
        detector="net", condition="pgd", facts=facts("pgd", 0.01, goal="evade"), clean=CLEAN,
        logits=logits, attacked=LABELS == 1, grad_zero=blank, unbounded=blank, unrounded=blank,
    )  # fmt: skip
    assert failed(moved) == {("pgd", "eps 0 equals clean")}


def test_rounding_is_told_and_judges_nothing():
    unrounded = np.full(N, np.nan, dtype=np.float32)
    unrounded[:4] = -CLEAN[:4]
    (check,) = [
        c
        for c in check_attacks(LABELS, [column("pgd", 0.01, 2, unrounded=unrounded)], {"net": 0.0})
        if c.name == "8-bit rounding"
    ]
    assert check.passed is None
    assert check.detail == "wrong on 100% before, 50% after (4 images)"


@pytest.fixture
def board(frame, scores):
    samples = frame(("photo", "", 0, 30), ("sd", "", 1, 30))
    n = len(samples)
    size = np.full(n, 0.01, dtype=np.float32)
    columns, attacks = [], {}
    for detector, shift in (("a", 3.0), ("b", 2.0)):
        columns.append(scores(samples, detector, "clean", shift))
        for k, eps in enumerate((1 / 255, 2 / 255, 8 / 255)):
            name = f"pgd(eps={round(eps * 255)}/255)"
            columns.append(scores(samples, detector, name, shift - k, linf=size, steps=size * 1000))
            attacks[name] = facts("pgd", eps)
        for surrogate, by in (("a", 2.0), ("b", 1.0)):
            name = f"transfer(surrogate={surrogate})"
            columns.append(scores(samples, detector, name, shift - by, linf=size, ranked=False))
            told = facts("transfer", 8 / 255, f"transfer from {surrogate}")
            attacks[name] = dataclasses.replace(told, family=name)
    rows = cell_rows(samples, slices(samples, {"sd": ("photo",)}), columns, {}, "set")
    return Board(rows, BoardNotes(suite="s", dataset="set", attacks=attacks))


def test_the_area_is_the_trapezoid_over_eps(board):
    found = board.robustness()
    assert list(found["detector"]) == ["a", "b"]  # one family each: transfers have one eps
    own = board.rows[board.rows["detector"] == "a"].set_index("condition")["accuracy"]
    eps = [0, 1 / 255, 2 / 255, 8 / 255]
    values = [own[c] for c in ("clean", "pgd(eps=1/255)", "pgd(eps=2/255)", "pgd(eps=8/255)")]
    expected = trapezoid(eps, values) / (8 / 255)
    assert found["accuracy_area"].iloc[0] == pytest.approx(expected)
    assert "area under the curve" in board.to_markdown()


def test_the_transfer_matrix_is_surrogate_by_target(board, tmp_path):
    found = board.transfer_matrix()
    assert list(found.columns) == ["attack", "surrogate", "a", "b"]
    assert list(found["surrogate"]) == ["a", "b"]
    rows = board.rows.set_index(["detector", "condition"])["attack_success"]
    assert found["b"].iloc[0] == rows["b", "transfer(surrogate=a)"]
    assert "Transfer: attack success" in board.to_markdown()
    board.write(tmp_path)
    lines = (tmp_path / "transfer.csv").read_text().splitlines()
    assert lines[0] == "attack,surrogate,a,b"
    assert len(lines) == 3
    assert lines[1].startswith("transfer(surrogate=*),a,")


def test_success_by_goal_steps_and_undefined_ranks(board):
    row = board.rows[board.rows["condition"] == "pgd(eps=8/255)"].iloc[0]
    halves = (row["evade_success"] + row["frame_success"]) / 2
    assert row["attack_success"] == pytest.approx(halves, abs=0.06)
    assert row["median_steps"] == pytest.approx(10)
    early = board.rows[board.rows["condition"] == "transfer(surrogate=a)"].iloc[0]
    assert np.isnan(early["auc"])
    assert np.isnan(early["ap"])
    assert early["accuracy"] == early["accuracy"]


def test_an_unreliable_attack_shows_no_number(frame, scores):
    samples = frame(("photo", "", 0, 5), ("sd", "", 1, 5))
    columns = [
        scores(samples, "net", "clean", 3.0),
        ScoreColumn(
            detector="net", condition="pgd", logits=np.zeros(10, dtype=np.float32),
            status="attack unreliable", reason="weaker than FGSM", linf=np.ones(10),
        ),
    ]  # fmt: skip
    rows = cell_rows(
        samples, slices(samples, {"sd": ("photo",)}), columns, {"net": SeenBy()}, "set"
    )
    row = rows[rows["condition"] == "pgd"].iloc[0]
    assert (row["status"], row["reason"]) == ("attack unreliable", "weaker than FGSM")
    assert np.isnan(row["auc"])


def test_one_search_is_not_held_against_the_worst_of_several_budgets():
    pgd, fgsm = column("pgd", 0.02, 10, steps=10), column("fgsm", 0.02, 30)
    weaker = ("pgd(eps=0.02,steps=10)", "at least as strong as FGSM")
    assert weaker in failed(pgd, fgsm)

    def nested(of):
        return dataclasses.replace(of, facts=dataclasses.replace(of.facts, smaller=(0.01,)))

    assert failed(pgd, nested(fgsm)) == set()
    assert weaker in failed(nested(pgd), nested(fgsm))
