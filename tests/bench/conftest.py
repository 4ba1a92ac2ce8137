"""What several tests of the command line share."""

from __future__ import annotations

import json
import sys

import pytest

import bench
from bench.cli import main as entry
from bench.protocol.suite import Suite

EVIL = "</script><img src=x onerror=alert(1)>"
QUOTED = "\"' onload=alert(2) {{ 7*7 }}  \u202egnp.exe"
SHOWN = Suite(
    name="shown",
    slices=["generator"],
    conditions=["clean", "jpeg(quality=90)", "jpeg(quality=30)", "fgsm(eps=4/255)"],
)


@pytest.fixture
def cli(monkeypatch, capsys, tmp_path):
    """Run ``bench ARGS...`` in-process; gives (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def call(*args: object):
        monkeypatch.setattr(sys, "argv", ["bench", *map(str, args)])
        with pytest.raises(SystemExit) as stop:
            entry.main()
        out, err = capsys.readouterr()
        return (stop.value.code or 0), out, err

    return call


@pytest.fixture
def report_run(tree, toy, tmp_path):
    """A run under a corruption and an attack, whose generators have hostile names."""
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
    return bench.run(detectors, suite=SHOWN, data=manifest, out=tmp_path / "out").folder
