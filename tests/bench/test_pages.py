"""Each block of commands in the pages runs on the embedded data or says why it cannot; tutorials run here."""

from __future__ import annotations

import csv
import re
import runpy
import shlex

import pytest

from tests import pages


def test_every_block_runs_or_says_why():
    found = pages.blocks()
    counts = {
        "tested elsewhere": sum(
            b.page in (*pages.GENERATED, *pages.TESTED_ELSEWHERE) for b in found
        ),
        "runs": sum(map(len, pages.runnable().values())),
        "says why": sum(
            bool(b.reason) and b.page not in (*pages.GENERATED, *pages.TESTED_ELSEWHERE)
            for b in found
        ),
    }
    assert sum(counts.values()) == len(found), counts
    assert set(pages.TUTORIALS) < set(pages.runnable())
    assert counts["runs"] >= 14


def test_the_readme_s_blocks_are_ci_s_or_say_why():
    text = (pages.ROOT / "README.md").read_text(encoding="utf-8")
    commands = text.partition("<!-- commands -->")[2].partition("<!-- end -->")[0]
    for block in pages.blocks():
        assert block.page != "README.md" or block.text in commands or block.reason, block


def run(cli, block):
    """Run the commands of a block one after the other; the last ends as the page says."""
    lines = block.text.replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    commands = [each for each in words if each]
    outputs = []
    for i, (program, *arguments) in enumerate(commands):
        assert program == "bench"
        code, out, err = cli(*arguments)
        assert code == (block.code if i == len(commands) - 1 else 0), (arguments, err)
        outputs.append(out + err)
    return outputs


@pytest.mark.slow
@pytest.mark.timeout(900)  # nine commands on whole splits
def test_the_tutorials_and_the_example_run_as_written(cli, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("CI", raising=False)  # where a baseline is never moved
    pages.prepare(tmp_path)
    chosen = pages.runnable()
    played = (*pages.TUTORIALS, "docs/example.md")
    said = {page: [run(cli, block) for block in chosen[page]] for page in played}
    researcher, engineer, safety = (said[page] for page in pages.TUTORIALS)
    assert "verify: same" in researcher[-1][0]
    assert "0.781 {" in researcher[2][0]
    assert "gate: PASS" in engineer[1][1]
    assert "gate: FAIL" in engineer[2][1]
    assert "| FAIL" in engineer[2][1]
    assert "-0.1091 [-0.1452, -0.0731]" in engineer[2][1]
    assert "threshold: logit 3.69134, 1 % FPR on pocket (test)" in safety[1][0]
    with (tmp_path / "scores.csv").open(
        newline=""
    ) as file:  # the example's own table replaced the inbox's
        assert "logit" in next(csv.reader(file))
    (code,) = re.findall(
        r"```python\n(.*?)```", (pages.ROOT / "docs/example.md").read_text(), re.DOTALL
    )
    (tmp_path / "example.py").write_text(code)
    scope = runpy.run_path(str(tmp_path / "example.py"))
    assert scope["accuracy"] == pytest.approx(float(scope["board"]["accuracy"]), abs=1e-6)
    assert scope["auc"] == pytest.approx(float(scope["board"]["auc"]), abs=1e-6)
    assert "AUC" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["boards", "metrics"])
def test_generated_pages_are_up_to_date(name):
    scope = runpy.run_path(str(pages.ROOT / "docs" / f"generate_{name}.py"))
    assert (pages.ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8") == scope["render"]()


def test_every_page_is_in_the_site_s_navigation():
    listed = set(re.findall(r"([\w/-]+\.md)", (pages.ROOT / "docs/site/mkdocs.yml").read_text()))
    written = {
        p.relative_to(pages.ROOT / "docs").as_posix() for p in (pages.ROOT / "docs").rglob("*.md")
    }
    assert listed == written
