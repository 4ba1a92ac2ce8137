"""The GitHub Action and the documents about the gate, as far as they run without GitHub."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.results.gate import load_rules

ROOT = Path(__file__).resolve().parents[2]
yaml = pytest.importorskip("yaml")


def action():
    return yaml.safe_load((ROOT / "action.yml").read_text())


def test_every_input_reaches_the_script_as_a_variable_and_never_as_text():
    step = action()["runs"]["steps"][0]
    given = {re.search(r"inputs\.(\w+)", value)[1] for value in step["env"].values()}
    assert given == set(action()["inputs"])
    assert "${{" not in step["run"]


@pytest.mark.parametrize("code", [0, 10, 11, 12, 2])
def test_the_script_passes_the_exit_code_and_the_decision_on(tmp_path, code):
    fake = tmp_path / "python"
    fake.write_text(
        f'#!/bin/sh\nif [ "$1" = -m ]; then printf "%s\\n" "$@" > {tmp_path}/seen; '
        f'mkdir -p "$OUT"; echo \'{{"decision": "FAIL"}}\' > "$OUT/gate.json"; exit {code}; fi\n'
        f'exec {sys.executable} "$@"\n'
    )
    fake.chmod(0o755)
    hostile = "$(touch pwned); `id`"
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", action()["runs"]["steps"][0]["run"]],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "CANDIDATE": hostile, "BASELINE": "b", "RULES": "", "OUT": "out dir",
             "MINIMUM": "auc=0.8\n\nf1=0.7", "PYTHON": str(fake), "GITHUB_OUTPUT": str(tmp_path / "o")},
        check=False,
    )  # fmt: skip
    assert done.returncode == code
    assert (tmp_path / "o").read_text() == f"decision=FAIL\nexit-code={code}\n"
    seen = (tmp_path / "seen").read_text().splitlines()
    assert seen[3:] == [
        hostile,
        "--baseline",
        "b",
        "--out",
        "out dir",
        "--min",
        "auc=0.8",
        "--min",
        "f1=0.7",
    ]
    assert not (tmp_path / "pwned").exists()


def test_the_rules_and_the_workflow_in_the_guide_are_valid(tmp_path):
    page = (ROOT / "docs" / "gate.md").read_text()
    rules = tmp_path / "gate.toml"
    rules.write_text(re.search(r"```toml\n(.*?)```", page, re.DOTALL)[1])
    found = load_rules(rules, {}, [])
    assert found.floors == {"auc": 0.8, "auc@jpeg(quality=75)": 0.7}
    # Every key shown has its default, so that leaving it out changes nothing.
    assert found.model_copy(update={"primary": (), "floors": {}}) == load_rules(None, {}, [])
    workflow = yaml.safe_load(re.search(r"```yaml\n(.*?)```", page, re.DOTALL)[1])
    used = next(
        s["with"]
        for s in workflow["jobs"]["gate"]["steps"]
        if "detector-bench/" in s.get("uses", "")
    )
    assert set(used) <= set(action()["inputs"])
