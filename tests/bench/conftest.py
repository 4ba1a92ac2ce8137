"""What several tests of the command line share."""

from __future__ import annotations

import sys

import pytest

from bench.cli import main as entry


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
