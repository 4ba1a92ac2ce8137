"""A format is declared by the module that renders it; whoever lists formats reads the declarations."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bench.cli import board, export
from bench.results import formats
from bench.results.formats import choices, format_names, renderers


def test_commands_offer_what_the_renderers_declare():
    assert ("table", *format_names("FORMATS")) == board.FORMATS
    assert set(board.FORMATS) - {"table"} == set(renderers("FORMATS"))
    every = {
        name
        for kind in ("FORMATS", "METRIC_FORMATS", "MODEL_CARD_FORMATS")
        for name in renderers(kind)
    }
    assert every == {"md", "csv", "json", "latex", "hf"}
    assert set(export.FORMATS) == every | {export.SCORES}  # a table of images, not a board


def test_a_declaration_is_all_that_a_format_needs(tmp_path, monkeypatch):
    (tmp_path / "rst.py").write_text('import pandas\n\nFORMATS = {"rst": pandas.DataFrame}\n')
    monkeypatch.setattr(formats, "_folder", lambda: tmp_path)
    formats._declared.cache_clear()
    try:
        assert format_names("FORMATS") == ("rst",)
        assert format_names("METRIC_FORMATS") == ()
    finally:
        formats._declared.cache_clear()


def test_names_are_read_without_importing_what_renders_them():
    code = "import sys, bench.results.formats as f; f.format_names('FORMATS'); print('pandas' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


@pytest.mark.parametrize(("names", "text"), [(["md"], "md"), (["md", "csv"], "md or csv")])
def test_a_choice_reads_as_a_sentence(names, text):
    assert choices(names) == text
