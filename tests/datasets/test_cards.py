"""Whose work a data set is: the card of a layout, where people look for it."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from bench.cli.main import app
from bench.datasets import builtin_layouts

PUBLISHED = {"cifake", "genimage", "forensynths", "ojha"}


def bench(*words) -> str:
    result = CliRunner().invoke(app, [*map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_layouts_of_published_data_sets_have_a_card_and_plain_ones_have_none():
    assert {name for name, layout in builtin_layouts().items() if layout.card} == PUBLISHED


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_a_card_is_whole(name):
    card = builtin_layouts()[name].card
    assert card.licence
    assert "\n" not in card.reference
    assert card.citation.startswith("@")
    assert card.citation.count("{") == card.citation.count("}")
    for field in ("title", "author", "year"):
        assert f"  {field} = {{" in card.citation


def test_show_tells_reference_licence_and_citation():
    shown = bench("show", "genimage")
    assert "arXiv:2306.08571" in shown
    assert "licence: none stated" in shown
    assert "    @inproceedings{zhu2023genimage," in shown
    assert json.loads(bench("show", "genimage", "--json"))["card"]["citation"].endswith("}")
    assert "card" not in bench("show", "generic")


def test_indexing_names_the_data_set_whose_layout_it_is(lay):
    root = lay([f"sdxl/val/{c}/0.png" for c in ("ai", "nature")])
    assert "the layout is that of: Zhu et al., GenImage" in bench("data", "index", root)
    card = json.loads(bench("data", "index", root, "--json"))["card"]
    assert card["reference"].startswith("Zhu et al.")


def test_indexing_a_plain_layout_names_none(lay):
    root = lay(["real/0.png", "fake/0.png"])
    assert "is that of" not in bench("data", "index", root)
    assert json.loads(bench("data", "index", root, "--json"))["card"] is None
