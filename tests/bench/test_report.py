"""The report: one file, offline, true to the board, safe from names; opened in a browser where one is."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from itertools import pairwise

import pytest

import bench
from bench.protocol.suite import Suite
from bench.results.figures.drawing import load_evidence
from leaderboards.tables.means import board_mean, by_condition

EVIL = "</script><img src=x onerror=alert(1)>"
QUOTED = "\"' onload=alert(2) {{ 7*7 }}  \u202egnp.exe"
SUITE = Suite(
    name="shown",
    slices=["generator"],
    conditions=["clean", "jpeg(quality=90)", "jpeg(quality=30)", "fgsm(eps=4/255)"],
)
VOID = {"meta", "img", "br", "link", "input", "hr"}


@pytest.fixture
def run(tree, toy, tmp_path):
    names = {"alpha": EVIL, "beta": QUOTED}
    rows = []
    for folder, name in names.items():
        for kind in ("real", "fake"):
            rows += [
                {
                    "path": str(path.relative_to(tree)),
                    "label": kind,
                    "generator": name if kind == "fake" else "",
                }
                for path in sorted((tree / folder / kind).iterdir())
            ]
    manifest = tree / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    detectors = [toy(), toy("Rounds")]
    return bench.run(detectors, suite=SUITE, data=manifest, out=tmp_path / "out").folder


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


def test_one_file_that_names_cannot_break(run, cli, tmp_path):
    code, out, err = cli("report", run, "-o", tmp_path / "r.html")
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
    _first_screen_is_the_board(run, said)
    again = tmp_path / "again.html"
    cli("report", run, "-o", again, "--no-images")
    bare = again.read_text(encoding="utf-8")
    assert "data:image" not in bare
    assert "left out (--no-images)" in bare
    cli("report", run, "-o", again)
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


def test_refusals_name_the_culprit(run, cli, tmp_path):
    code, _, err = cli("report", run, run, "-o", tmp_path / "r.html")
    assert code == 2
    assert "given twice" in err
    code, _, err = cli("report", run, "-o", tmp_path / "r.pdf")
    assert code == 2
    assert ".html" in err
    code, _, err = cli("report", tmp_path / "nowhere")
    assert code == 2
    assert "is not a run" in err
    code, _, err = cli("plot", run, "time", "-o", tmp_path / "t.svg")
    assert code == 2
    assert "tell of no time" in err
    code, _, err = cli("plot", run, "roc", "-o", tmp_path / "t.svg", "--width", "5")
    assert code == 2
    assert "--width 5" in err
    for name in ("a.svg", "b.svg"):
        assert cli("plot", run, "heatmap", "-o", tmp_path / name, "--width", "180")[0] == 0
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


BROWSER = os.environ.get("BENCH_TEST_CHROMIUM") or shutil.which("chromium") or ""
# Done by a reader: sorts the cells by AUC, then keeps one condition; what is seen goes into the title.
DEED = """
var table = document.getElementById("r1-cells"), tool = document.querySelector('.tool[data-for="r1-cells"]');
var button = Array.from(table.querySelectorAll("thead button")).find(b => b.textContent === "AUC");
button.click();
var select = Array.from(tool.querySelectorAll("select")).pop();
select.value = "clean"; select.dispatchEvent(new Event("change"));
var seen = Array.from(table.tBodies[0].rows).filter(r => !r.hidden);
var count = tool.querySelector(".count").textContent;
var generators = tool.querySelectorAll("select")[1], byGenerator = [];
Array.from(generators.options).slice(1).forEach(option => {
  generators.value = option.value; generators.dispatchEvent(new Event("change"));
  byGenerator.push(tool.querySelector(".count").textContent);
});
document.title = JSON.stringify({
  generators: byGenerator,
  auc: seen.map(r => Number(r.cells[8].dataset.key)), conditions: seen.map(r => r.cells[3].textContent),
  sort: button.parentElement.getAttribute("aria-sort"), count: count,
  wide: document.documentElement.scrollWidth > window.innerWidth,
  outside: performance.getEntriesByType("resource").filter(e => !e.name.startsWith("data:")).length });
"""


@pytest.mark.skipif(not BROWSER, reason="no chromium here: set BENCH_TEST_CHROMIUM to one")
def test_a_browser_sorts_filters_and_complains_of_nothing(run, cli, tmp_path):
    target = tmp_path / "r.html"
    cli("report", run, "-o", target)
    text = target.read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(DEED.encode()).digest()).decode()
    text = text.replace("script-src ", f"script-src 'sha256-{digest}' ")
    text = text.replace("script-src &#39;", f"script-src 'sha256-{digest}' &#39;")
    target.write_text(text.replace("</body>", f"<script>{DEED}</script></body>"), encoding="utf-8")
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
         f"--user-data-dir={tmp_path / 'profile'}", "--window-size=500,900", "--dump-dom", target.as_uri()],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr
    seen = json.loads(html.unescape(re.search("<title>(.*?)</title>", done.stdout)[1]))
    assert seen["conditions"] == ["clean"] * 4
    assert seen["auc"] == sorted(seen["auc"], reverse=True)
    assert seen["sort"] == "descending"
    assert seen["count"] == "4 of 16 rows"
    assert seen["generators"] == ["2 of 16 rows"] * 2, (
        "a name with two spaces is filtered by as it is"
    )
    assert not seen["wide"], "the page scrolls sideways on a small window"
    assert seen["outside"] == 0
