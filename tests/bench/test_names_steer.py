"""Names of generators, files, suites and inputs: they steer no terminal, no CI log, and no path."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from PIL import Image
from typer.main import get_command

import bench
from bench.cli import output
from bench.cli.main import app
from bench.protocol.suite import Suite
from bench.runs.request import RunRequest
from bench.support.plain import disarmed, one_line, path_name
from leaderboards.render.text import visible

HOSTILE = [
    "a\n::error::injected",
    "::stop-commands::x",
    "  ::set-output name=a::b",
    "##[error]old",
    "\x1b[31mred",
    "\x9b31m",
    "\u202egnp.exe",
    "a\r::warning::b",
    "a\u2028::error::b",
    "\x07\x00"[:1],
]


def commands(text):
    """Lines that GitHub's runner would take for commands, and characters that a terminal acts on."""
    lines = text.replace("\r", "\n").split("\n")
    steering = [line for line in lines if line.lstrip().startswith("::") or "##[" in line]
    return steering + [c for c in text if not c.isprintable() and c != "\n"]


@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_is_said_is_one_line_that_steers_nothing(capsys, name):
    output.say(f"{name}")
    output.say(f"left out: {name}: {name}")
    output.Bar(quiet=False).note(name)
    err = capsys.readouterr().err
    assert err.count("\n") == 3
    assert commands(err) == []


def test_the_escape_is_the_boards_own():
    """Boards, which import nothing of ours, and the terminal spell every character alike."""
    assert all(visible(chr(code)) == one_line(chr(code)) for code in range(0x110000))
    assert disarmed("a :: b") == "a :: b"


@pytest.fixture
def hostile_set(tmp_path):
    root = tmp_path / "set"
    root.mkdir()
    rows = []
    for i, name in enumerate(HOSTILE):
        for label in ("real", "fake"):
            path = root / f"{i}{label}.png"
            Image.new("RGB", (40, 40), (i * 9, 20, 99 if label == "real" else 7)).save(path)
            generator = name if label == "fake" else ""
            domain = name if i % 2 else "plain"
            rows.append(
                {"path": path.name, "label": label, "generator": generator, "domain": domain}
            )
    try:
        (root / "b\n::error::from a file name.png").write_text("x")
    except OSError:
        pytest.skip("this file system takes no line break in a name")
    (root / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return root


def test_no_command_writes_a_name_raw(cli, hostile_set, tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    suite = tmp_path / "s.toml"
    suite.write_text('name="h"\nslices=["generator", "domain"]\nconditions=["clean"]\nsplit=""\n')
    table = hostile_set / "t.jsonl"
    for arguments in (
        ["data", "index", table],
        ["data", "index", table, "--json"],
        ["data", "index", hostile_set],
        ["run", "-d", "genimage-cnn", "--suite", suite, "--data", table, "--out", "r"],
        ["run", "-d", "genimage-cnn", "--suite", suite, "--data", table, "--out", "r", "--json"],
        ["board", "r"],
        ["board", "r", "-f", "json"],
        ["board", "r", "-f", "csv"],
        ["export", "r", "-f", "md"],
        ["compare", "r", "r", "-f", "csv"],
        ["run", "-d", "::error::\x1b[1mx", "--suite", "smoke"],
        ["board", "\n::error::x"],
        ["show", "::error::x"],
    ):
        _, out, err = cli(*arguments)
        assert commands(err) == [], arguments
        assert commands(out) == [], arguments


def test_json_on_stdout_keeps_names_verbatim(cli, hostile_set):
    code, out, _ = cli("data", "index", hostile_set / "t.jsonl", "--json")
    assert code == 0
    assert {row["generator"] for row in json.loads(out)["counts"]} >= {n.strip() for n in HOSTILE}


NAMES = [
    "../x",
    "/etc/x",
    "..",
    ".",
    "",
    "a/b",
    "a\\b",
    "C:x",
    "-rf",
    "~",
    "x" * 300,
    "\x1b[1m",
    "a\nb",
    "é" * 200,
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_becomes_one_component_of_a_path(tmp_path, name):
    component = path_name(name)
    folder = (tmp_path / component).resolve()
    assert folder.parent == tmp_path.resolve()
    folder.mkdir()
    assert component == one_line(component)
    assert component[0] not in "-~"
    assert path_name("cross-generator") == "cross-generator"
    assert path_name("mini suite 2") == "mini suite 2"


def test_two_names_are_two_folders():
    assert len({path_name(name) for name in [*NAMES, "x", "escaped", "a_b"]}) == len(NAMES) + 3


@pytest.mark.parametrize("name", ["../escaped", "/tmp/escaped", "a/../../escaped", ".."])
def test_a_suite_writes_below_runs(name):
    suite = Suite(name=name, slices=["generator"], conditions=["clean"])
    folder = RunRequest(detectors=(), suite=suite).folder
    assert folder.parent == Path("runs")
    assert folder.name not in (".", "..", "")


def test_a_suite_named_to_escape_runs_in_its_place(tree, toy, tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    suite = Suite(name="../../escaped", slices=["generator"], conditions=["clean"], split="")
    run = bench.run(toy(), suite=suite, data=tree)
    assert (tmp_path / "work" / "runs") in run.folder.resolve().parents
    assert [p.name for p in tmp_path.iterdir() if "escaped" in p.name] == []


@pytest.mark.parametrize("value", ["--help", "-x", "--out=/tmp/y"])
def test_inputs_of_the_action_that_begin_with_a_dash_are_values(tmp_path, value):
    """The action's own script, with a stand-in for Python that writes down what it is given."""
    yaml = pytest.importorskip("yaml")
    action = yaml.safe_load((Path(__file__).parents[2] / "action.yml").read_text())
    script = action["runs"]["steps"][0]["run"]
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/given\n')
    python.chmod(0o755)
    inputs = dict.fromkeys(("CANDIDATE", "BASELINE", "RULES", "MINIMUM", "OUT"), value)
    environment = {**os.environ, **inputs, "PYTHON": str(python), "GITHUB_OUTPUT": os.devnull}
    done = subprocess.run(
        ["bash", "-e", "-c", script],
        env=environment,
        cwd=tmp_path,
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    given = (tmp_path / "given").read_text().splitlines()
    gate = get_command(app).commands["gate"]
    values = gate.make_context("gate", given[given.index("gate") + 1 :]).params
    assert str(values["candidate"]) == f"./{value}" or values["candidate"] == Path(value)
    assert {str(values[name]) for name in ("baseline", "out", "rules")} == {value}
    assert values["minimum"] == [value]
