"""The gate as a CI system meets it: the action's script, comments, summaries, JUnit, the trend over runs."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pandas as pd
import pytest
from PIL import Image

import bench
from bench.protocol.suite import Suite
from bench.results import gate_report
from bench.results.gate import gate
from bench.results.gating.rules import GateRules
from bench.results.trend.history import Asked, history
from bench.version import __version__
from leaderboards.gate import Verdict
from tests.conftest import TOY, picture

yaml = pytest.importorskip("yaml")
ROOT = Path(__file__).resolve().parents[2]
XSD = Path(__file__).parent / "data" / "junit-10.xsd"
SUITE = Suite(name="gated", slices=["generator"], conditions=["clean", "jpeg(quality=50)"])
WORSE = """
class Worse(Toy):
    def logits(self, batch):
        return 0.1 * super().logits(batch) + torch.sin(1e5 * batch.mean(dim=(1, 2, 3)))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Two runs over two generators of 40 + 40 images, and one on other images."""
    root = tmp_path_factory.mktemp("ci")
    for data, n in (("images", 40), ("others", 21)):
        for g, name in enumerate(("alpha", "beta")):
            for i in range(n):
                for kind in ("real", "fake"):
                    path = root / data / name / kind / f"{i:02d}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(picture(1000 * g + i, fake=kind == "fake")).save(path)
    (root / "toy.py").write_text(TOY + WORSE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", str(root / "cache"))
        for out, name, data in (
            ("good", "Toy", "images"),
            ("bad", "Worse", "images"),
            ("other", "Toy", "others"),
        ):
            bench.run(
                f"{root}/toy.py:{name}", suite=SUITE, data=root / data, out=root / out, audit=False
            )
    return root


def run_action(place, folder, **inputs):
    """Run the action's script as GitHub's runner does; gives (exit code, outputs, stderr)."""
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    given = {name: spec.get("default", "") for name, spec in action["inputs"].items()}
    given |= {"python": sys.executable, "out": "gate"} | inputs
    step = action["runs"]["steps"][0]
    own = {
        name: given[re.search(r"inputs\.(\w+)", value)[1]] for name, value in step["env"].items()
    }
    script = folder / "script.sh"
    script.write_text(step["run"])
    (folder / "outputs").touch()
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ},
        "PYTHONPATH": str(ROOT), "CI": "true", "GITHUB_ACTIONS": "true",
        "GITHUB_OUTPUT": str(folder / "outputs"), "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
    }  # fmt: skip
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
        cwd=folder, env={**environment, **own}, capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    lines = (folder / "outputs").read_text().splitlines()
    return done.returncode, dict(line.split("=", 1) for line in lines), done.stderr


@pytest.mark.parametrize(
    ("baseline", "code", "decision"), [("good", 10, "FAIL"), ("nowhere", 11, "ERROR")]
)
def test_the_action_judges_as_github_would_run_it(place, tmp_path, baseline, code, decision):
    found, outputs, err = run_action(
        place,
        tmp_path,
        candidate=str(place / "bad"),
        baseline=str(place / baseline),
        minimum="auc=0.5\n",
    )
    assert (found, outputs["decision"], outputs["exit-code"]) == (code, decision, str(code))
    assert outputs["comment"] == "gate/gate.comment.md"
    assert (tmp_path / outputs["comment"]).is_file()
    assert f"# Gate: {decision}" in (tmp_path / "summary.md").read_text()
    assert "::error" in err
    assert ET.parse(tmp_path / "gate" / "gate.junit.xml").getroot().tag == "testsuites"


def test_floors_are_counted_and_a_comment_names_what_does_not_pass(cli, place, tmp_path):
    code, out, _ = cli(
        "gate", place / "bad", "-b", place / "good", "--min", "auc=0.99", "-o", tmp_path / "g"
    )
    assert code == 10
    assert "; floors: 2 FAIL." in out
    comment = (tmp_path / "g" / "gate.comment.md").read_text()
    assert comment.startswith(gate_report.MARK)
    assert "; floors: 2 FAIL." in comment
    assert "Floors that are not met" in comment
    assert re.search(r"^\| *FAIL", comment, re.MULTILINE)
    assert not re.search(r"^\| *PASS", comment, re.MULTILINE)
    code, _, _ = cli("gate", place / "good", "-b", place / "good", "-o", tmp_path / "p")
    assert code == 0
    assert "Verdict" not in (tmp_path / "p" / "gate.comment.md").read_text()


def test_a_comment_and_a_summary_fit_github_whatever_the_run(place, tmp_path, monkeypatch):
    result = gate(place / "bad", place / "good", GateRules())
    names = [("d" * 200, f"generator {i} " + "画" * 300, "", "clean") for i in range(3000)]
    many = tuple(Verdict(name=name, decision="FAIL", reason="x" * 900) for name in names)
    huge = dataclasses.replace(result, verdicts=many)
    comment = gate_report.to_comment(huge)
    assert len(comment) <= 65_536
    assert "2970 more cells" in comment or "Trimmed to fit" in comment
    summary = tmp_path / "summary.md"
    summary.write_text("before\n" * 1000)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    gate_report.write_step_summary(gate_report.to_markdown(huge))
    assert len(gate_report.to_markdown(huge).encode()) > 1 << 20 >= summary.stat().st_size


def test_nothing_to_judge_is_told_in_every_document(cli, place, tmp_path, monkeypatch):
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    out = tmp_path / "g"
    assert cli("gate", place / "good", "-b", tmp_path / "none.json", "-o", out)[0] == 11
    document = json.loads((out / "gate.json").read_text())
    assert (document["decision"], document["exit_code"]) == ("ERROR", 11)
    assert "bench baseline update" in document["reason"]
    for name in ("gate.md", "gate.comment.md"):
        assert "no baseline at" in (out / name).read_text()
    assert "no baseline at" in summary.read_text()
    suite = ET.parse(out / "gate.junit.xml").getroot().find("testsuite")
    assert (suite.get("tests"), suite.get("errors")) == ("1", "1")


def test_junit_is_what_its_schema_says(cli, place, tmp_path):
    xmlschema = pytest.importorskip("xmlschema")
    checker = xmlschema.XMLSchema(str(XSD))
    for name, other in (("bad", "good"), ("good", "good"), ("good", "nowhere")):
        cli("gate", place / name, "-b", place / other, "--min", "auc=0.9", "-o", tmp_path / name)
        checker.validate(str(tmp_path / name / "gate.junit.xml"))
    broken = (tmp_path / "bad" / "gate.junit.xml").read_text().replace("<failure", "<wrong", 1)
    assert not checker.is_valid(broken.replace("</failure>", "</wrong>", 1))


def test_a_history_is_a_chain_of_gates(cli, place, tmp_path):
    rows = history([place / "good", place / "bad", place / "good", place / "other"], Asked())
    assert list(rows["verdict"]) == ["", "FAIL", "PASS", ""]
    assert list(rows["detector"]) == ["Toy", "Worse", "Toy", "Toy"]
    # Means and changes are those of the boards themselves.
    means = []
    for name in ("good", "bad", "good", "other"):
        board = bench.leaderboard(place / name).rows
        means.append(board[board["condition"] == "clean"]["auc"].mean())
    assert rows["value"].tolist() == pytest.approx(means)
    assert rows["change"].tolist()[1:3] == pytest.approx([means[1] - means[0], means[2] - means[1]])
    assert "other images" in rows["reason"].iloc[3] or "nothing in common" in rows["reason"].iloc[3]
    code, out, _ = cli("history", place / "good", place / "bad", "--plot", tmp_path / "t.svg")
    assert code == 0
    assert " FAIL " in out
    svg = (tmp_path / "t.svg").read_text()
    assert 'id="series-1"' in svg
    cli("history", place / "good", place / "bad", "--plot", tmp_path / "u.svg")
    assert (tmp_path / "u.svg").read_text() == svg
    table = pd.read_csv(io.StringIO(cli("history", place / "good", place / "bad", "-f", "csv")[1]))
    assert list(table["verdict"].fillna("")) == ["", "FAIL"]
    assert (
        json.loads(cli("history", place / "good", place / "bad", "-f", "json")[1])[0]["change"]
        is None
    )
    assert cli("history", place / "good")[0] == 2


def test_the_guide_s_workflows_are_whole_and_pinned():
    page = (ROOT / "docs" / "gate.md").read_text()
    workflows = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    assert len(workflows) == 2
    first, second = workflows
    assert first["permissions"] == {"contents": "read"}  # nothing that a fork could misuse
    assert "secrets." not in page
    assert second[True]["workflow_run"]["workflows"] == [first["name"]]
    assert second["permissions"]["pull-requests"] == "write"
    assert not any(
        "checkout" in step.get("uses", "") for step in second["jobs"]["comment"]["steps"]
    )
    inputs = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]
    steps = first["jobs"]["gate"]["steps"]
    used = next(step for step in steps if step.get("id") == "gate")
    assert used["uses"].endswith(f"@v{__version__}")
    assert set(used["with"]) <= set(inputs)
    install = next(step["run"] for step in steps if "pip install" in step.get("run", ""))
    assert install.endswith(f'@v{__version__}"')
    assert set(first["jobs"]["gate"]["env"]) == {"BENCH_CACHE", "BENCH_STORE"}
