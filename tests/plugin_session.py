"""A distribution of plug-ins installed into a folder of its own, and processes that find it there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Every command in one process: torch is imported once.
_SESSION = """
import json, sys
from typer.testing import CliRunner
from bench.cli.main import app
for words in json.loads(sys.argv[1]):
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, (words, done.exit_code, done.stderr, done.exception)
    print(json.dumps(done.stdout))
"""


def python(folder: Path, site: Path, *arguments: object) -> str:
    """Run Python in a folder, with the plug-ins of a site; gives its standard output."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install(source: Path, site: Path) -> Path:
    """Install a distribution by its own pyproject.toml, without a network."""
    flags = ("--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target")
    python(source, source, "-m", "pip", "install", *flags, site, source)
    return site


def commands(folder: Path, site: Path, lines: Sequence[Sequence[str]]) -> list[str]:
    """Run commands of bench one after the other; gives what each wrote to its standard output."""
    said = python(folder, site, "-c", _SESSION, json.dumps(lines))
    return [json.loads(line) for line in said.splitlines()]
