"""The gate's statistics and documents, without files."""

from __future__ import annotations

import json
import math
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from markdown_it import MarkdownIt

from leaderboards.gate import Rules, Verdict, floor_verdict, judge, outcome
from leaderboards.render.gate import github_errors, junit, trimmed, verdict_record, verdict_table
from leaderboards.statistics.catalogue import paired_metrics
from leaderboards.statistics.paired_cells import PairedCell

HOSTILE = ["a|b", "line\nbreak\r", "=cmd()", "</script>", "back\\slash", "[/foo]", "\x1b[31m", "]]>", "&amp;",
           "::error::x", "%0A", "\x00nul", "lone\udcff", "1. one"]  # fmt: skip


def cells(seed, n=400, drop=0.0, count=6):
    rng = np.random.default_rng(seed)
    labels = np.tile(np.repeat([0, 1], n), count)
    shared = rng.normal(size=labels.size)
    base, cand = (
        0.9 * shared + 0.44 * rng.normal(size=labels.size) + shift * labels
        for shift in (2, 2 - drop)
    )
    made = []
    for k in range(count):
        rows = np.arange(2 * n * k, 2 * n * (k + 1))
        made.append(PairedCell(("net", f"g{k}", "all", "clean"), rows, labels[rows], base, cand))
    return made, labels + 2 * np.repeat(np.arange(count), 2 * n)


def test_a_real_drop_fails_and_an_unchanged_cell_does_not():
    made, strata = cells(0, drop=0.4)
    assert {v.decision for v in judge(made, Rules(), strata)} == {"FAIL"}
    made, strata = cells(0)
    assert "FAIL" not in {v.decision for v in judge(made, Rules(), strata)}


def test_a_drop_inside_the_margin_is_no_failure_however_significant():
    made, strata = cells(1, n=5000, drop=0.05, count=2)
    macro = judge(made, Rules(margin=0.02), strata)[-1]
    assert macro.p_adjusted < 0.05
    assert macro.decision == "PASS"


def test_the_number_that_would_decide_does_decide():
    made, strata = cells(2, n=150, count=1)
    verdict = judge(made, Rules(), strata)[0]
    assert verdict.decision == "INCONCLUSIVE"
    assert verdict.needed > 300
    copies = math.ceil(verdict.needed / 300)
    again = [np.tile(x, copies) for x in (made[0].labels, made[0].baseline, made[0].candidate)]
    larger = PairedCell(made[0].name, np.arange(again[0].size), *again)
    assert judge([larger], Rules(), again[0])[0].decision != "INCONCLUSIVE"


@pytest.mark.parametrize("metric", paired_metrics())
def test_every_metric_has_a_test_that_sees_a_drop_and_no_ghost(metric):
    made, strata = cells(3, n=600, drop=1.0, count=2)
    rules = Rules(metric=metric)
    # The threshold stays where it was, so fewer fakes pass it; reals are untouched.
    macro = judge(made, rules, strata)[-1]
    if metric in ("real_recall", "real_accuracy"):
        assert macro.decision != "FAIL"
    else:
        assert macro.decision in (("FAIL", "INCONCLUSIVE") if metric == "precision" else ("FAIL",))
    same = [PairedCell(c.name, c.rows, c.labels, c.baseline, c.baseline) for c in made]
    assert {v.decision for v in judge(same, rules, strata)} == {"PASS"}


def test_an_unknown_metric_is_refused():
    with pytest.raises(ValueError, match="cannot test"):
        judge(*cells(0)[:1], Rules(metric="eer"), cells(0)[1])


def test_a_cell_of_one_class_is_undefined_and_blinds_the_gate():
    labels = np.zeros(50, dtype=int)
    scores = np.linspace(-1, 1, 50)
    cell = PairedCell(("d", "g", "all", "clean"), np.arange(50), labels, scores, scores + 1)
    verdicts = judge([cell], Rules(), labels)
    assert {v.decision for v in verdicts} == {"INCONCLUSIVE"}
    assert outcome(verdicts, "regression") == "INCONCLUSIVE"


def test_the_outcome_is_the_worst_that_blocks():
    def one(decision, blind=False):
        return Verdict(name=("d", "g", "", ""), decision=decision, reason="", blind=blind)

    good, open_, blind = one("PASS"), one("INCONCLUSIVE"), one("INCONCLUSIVE", blind=True)
    bad, hole = one("FAIL"), one("INCOMPLETE")
    assert outcome([good, open_], "regression") == "PASS"
    assert outcome([good, open_], "non-inferior") == "INCONCLUSIVE"
    assert outcome([good, blind], "regression") == "INCONCLUSIVE"
    assert outcome([good, hole], "regression") == "INCOMPLETE"
    assert outcome([good, hole, bad], "regression") == "FAIL"
    assert outcome([], "regression") == "INCONCLUSIVE"


def test_floors():
    name = ("d", "g", "all", "clean")
    assert floor_verdict(name, 0.9, 0.85, 0.8, (50, 50)).decision == "PASS"
    assert floor_verdict(name, 0.9, 0.75, 0.8, (50, 50)).decision == "INCONCLUSIVE"
    assert floor_verdict(name, 0.7, 0.65, 0.8, (50, 50)).decision == "FAIL"
    assert floor_verdict(name, math.nan, math.nan, 0.8, (50, 0)).blind


@pytest.fixture
def hostile():
    return [
        Verdict(name=(name, name, name, name), decision="FAIL", reason=name, p_adjusted=0.01)
        for name in HOSTILE
    ]


def test_hostile_names_leave_the_markdown_table_whole(hostile):
    html = (
        MarkdownIt("commonmark", {"html": True})
        .enable("table")
        .render("\n".join(verdict_table(hostile, "auc")))
    )
    assert html.count("<tr>") == 1 + len(HOSTILE)
    assert html.count("<td") == 11 * len(HOSTILE)
    assert "<script" not in html
    assert "</script>" not in html
    assert "\x1b" not in html


def test_hostile_names_leave_junit_whole(hostile):
    text = junit([("auc", v) for v in hostile], "bench")
    suite = ET.fromstring(text.encode()).find("testsuite")
    cases = suite.findall("testcase")
    assert len(cases) == len(HOSTILE)
    assert cases[0].get("classname") == "gate.a|b"
    assert cases[3].get("classname") == "gate.</script>"
    assert "\x1b" not in text


def test_hostile_names_leave_github_errors_ten_single_lines(hostile):
    lines = github_errors(hostile)
    assert len(lines) == 10
    for line in lines:
        assert line.startswith("::error title=")
        assert line.isprintable()
        assert "\n" not in line
    assert lines[-1].endswith("5 more cells do not pass")
    assert "%250A" in github_errors([hostile[10]])[0]
    assert github_errors([]) == []


def test_json_keeps_names_as_they_are(hostile):
    for verdict, name in zip(hostile, HOSTILE, strict=True):
        record = json.loads(json.dumps(verdict_record(verdict), allow_nan=False))
        assert record["detector"] == name
        assert record["change"] is None


def test_a_summary_is_trimmed_at_a_line_and_says_so():
    text = "# Gate\n" + "| Ünïcødé 画像 |\n" * 100_000
    cut = trimmed(text)
    assert len(cut.encode()) <= 1_000_000
    assert cut.rstrip().endswith("**")
    assert "Trimmed" in cut
    assert all(line in ("# Gate", "| Ünïcødé 画像 |", "") for line in cut.split("\n")[:-3])
    assert trimmed("short") == "short"
    assert trimmed(text, 0) == ""
