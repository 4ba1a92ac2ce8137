"""What the documents tell a reader to type works as written."""

from __future__ import annotations

import json
import re
import runpy
import shlex
from pathlib import Path

import pytest
import torch
import typer.main

import bench
from bench.cli.main import app
from bench.inference.detector import DetectorRequest
from bench.protocol.suite import Suite, load_suite
from bench.studies.recipe import load_recipe
from detectors.card import DetectorCard

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def commands(page):
    for block in blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            for part in line.split("#")[0].split("&&"):
                words = shlex.split(part)
                if words and Path(words[0]).name == "bench":
                    yield words[1:]


def test_the_quick_start_s_own_detector_runs(tree, tmp_path):
    code = next(
        block
        for block in blocks(ROOT / "docs" / "quickstart.md", "python")
        if "class Mine" in block
    )
    (tmp_path / "mine.py").write_text(code)
    suite = Suite(name="one", slices=["generator"], conditions=["clean", "fgsm(eps=4/255)"])
    run = bench.run(f"{tmp_path / 'mine.py'}:Mine", suite=suite, data=tree, out=tmp_path / "out")
    assert set(run.board.rows["status"]) == {"ok"}


def test_the_quick_start_s_own_detector_reads_its_weights(tree, tmp_path):
    page = ROOT / "docs" / "quickstart.md"
    (tmp_path / "mine.py").write_text(
        next(block for block in blocks(page, "python") if "class Mine" in block)
    )
    suite = Suite(name="one", slices=["generator"], conditions=["clean"])
    aucs = []
    for sign in (1, -1):
        network = torch.nn.Conv2d(3, 1, 3)
        torch.nn.init.zeros_(network.bias)
        torch.nn.init.zeros_(network.weight)
        network.weight.data[0, 0], network.weight.data[0, 2] = sign, -sign
        torch.save(network.state_dict(), tmp_path / "mine.pth")
        request = DetectorRequest(f"{tmp_path / 'mine.py'}:Mine", tmp_path / "mine.pth")
        run = bench.run(request, suite=suite, data=tree, out=tmp_path / "out")
        aucs.append(run.board.rows["auc"].iloc[0])
    assert aucs[0] == pytest.approx(1 - aucs[1])
    assert aucs[0] > 0.9


def test_the_quick_start_s_card_and_table_are_valid(tmp_path, tree):
    page = ROOT / "docs" / "quickstart.md"
    assert DetectorCard.model_validate(json.loads(blocks(page, "json")[0])).training_data
    assert blocks(page, "csv")[0].startswith("path,label,generator,domain,split\n")


def test_the_python_session_runs_as_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page = ROOT / "docs" / "python.md"
    source = "\n".join(blocks(page, "python"))
    (tmp_path / "session.py").write_text(source)
    scope = runpy.run_path(str(tmp_path / "session.py"))
    assert scope["verdict"].exit_code in {0, 10, 11, 12}
    assert "redness" in (tmp_path / "runs/objects/leaderboard.csv").read_text()
    assert "images" in capsys.readouterr().out


def test_the_suite_in_the_guide_is_a_suite(tmp_path):
    (tmp_path / "s.toml").write_text(blocks(ROOT / "docs" / "extending.md", "toml")[0])
    assert load_suite(str(tmp_path / "s.toml")).name == "my-suite"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_shown_exists_with_the_options_shown(page):
    root = typer.main.get_command(app)
    for words in commands(page):
        command = root
        while hasattr(command, "commands"):
            assert words[0] in command.commands, words
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        shown = {
            word for word in words if word.startswith("-") and not re.fullmatch(r"-?z.*", word)
        }
        assert shown <= known | {"--help"}, (page.name, shown - known)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_recipe_in_the_guide_is_a_recipe(tmp_path):
    (tmp_path / "mine.toml").write_text(blocks(ROOT / "docs" / "extending.md", "toml")[1])
    assert load_recipe(str(tmp_path / "mine.toml")).settings("resnet50", "small").epochs == 2


def test_the_table_of_published_methods_is_that_of_the_methods():
    """Made anew by `python docs/generate_published.py`."""
    scope = runpy.run_path(str(ROOT / "docs" / "generate_published.py"))
    page = (ROOT / "docs" / "published.md").read_text(encoding="utf-8")
    assert scope["replaced"](page) == page
    assert page.count("](https://") >= 20


def test_a_generated_page_is_written_or_compared(tmp_path, monkeypatch, capsys):
    ending = runpy.run_path(str(ROOT / "docs" / "write_page.py"))["write_or_check"]
    page = tmp_path / "page.md"
    monkeypatch.setattr("sys.argv", ["generate_x.py"])
    assert ending(page, "new\n", "/somewhere/docs/generate_x.py") == 0
    monkeypatch.setattr("sys.argv", ["generate_x.py", "--check"])
    assert ending(page, "new\n", "/somewhere/docs/generate_x.py") == 0
    assert ending(page, "newer\n", "/somewhere/docs/generate_x.py") == 1
    assert "is out of date: run python docs/generate_x.py" in capsys.readouterr().err
    assert page.read_text() == "new\n"
