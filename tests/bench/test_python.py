"""The Python interface: what the command line does, with objects and typed options."""

from __future__ import annotations

import dataclasses
import typing

import numpy as np
import pytest
import torch

import bench
from bench.api import RunOptions
from bench.errors import BenchError
from bench.inference.numerics import Numerics
from bench.protocol.suite import Suite
from bench.runs.request import RunRequest
from bench.support.progress import Silent
from detectors import Detector, DetectorCard, InputSpec

ONE = Suite(name="one", slices=["generator"], conditions=["clean"])


class Redness(Detector):
    """Logit = 40 * (mean red - mean blue)."""

    card = DetectorCard(name="redness", arch="redness", input=InputSpec(size=32, fit="crop"))

    def __init__(self, sign: float = 1.0) -> None:
        self.sign = sign

    def logits(self, batch):
        means = batch.mean(dim=(2, 3))
        return self.sign * 40 * (means[:, 0] - means[:, 2])


def redness(batch):
    means = batch.mean(dim=(2, 3))
    return 40 * (means[:, 0] - means[:, 2])


def test_every_option_of_a_run_is_typed():
    fields = {field.name for cls in (RunRequest, Numerics) for field in dataclasses.fields(cls)}
    # ``parents`` come with the store: ``store="mine:/team/scores"``.
    apart = {"detectors", "suite", "numerics", "parents"}
    assert set(typing.get_type_hints(RunOptions)) == fields - apart


def test_a_session(tree, tmp_path):
    data = bench.index(tree)
    assert len(data.table) == 48
    audit = bench.audit(data, limit=40)
    assert audit.images == 48
    first = bench.run(Redness(), suite=ONE, data=tree, out=tmp_path / "a")
    second = bench.run(Redness(-1.0), suite=ONE, data=tree, out=tmp_path / "b")
    assert first.board.rows["auc"].tolist() == pytest.approx(1 - second.board.rows["auc"])
    comparison = bench.compare(first, second)
    assert len(comparison.contrasts) > 0
    assert bench.gate(first, tmp_path / "a").exit_code == 0
    assert bench.gate(second, first).decision == "FAIL"
    assert bench.gate(first, first, floors={"auc": 0.999}).exit_code == 10
    text = bench.export(first, "csv")
    assert text == (tmp_path / "a/leaderboard.csv").read_text()
    page = bench.leaderboard(first)._repr_html_()
    assert "redness" in page
    assert page.count("<table") == 1


def test_a_function_is_a_detector_once_its_input_is_said(tree, tmp_path):
    with pytest.raises(BenchError, match=r"bench\.detector\(function, input="):
        bench.run(redness, suite=ONE, data=tree, out=tmp_path / "a")
    function = bench.detector(redness, input="crop(32)")
    with pytest.raises(BenchError, match="both stand on the board"):
        bench.run([function, Redness()], suite=ONE, data=tree, out=tmp_path / "a")
    function = bench.detector(redness, input="crop(32)", name="function")
    run = bench.run([function, Redness()], suite=ONE, data=tree, out=tmp_path / "a")
    rows = run.board.rows
    one, other = (rows[rows.detector == name]["auc"].to_numpy() for name in ("function", "redness"))
    np.testing.assert_array_equal(one, other)


def test_a_function_is_scored_anew_since_nobody_can_follow_it(tree, tmp_path):
    gain = [1.0]

    def score(batch):
        return gain[0] * redness(batch)

    detector = bench.detector(score, input="crop(32)", name="gain")
    first = bench.run(detector, suite=ONE, data=tree, out=tmp_path / "a")
    gain[0] = -1.0
    second = bench.run(detector, suite=ONE, data=tree, out=tmp_path / "a")
    assert second.counts.scored > 0
    assert first.board.rows["auc"].tolist() == pytest.approx(1 - second.board.rows["auc"])
    assert "what the function gain answers" in (tmp_path / "a/leaderboard.md").read_text()


def test_an_object_cannot_go_to_another_process(tree, tmp_path):
    for options in ({"isolate": True}, {"timeout": 10.0}, {"cluster": "local:1"}):
        with pytest.raises(BenchError, match="object of this process"):
            bench.run(Redness(), suite=ONE, data=tree, out=tmp_path / "a", **options)


def test_predict_takes_an_object(tree):
    predictions = bench.predict(tree / "alpha" / "fake", Redness())
    assert len(predictions) == 12
    assert all(prediction.logit is not None for prediction in predictions)


def test_a_run_tells_how_it_goes_on(tree, tmp_path):
    class Counting(Silent):
        steps = 0

        def advance(self, steps: int = 1) -> None:
            self.steps += steps

    progress = Counting()
    bench.run(Redness(), suite=ONE, data=tree, out=tmp_path / "a", progress=progress)
    assert progress.steps >= 48


def test_an_unknown_option_names_the_nearest(tree):
    with pytest.raises(BenchError, match="no option 'limt': did you mean 'limit'"):
        bench.run(Redness(), suite=ONE, data=tree, limt=2)


def test_an_unknown_format_names_the_nearest(tree, tmp_path):
    run = bench.run(Redness(), suite=ONE, data=tree, out=tmp_path / "a")
    with pytest.raises(BenchError, match="did you mean 'latex'"):
        bench.export(run, "latx")


def test_a_hostile_name_is_text_in_a_notebook(tree, tmp_path):
    detector = bench.detector(redness, input="crop(32)", name="a<script>")
    run = bench.run(detector, suite=ONE, data=tree, out=tmp_path / "a")
    assert "<script>" not in run.board._repr_html_()
    assert torch.is_grad_enabled()
