"""A layout is one file: dropped among the others it is found, listed, shown and read by."""

from __future__ import annotations

import json
import sys

import pytest
from typer.testing import CliRunner

from bench.cli.main import app
from bench.datasets import layouts as package
from bench.datasets.open import layouts
from bench.errors import BenchError

DATED = '''
"""Folders that begin with a date: ``2024-generator``; ``1990-camera`` is real."""

from bench.datasets.layouts.base import DataCard, FolderLayout, Place
from bench.datasets.record import FAKE, REAL


class Dated(FolderLayout):
    name = "dated"
    summary = "<year>-<generator>, and what is older than 2014 is real"
    specificity = 25
    card = DataCard("Nobody, Folders by Year, 2024", "CC0", "@misc{nobody}")

    def places(self, tree):
        places = {}
        for folder in tree.folders:
            year, _, source = folder[0].partition("-")
            if year.isdecimal() and source:
                places[folder] = Place(FAKE if int(year) >= 2014 else REAL, source)
        return places


LAYOUTS = {"dated": Dated()}
'''


@pytest.fixture
def drop(tmp_path, monkeypatch):
    """drop(name, source): a module among the layouts, for this test only."""
    folder = tmp_path / "more_layouts"
    folder.mkdir()
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])

    def write(name: str, source: str) -> None:
        (folder / f"{name}.py").write_text(source, encoding="utf-8")
        monkeypatch.delitem(sys.modules, f"{package.__name__}.{name}", raising=False)
        forget()

    def forget() -> None:
        package.builtin_layouts.cache_clear()
        layouts.cache_clear()

    yield write
    forget()
    for path in folder.glob("*.py"):
        sys.modules.pop(f"{package.__name__}.{path.stem}", None)


def bench(*words) -> str:
    result = CliRunner().invoke(app, [*map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_one_file_adds_a_layout_everywhere(drop, lay):
    drop("dated", DATED)
    assert "dated" in bench("ls", "layouts")
    assert "Folders by Year" in bench("show", "dated")
    root = lay(["2024-sdxl/0.png", "1990-camera/0.png"])
    indexed = json.loads(bench("data", "index", root, "--json"))
    assert indexed["layout"] == "dated"
    assert indexed["pairing"] == {"sdxl": ["camera"]}
    assert indexed["card"]["licence"] == "CC0"


def test_a_leftover_folder_is_named_for_an_added_layout_too(drop, lay):
    drop("dated", DATED)
    root = lay(["2024-sdxl/0.png", "1990-camera/0.png", "samples/0.png"])
    result = CliRunner().invoke(app, ["data", "index", str(root)])
    assert isinstance(result.exception, BenchError)
    assert "1 of them (samples) lie in no folder" in str(result.exception)


def test_two_layouts_of_one_name_are_refused_and_both_named(drop):
    drop("dated", DATED)
    drop("twice", DATED)
    with pytest.raises(BenchError, match=r"'dated': .*layouts\.dated and .*layouts\.twice"):
        package.builtin_layouts()
