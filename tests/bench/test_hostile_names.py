"""Generators named to break a format, from a manifest through a run to every document about it."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from xml.etree import ElementTree as ET

import pyarrow.parquet as pq
import pytest
from markdown_it import MarkdownIt

import bench
from bench.cli import main as entry
from bench.protocol.suite import Suite

NAMES = [
    "a|b",
    "=cmd()",
    "</script>",
    "back\\slash",
    "[/foo]",
    "esc\x1b[31m",
    "50%&_#",
    "line\nbreak",
]
SUITE = Suite(name="mini", slices=["generator"], conditions=["clean"])


@pytest.fixture
def run(tree, toy, tmp_path):
    reals = sorted((tree / "alpha" / "real").iterdir())
    fakes = sorted((tree / "alpha" / "fake").iterdir()) + sorted((tree / "beta" / "fake").iterdir())
    rows = [{"path": str(p.relative_to(tree)), "label": "real", "generator": ""} for p in reals]
    rows += [
        {"path": str(p.relative_to(tree)), "label": "fake", "generator": NAMES[i % len(NAMES)]}
        for i, p in enumerate(fakes)
    ]
    manifest = tree / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return bench.run(toy(), suite=SUITE, data=manifest, out=tmp_path / "out").folder


@pytest.fixture
def cli(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)

    def call(*args: object):
        monkeypatch.setattr(sys, "argv", ["bench", *map(str, args)])
        with pytest.raises(SystemExit) as stop:
            entry.main()
        out, err = capsys.readouterr()
        assert not stop.value.code, err
        assert "\x1b" not in err
        return out

    return call


def cells_of(markdown):
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)
    assert "</script>" not in html
    assert "\x1b" not in markdown
    return [len(re.findall("<t[dh]", row)) for row in re.findall(r"<tr>.*?</tr>", html, re.DOTALL)]


def test_the_gate_and_its_baseline(run, cli, tmp_path):
    cli("baseline", "update", run, "--to", tmp_path / "base", "--reason", "</b>|\n=1")
    (file,) = (tmp_path / "base").glob("baseline-scores-*.parquet")
    scores = pq.read_table(file)
    assert set(NAMES) <= set(scores["generator"].to_pylist())
    out = cli("gate", run, "-b", tmp_path / "base", "--min", "auc=0", "-o", tmp_path / "docs")
    assert set(cells_of(out)) == {11, 6}
    document = json.loads((tmp_path / "docs" / "gate.json").read_text())
    assert {v["generator"] for v in document["verdicts"]} == {*NAMES, "(macro mean)"}
    suite = ET.parse(tmp_path / "docs" / "gate.junit.xml").getroot().find("testsuite")
    assert int(suite.get("tests")) == 2 * len(NAMES) + 1


def test_comparisons_and_exports(run, cli):
    assert set(cells_of(cli("compare", run, run))) == {10}
    rows = list(csv.DictReader(io.StringIO(cli("compare", run, run, "-f", "csv"), newline="")))
    assert {row["generator"] for row in rows} >= {"'=cmd()", "line\nbreak", "a|b"}
    latex = cli("export", run, "-f", "latex")
    rules = [i for i, line in enumerate(latex.splitlines()) if "rule" in line]
    rows = [line for line in latex.splitlines()[rules[0] : rules[-1]] if line.endswith(r"\\")]
    # A row a slice, one of the mean, and the header: one detector's names stand below each other.
    assert len(rows) == len(NAMES) + 2
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {1}
    assert "\x1b" not in latex
    cells_of(cli("export", run, "-f", "md"))
    yaml = pytest.importorskip("yaml")
    card = cli("export", run, "-f", "hf").split("# model-index.yml\n")[1]
    found = yaml.safe_load(card)["model-index"][0]["results"]
    assert {result["dataset"]["config"] for result in found} == set(NAMES)
