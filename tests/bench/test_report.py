"""The report: one file, offline, true to the board, safe from names."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from itertools import pairwise

from bench.results.figures.drawing import load_evidence
from leaderboards.tables.means import board_mean, by_condition
from tests.bench.conftest import EVIL

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Elements with their attributes, ids, and whether every element is closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def test_one_file_that_names_cannot_break(report_run, cli, tmp_path):
    code, out, err = cli("report", report_run, "-o", tmp_path / "r.html")
    assert (code, out) == (12, ""), "no gradient reaches the second detector"
    assert "2 cells have no result" in err
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert len(text.encode()) < 5_000_000
    page = Page(text)
    assert not page.open
    _well_formed(page)
    _asks_for_nothing(page, text)
    said = " ".join(page.words)
    assert EVIL in said
    assert "{{ 7*7 }}" in said
    assert "\u202e" not in text, "a mark that turns text round is spelt out"
    assert len(page.all("script")) == 1
    for name, attributes in page.elements:
        assert not [key for key in attributes if key.startswith("on")], name
    assert [a["src"][:23] for a in page.all("img")] == ["data:image/jpeg;base64,"] * len(
        page.all("img")
    )
    assert page.all("img")
    _first_screen_is_the_board(report_run, said)
    again = tmp_path / "again.html"
    cli("report", report_run, "-o", again, "--no-images")
    bare = again.read_text(encoding="utf-8")
    assert "data:image" not in bare
    assert "left out (--no-images)" in bare
    cli("report", report_run, "-o", again)
    assert again.read_text(encoding="utf-8") == text, "another page of the same run"


def _well_formed(page):
    """What a screen reader needs: one h1, language, captions, scopes, labels, names, ids once."""
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("h1")) == len(page.all("main")) == 1
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert len(page.all("caption")) == len(page.all("table")) > 5
    assert all(a.get("scope") in ("col", "row") for a in page.all("th"))
    assert len(page.all("label")) == len(page.all("select")) > 3
    assert all(a.get("alt") for a in page.all("img"))
    for _, attributes in page.elements:
        for key in ("aria-labelledby", "href"):
            value = attributes.get(key) or ""
            if key == "href" and value:
                assert value.startswith("#")
            assert not value or value.lstrip("#") in ids
    drawings = [a for a in page.all("svg") if a.get("role") == "img"]
    assert len(drawings) >= 9
    assert len(page.all("title")) == len(drawings) + 1
    levels = [int(name[1]) for name, _ in page.elements if re.fullmatch("h[1-6]", name)]
    assert all(after - before <= 1 for before, after in pairwise(levels))


def _asks_for_nothing(page, text):
    (policy,) = (a["content"] for a in page.all("meta") if "Policy" in (a.get("http-equiv") or ""))
    assert policy.startswith("default-src 'none'")
    script, sheet = (
        re.search(rf"<{t}>(.*?)</{t}>", text, re.DOTALL)[1] for t in ("script", "style")
    )
    for block in (script, sheet):
        digest = base64.b64encode(hashlib.sha256(block.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert not re.search(r"url\((?!#)|@import|fetch\(|XMLHttp|innerHTML", script + sheet)
    assert not {name for name, _ in page.elements} & {"link", "iframe", "object", "embed", "base"}


def _first_screen_is_the_board(run, said):
    """The answer's numbers, against the board's own means."""
    board = load_evidence(run).report.board
    means = {name: board_mean(board.rows, name, "auc") for name in set(board.rows["detector"])}
    best = board.headline()["detector"].iloc[0]
    assert means[best] == max(means.values())
    assert said.count(f"{best} has the highest mean AUC") + said.count(f"{best} is best on") == 1
    first = said[: said.index("Figures", said.index("How well"))]
    assert f"{means[best]:.3f}" in first
    table = by_condition(board.rows)
    beside = table[(table["detector"] == best) & (table["condition"] != "clean")]
    worst = beside.loc[beside["auc"].idxmin()]
    if worst["auc_drop"] <= 0:
        assert "No condition lowers its mean AUC" in said
        return
    assert f"What breaks it most: {worst['condition']}, mean AUC {worst['auc']:.3f}" in said


def test_refusals_name_the_culprit(report_run, cli, tmp_path):
    code, _, err = cli("report", report_run, report_run, "-o", tmp_path / "r.html")
    assert code == 2
    assert "given twice" in err
    code, _, err = cli("report", report_run, "-o", tmp_path / "r.pdf")
    assert code == 2
    assert ".html" in err
    code, _, err = cli("report", tmp_path / "nowhere")
    assert code == 2
    assert "is not a run" in err
    code, _, err = cli("plot", report_run, "time", "-o", tmp_path / "t.svg")
    assert code == 2
    assert "tell of no time" in err
    code, _, err = cli("plot", report_run, "roc", "-o", tmp_path / "t.svg", "--width", "5")
    assert code == 2
    assert "--width 5" in err
    for name in ("a.svg", "b.svg"):
        assert cli("plot", report_run, "heatmap", "-o", tmp_path / name, "--width", "180")[0] == 0
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
