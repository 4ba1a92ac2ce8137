"""The page of plug-ins alone is enough: its files, written as they stand there, work like our own."""

from __future__ import annotations

import csv
import json
import os
import re
from pathlib import Path

import pytest

from bench.cli.new import Kind
from bench.skeletons.kinds import SKELETONS
from bench.skeletons.skeleton import class_name
from tests.plugin_session import commands, install, python

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "extending.md"
TEXT = PAGE.read_text(encoding="utf-8")
FILES = dict(re.findall(r'^```\w+ title="([\w.]+)"\n(.*?)^```$', TEXT, re.M | re.S))
KINDS = {
    "darker": "corruption",
    "tint": "attack",
    "studio": "layout",
    "youden": "metric",
    "worst": "page",
}
NAMES = {"smooth": "detectors", **{name: f"{kind}s" for name, kind in KINDS.items()}}
SUITE = """
name = "own"
slices = ["generator"]
conditions = ["clean", "darker", "tint(eps=4/255)"]
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The files of the page, installed by their own pyproject.toml."""
    root = tmp_path_factory.mktemp("page")
    for name, text in FILES.items():
        (root / name).write_text(text, encoding="utf-8")
    return install(root, root / "site")


def test_one_short_file_each():
    assert set(FILES) == {"pyproject.toml", *(f"{name}.py" for name in NAMES)}
    assert all(FILES[f"{name}.py"].count("\n") < 30 for name in NAMES)


def test_every_name_is_listed_runs_in_smoke_and_shows_in_board_and_report(site, tree, tmp_path):
    for label, folder in (("camera/street", "real"), ("synthetic/alpha", "fake")):
        (tmp_path / "studio" / label).mkdir(parents=True)
        for path in sorted((tree / "alpha" / folder).iterdir()):
            (tmp_path / "studio" / label / path.name).write_bytes(path.read_bytes())
    (tmp_path / "own.toml").write_text(SUITE)
    lines = [
        *(["ls", kind, "--json"] for kind in NAMES.values()),
        ["run", "-d", "smooth", "--suite", "smoke", "--limit", "40", "--out", "smoke"],
        ["run", "-d", "smooth", "--suite", "own.toml", "--data", "studio", "--out", "own"],
        ["data", "index", "studio", "--json"],
        ["report", "own", "-o", "own.html", "--no-images"],
        ["verify", "own"],
    ]
    answers = commands(tmp_path, site, lines)
    for name, answer in zip(NAMES, answers, strict=False):
        assert name in {row["name"] for row in json.loads(answer)}
    with (tmp_path / "own" / "leaderboard.csv").open(newline="") as board:
        cells = list(csv.DictReader(board))
    assert {cell["condition"] for cell in cells} == {
        "clean", "darker(amount=0.3)", "tint(eps=4/255)",
    }  # fmt: skip
    assert {cell["status"] for cell in cells} == {"ok"}
    for cell in cells:
        expected = float(cell["real_recall"]) + float(cell["fake_recall"]) - 1
        assert float(cell["youden"]) == pytest.approx(expected, abs=1e-6)
    assert "| Youden" in (tmp_path / "own" / "leaderboard.md").read_text()
    head = (tmp_path / "smoke" / "leaderboard.csv").read_text().partition("\n")[0]
    assert "youden" in head.split(",")
    assert "Where each detector is worst" in (tmp_path / "own.html").read_text()
    assert "studio" in answers[-3]


def test_contracts_hold_and_what_bench_new_writes_passes_its_own_test(cli, site, tmp_path):
    assert {kind.value for kind in Kind} == set(SKELETONS)
    for kind in SKELETONS:
        assert cli("new", kind, f"my_{kind}", "--out", "plugins")[0] == 0
    own = sum(
        text.count("def test_") for text in map(Path.read_text, Path("plugins").glob("test_*.py"))
    )
    chosen = " or ".join(f"[{name}]" for name in NAMES)
    words = ["-n0", "-c", ROOT / "pyproject.toml", ROOT / "tests" / "test_contracts.py", "plugins",
             "-k", f"plugins or {chosen}"]  # fmt: skip
    out = python(
        tmp_path, Path(f"{site}{os.pathsep}{tmp_path / 'plugins'}"), "-m", "pytest", *words
    )
    assert f"{len(NAMES) + own} passed" in out


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_the_page_shows_what_bench_new_writes(cli, tmp_path, name, kind):
    code, out, _ = cli("new", kind, name)
    assert (code, out) == (0, f"{name}.py\n")
    assert (tmp_path / f"{name}.py").read_text() == FILES[f"{name}.py"]
    assert f"class {class_name(name)}" in FILES[f"{name}.py"] or kind in ("metric", "page")


def test_somebody_s_own_project_is_left_alone(cli, tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "precious"\n')
    code, _, err = cli("new", "metric", "youden")
    assert code == 0
    assert '[project.entry-points."bench.metrics"]' in err
    assert (tmp_path / "pyproject.toml").read_text() == '[project]\nname = "precious"\n'
