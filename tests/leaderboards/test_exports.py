"""LaTeX, Hugging Face and comparison tables, with names that would break each of them."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt

from leaderboards import Board, BoardNotes, ScoreColumn, SeenBy, cell_rows, extras, slices
from leaderboards.render.compare import Row, compare_csv, compare_table
from leaderboards.render.csv import unguard
from leaderboards.render.huggingface import evaluation_results, model_index
from leaderboards.render.latex import escape_latex, render_latex
from leaderboards.render.latex_layout import COLUMN_GAP, TEXT_WIDTH, pack, stacked, text_width
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


def tabulars(text):
    """Header and body rows of each table, as lists of cells."""
    found, lines = [], [line.strip() for line in text.splitlines()]
    for i, line in enumerate(lines):
        if line.startswith(r"\begin{tabular}"):
            end = lines.index(r"\end{tabular}", i)
            rows = [row for row in lines[i:end] if row.endswith(r" \\")]
            found.append([re.split(r"(?<!\\)&", row.removesuffix(r" \\")) for row in rows])
    return found


@pytest.mark.parametrize(
    ("seen", "marks"),
    [
        (["unseen"], ()),
        (["unseen", "seen"], ("dagger",)),
        (["seen"], ("dagger", "ast")),
        (["unknown", "unseen"], ("nobody knows",)),
    ],
)
def test_the_caption_explains_the_marks_that_are_there(board, seen, marks):
    states = (seen * len(board.rows))[: len(board.rows)]
    text = render_latex(board.rows.assign(seen=states), board.notes, board.extras)
    caption = next(line for line in text.splitlines() if "\\caption" in line)
    table = "\n".join(line for line in text.splitlines() if line.endswith("\\\\"))
    for mark in ("dagger", "ast"):
        assert (f"\\{mark}" in caption) == (f"\\{mark}" in table) == (mark in marks)
    assert ("nobody knows" in caption) == (r"$^{?}$" in table) == ("nobody knows" in marks)


def test_latex_is_whole_tables_that_fit_whatever_the_names(board):
    text = render_latex(board.rows, board.notes, board.extras)
    assert all(line.isprintable() for line in text.splitlines())
    lines = text.splitlines()
    assert not any(r"\input" in line for line in lines if not line.startswith("%"))
    assert lines[0].startswith("% suite")
    assert sum(line.startswith("%") for line in lines) == 3 + len(HOSTILE)
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
    tables = tabulars(text)
    assert all(len(row) == len(table[0]) <= 5 for table in tables for row in table)
    assert all(len(table) == 1 + len(HOSTILE) for table in tables)
    assert sum(len(table[0]) - 1 for table in tables) == len(HOSTILE) + 1
    # Nothing is left of what LaTeX would take for its own.
    ours = r"\$\^\{(\\dagger|\\ast|\?)\}\$|\$\\(dagger|ast)\$| & |%.*"
    bare = re.sub(rf"\\[\\{{}}$&#_%]|{ours}|\\[A-Za-z]+", "", text)
    assert not set("#$%^&_~\\") & set(bare)


def test_latex_is_turned_where_that_needs_fewer_tables(frame, scores):
    names = [f"generator_{i:02d}" for i in range(60)]
    samples = frame(("photo", "", 0, 12), *((name, "", 1, 4) for name in names))
    cuts = slices(samples, dict.fromkeys(names, ("photo",)))
    rows = cell_rows(samples, cuts, [scores(samples, "one"), scores(samples, "two")], {}, "data")
    text = render_latex(rows, BoardNotes(suite="s", dataset="data"), None)
    tables = tabulars(text)
    assert [len(table[0]) for table in tables] == [3, 3]
    assert [table[0][0].strip() for table in tables] == ["Slice", "Slice"]
    shown = [row[0].strip().replace(r"\_", "_") for table in tables for row in table[1:]]
    assert shown == [*names, "Mean"]
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 2
    assert "Part 2 of 2." in text
    means = [cell.strip().split("$")[0] for cell in tables[-1][-1][1:]]
    values = [f"{rows[rows['detector'] == name]['auc'].mean():.3f}" for name in ("one", "two")]
    assert [re.sub(r"\\textbf\{|\}$", "", mean) for mean in means] == values


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


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex on this machine")
def test_latex_compiles_and_fits(board, frame, scores, tmp_path):
    texts = [render_latex(board.rows, board.notes, board.extras)]
    wide = [f"a_very-long/generator.name_{i}" for i in range(45)] + [
        "WWMWWMWWMWWM",
        "画像 é ß ð «»",
    ]
    samples = frame(("photo", "", 0, 12), *((name, "", 1, 4) for name in wide))
    cuts = slices(samples, dict.fromkeys(wide, ("photo",)))
    columns = [scores(samples, f"mobilenetv2_100.not-{i}", seed=i) for i in range(7)]
    columns.append(scores(samples, "dead", status="failed", reason="x"))
    rows = cell_rows(samples, cuts, columns, {"dead": SeenBy()}, "data")
    notes = BoardNotes(suite="s", dataset="data 画")
    texts += [render_latex(rows, notes, None, metric) for metric in ("auc", "accuracy", "brier")]
    page = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n\\hbadness=10000\n"
    (tmp_path / "t.tex").write_text(page + "\\clearpage\n".join(texts) + "\\end{document}\n")
    done = subprocess.run(
        ["pdflatex", "-draftmode", "-halt-on-error", "-interaction=nonstopmode", "t.tex"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
    assert "Float too large" not in done.stdout


@pytest.mark.parametrize("name", ["a" * 60, "mobilenetv2_100.not-realesrgan", "W" * 20, "x y", ""])
def test_a_long_name_is_cut_into_lines_that_fit(name):
    lines = stacked(name, 70)
    assert "".join(lines) == name
    assert all(text_width(line) <= 70 for line in lines)


def test_columns_are_dealt_out_in_order_and_evenly():
    assert pack([80.0] * 6, 80) == [[0, 1, 2], [3, 4, 5]] or pack([80.0] * 6, 80) == [
        [0, 1], [2, 3], [4, 5]
    ]  # fmt: skip
    for widths, label in (
        ([80.0] * 7, 60.0),
        ([20.0] * 30, 100.0),
        ([400.0, 10.0], 50.0),
        ([], 1.0),
    ):
        blocks = pack(widths, label)
        assert [i for block in blocks for i in block] == list(range(len(widths)))
        for block in blocks:
            used = label + COLUMN_GAP + sum(widths[i] + COLUMN_GAP for i in block)
            assert used <= TEXT_WIDTH or len(block) == 1


def test_hugging_face_files_are_yaml_that_says_the_numbers(board):
    yaml = pytest.importorskip("yaml")
    for name in HOSTILE:
        entry = yaml.safe_load(evaluation_results(board.rows, board.notes, name, "me/data"))[0]
        own = board.rows[board.rows["detector"] == name]
        assert entry["dataset"] == {"id": "me/data", "task_id": "s\n%"}
        assert entry["value"] == pytest.approx(100 * own["auc"].mean(), abs=1e-3)
        card = model_index(board.rows, board.notes, name, "me/data")
        (front,) = yaml.safe_load_all(card)
        assert max(map(len, card.splitlines())) < 250  # block style, for people
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
    assert "model-index:" in model_index(rows, board.notes, "plain", "x")


def test_the_hub_s_own_reader_finds_every_number(board):
    repocard = pytest.importorskip("huggingface_hub")
    name = board.rows["detector"][0]
    text = model_index(board.rows, board.notes, name, "me/data")
    card = repocard.ModelCard(f"---\n{text}---\n# {len(name)}\n")
    read = {(r.dataset_config, r.metric_type): r.metric_value for r in card.data.eval_results}
    own = board.rows[(board.rows["detector"] == name) & (board.rows["condition"] == "clean")]
    for row in own[own["status"] == "ok"].to_dict("records"):
        assert read[row["generator"], "auc"] == pytest.approx(row["auc"], abs=1e-6)


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
