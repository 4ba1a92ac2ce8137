"""A third party's distribution, really installed, is found, run and checked like our own plug-ins."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from bench import registry
from bench.errors import BenchError

EXAMPLE = Path(__file__).parent / "plugin_package"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The example, installed from its own pyproject.toml into a folder of its own."""
    root = tmp_path_factory.mktemp("plugin")
    source = shutil.copytree(EXAMPLE, root / "source")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation",
         "--target", str(root / "site"), str(source)],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return root / "site"


def bench(installed, *args, cwd=None):
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run(
        [sys.executable, "-m", "bench", *map(str, args)],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_installed_plug_in_runs_like_one_of_ours(installed, tree, tmp_path):
    done = bench(
        installed,
        "run",
        "-d",
        "smoothness",
        "--suite",
        "example-suite",
        "--data",
        tree,
        "--json",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    cells = json.loads(done.stdout)["cells"]
    assert {c["condition"] for c in cells} == {"clean", "channel-swap", "nudge(eps=4/255)"}
    assert {c["status"] for c in cells} == {"ok"}
    listed = json.loads(bench(installed, "ls", "attacks", "--json").stdout)
    assert "nudge" in {row["name"] for row in listed}


def entry(name, value):
    return EntryPoint(name=name, value=value, group="bench.corruptions")


def test_two_plug_ins_of_one_name_are_an_error_that_names_both(monkeypatch):
    stranger = [entry("jpeg", "corruptions.noise:Noise")]
    monkeypatch.setattr(registry, "entry_points", lambda group: stranger)
    registry.corruptions.cache_clear()
    try:
        with pytest.raises(BenchError, match=r"corruptions\.jpeg and corruptions\.noise:Noise"):
            registry.corruptions()
    finally:
        monkeypatch.undo()
        registry.corruptions.cache_clear()


def test_a_plug_in_that_does_not_import_names_itself(monkeypatch):
    monkeypatch.setattr(
        registry, "entry_points", lambda group: [entry("broken", "no_such_module:X")]
    )
    registry.corruptions.cache_clear()
    try:
        with pytest.raises(BenchError, match="plug-in 'broken'"):
            registry.corruptions()
    finally:
        monkeypatch.undo()
        registry.corruptions.cache_clear()
