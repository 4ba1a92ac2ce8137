"""LaTeX, Hugging Face and comparison tables, with names that would break each of them."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt

from leaderboards import Board, BoardNotes, ScoreColumn, cell_rows, extras, slices
from leaderboards.render.compare import Row, compare_csv, compare_table
from leaderboards.render.csv import unguard
from leaderboards.render.huggingface import evaluation_results, model_index
from leaderboards.render.latex import escape_latex, render_latex
from leaderboards.statistics.paired_cells import PairedCell, paired_tests

HOSTILE = ["a|b", "line\nbreak", "=cmd()", "</script>", "back\\slash", "[/foo]", "\x1b[31mred", "50% & more",
           "$x_1^2$ {~}#", "--- `` '' \"q\"", "\\input{/etc/passwd}", "- [x]: *y", "plain"]  # fmt: skip


@pytest.fixture(scope="module")
def board():
    rows = [
        {"sample_id": f"{name}/{i}", "label": label, "generator": name, "domain": "", "group": ""}
        for name, label in (("photo", 0), *((name, 1) for name in HOSTILE))
        for i in range(20)
    ]
    samples = pd.DataFrame(rows)
    pairing = dict.fromkeys(HOSTILE, ("photo",))
    rng = np.random.default_rng(0)
    labels = samples["label"].to_numpy()
    columns = [
        ScoreColumn(detector=name, condition="clean",
                    logits=(rng.normal(size=labels.size) + (3 - k / 4) * labels).astype("f4"))
        for k, name in enumerate(HOSTILE)
    ]  # fmt: skip
    cuts = slices(samples, pairing)
    table = cell_rows(samples, cuts, columns, {}, "data")
    named = {name: name for name in HOSTILE}
    notes = BoardNotes(suite="s\n%", dataset="d&|\n", n_images=len(samples), weights=named)
    return Board(table, notes, extras(samples, cuts, columns, table, {}))


def test_latex_is_a_whole_table_whatever_the_names(board):
    text = render_latex(board.rows, board.notes, board.extras)
    assert text.isprintable() is False  # line ends only:
    assert all(line.isprintable() for line in text.splitlines())
    lines = text.splitlines()
    body = lines[lines.index(r"    \midrule") + 1 : lines.index(r"    \bottomrule")]
    assert len(body) == len(HOSTILE)
    for line in body:
        assert len(re.findall(r"(?<!\\)&", line)) == len(HOSTILE) + 1
        assert line.endswith(r"\\")
        assert r"\input" not in line
    assert lines[0].startswith("% suite")
    assert sum(line.startswith("%") for line in lines) == 3 + len(HOSTILE)
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")


def test_latex_names_come_back_by_undoing_the_escapes():
    undo = {r"\textbackslash{}": "\\", r"\textasciitilde{}": "~", r"\textasciicircum{}": "^",
            r"\textless{}": "<", r"\textgreater{}": ">", r"\textbar{}": "|",
            r"{\ttfamily\char34}": '"'}  # fmt: skip
    token = re.compile("|".join(map(re.escape, undo)) + r"|\\[{}$&#_%]|\{[^\\]\}|.")

    def plain(match):
        found = match[0]
        if found in undo:
            return undo[found]
        return found[1] if len(found) > 1 else found

    for name in HOSTILE:
        if name.isprintable():
            assert token.sub(plain, escape_latex(name)) == name


def test_latex_bolds_all_that_share_the_first_rank(board):
    text = render_latex(board.rows, board.notes, board.extras)
    bold = text.count(r"\textbf{")
    assert bold == sum(rank == 1 for rank in board.extras.ranks.values()) > 1
    assert bold < len(HOSTILE)
    assert render_latex(board.rows, board.notes, None).count(r"\textbf{") == 1
    with pytest.raises(ValueError, match="no metric"):
        render_latex(board.rows, board.notes, None, "seen")


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs a TeX")
def test_latex_compiles(board, tmp_path):
    table = render_latex(board.rows, board.notes, board.extras)
    (tmp_path / "t.tex").write_text(
        "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n"
        + table
        + "\\end{document}\n"
    )
    done = subprocess.run(
        ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "t.tex"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]


def test_hugging_face_files_are_yaml_that_says_the_numbers(board):
    yaml = pytest.importorskip("yaml")
    for name in HOSTILE:
        entry = yaml.safe_load(evaluation_results(board.rows, board.notes, name, "me/data"))[0]
        own = board.rows[board.rows["detector"] == name]
        assert entry["dataset"] == {"id": "me/data", "task_id": "s\n%"}
        assert entry["value"] == pytest.approx(100 * own["auc"].mean(), abs=1e-3)
        card = model_index(board.rows, board.notes, name, "me/data")
        assert card.startswith("---\n")
        front = yaml.safe_load(card.split("---\n")[1])
        model = front["model-index"][0]
        assert model["name"] == name
        assert [r["dataset"]["config"] for r in model["results"]] == sorted(HOSTILE)
        assert model["results"][0]["metrics"][0]["type"] == "auc"
        row = own[own["generator"] == model["results"][0]["dataset"]["config"]].iloc[0]
        said = {m["type"]: (m["name"], m["value"]) for m in model["results"][0]["metrics"]}
        for column, title in {
            "real_accuracy": "Real accuracy",
            "fake_accuracy": "Fake accuracy",
            "mcc": "MCC",
            "balanced_nll": "Balanced NLL",
            "pd_at_10_far": "Pd at 10% FAR",
        }.items():
            if np.isfinite(row[column]):
                assert said[column] == (title, pytest.approx(row[column], abs=1e-6))
            else:
                assert column not in said


def test_no_mean_is_reported_where_a_cell_is_missing(board):
    rows = board.rows.copy()
    rows.loc[0, "status"] = "failed"
    with pytest.raises(ValueError, match="no mean"):
        evaluation_results(rows, board.notes, rows["detector"][0], "me/data")
    assert json.loads(
        model_index(rows, board.notes, "plain", "x").split("model-index: ")[1].split("\n")[0]
    )


@pytest.fixture(scope="module")
def contrasts():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 50)
    base = rng.normal(size=100) + labels
    tests = [
        paired_tests([PairedCell((n, n, n, n), np.arange(100), labels, base, base + rng.normal(size=100))],
                     "auc", labels, None)[0]
        for n in HOSTILE
    ]  # fmt: skip
    return [Row(name, test, 0.01, 0.02) for name, test in zip(HOSTILE, tests, strict=True)]


def test_comparison_tables_stay_whole(contrasts):
    html = (
        MarkdownIt("commonmark", {"html": True})
        .enable("table")
        .render("\n".join(compare_table(contrasts)))
    )
    assert html.count("<td") == 10 * len(HOSTILE)
    assert "</script>" not in html
    rows = list(csv.DictReader(io.StringIO(compare_csv(contrasts, "auc", "0"), newline="")))
    assert [unguard(row["detector"]) for row in rows] == HOSTILE
    assert rows[2]["detector"] == "'=cmd()"
    assert float(rows[0]["difference_lo"]) < float(rows[0]["difference"])
