"""A third party's distribution, really installed, is found, run and checked like our own plug-ins."""

from __future__ import annotations

import json
import shutil
from importlib.metadata import EntryPoint
from pathlib import Path

import pandas as pd
import pytest

import bench as api
from bench import ReportPage, registry
from bench.errors import BenchError
from bench.results.html.plugin import plugin_sections
from leaderboards import Estimate, Metric
from leaderboards.plots.figure import new_figure
from leaderboards.statistics.plugins import metrics as extensions
from tests.plugin_session import commands, install

EXAMPLE = Path(__file__).parent / "plugin_package"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The example, installed from its own pyproject.toml into a folder of its own."""
    root = tmp_path_factory.mktemp("plugin")
    source = shutil.copytree(EXAMPLE, root / "source")
    return install(source, root / "site")


def test_an_installed_plug_in_runs_like_one_of_ours(installed, tree, tmp_path):
    kinds = {
        "detectors": "smoothness", "corruptions": "channel-swap", "attacks": "nudge", "layouts": "studio",
        "metrics": "youden", "pages": "worst", "defences": "quantise", "suites": "example-suite",
        "recipes": "example-recipe",
    }  # fmt: skip
    run = ["run", "--suite", "example-suite", "--data", str(tree), "--json", "-d"]
    lines = [
        [*run, "smoothness", "-d", "small:32"],
        [*run, "defended(smoothness,quantise)", "--out", "defended"],
        *(["ls", kind, "--json"] for kind in kinds),
    ]
    plain, defended, *lists = map(json.loads, commands(tmp_path, installed, lines))
    for cells in (plain["cells"], defended["cells"]):
        conditions = {c["condition"] for c in cells}
        assert conditions == {"clean", "channel-swap", "coarse(levels=16)", "nudge(eps=4/255)"}
        assert {c["status"] for c in cells} == {"ok"}
        assert all(-1 <= c["youden"] <= 1 for c in cells)
    for name, listed in zip(kinds.values(), lists, strict=True):
        assert name in {row["name"] for row in listed}


def a_metric(measure, name="odd", **facts):
    return Metric(name=name, title="Odd", formula="?", measure=measure, **facts)


def half(cell):
    return Estimate(0.5, 0.0, 1.0)


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        (a_metric(lambda cell: 1 / 0), "fails (ZeroDivisionError: division by zero)"),
        (a_metric(lambda cell: Estimate(7.0, 0.0, 1.0)), "gives 7, outside its bounds 0 to 1"),
        (a_metric(lambda cell: 0.5), "fails (TypeError"),
        (a_metric(half, headline=1), "a board is led by bench's own"),
        ("nonsense", "is no leaderboards.Metric"),
        (a_metric(half, "reason"), "is no leaderboards.Metric of that name"),
        ({"auc": a_metric(half, "auc")}, "two metrics have a column 'auc'"),
    ],
)
def test_a_metric_that_breaks_its_protocol_stops_a_run_before_it_begins(
    monkeypatch, tree, tmp_path, metric, said
):
    point = EntryPoint(name="odd", value="elsewhere", group="bench.metrics")
    monkeypatch.setattr(EntryPoint, "load", lambda point: metric)
    monkeypatch.setattr(extensions, "entry_points", lambda group: [point])
    extensions.offered_metrics.cache_clear()
    try:
        with pytest.raises(BenchError) as raised:
            api.run("genimage-cnn", suite="smoke", data=tree, out=tmp_path / "out")
    finally:
        monkeypatch.undo()
        extensions.offered_metrics.cache_clear()
    assert said in str(raised.value)
    assert "elsewhere" in str(raised.value)
    assert not (tmp_path / "out").exists()


def a_page(table, **facts):
    return ReportPage(title="A <line>", summary="s", table=table, **facts)


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (a_page(lambda evidence: 1 / 0), "ZeroDivisionError"),
        (a_page(lambda evidence: []), "table gives list"),
        (print, "not a bench.ReportPage"),
    ],
)
def test_a_page_that_fails_names_itself(monkeypatch, page, said):
    monkeypatch.setattr(registry, "pages", lambda: {"odd": page})
    with pytest.raises(BenchError, match="page 'odd'") as raised:
        list(plugin_sections("r1-", None))
    assert said in str(raised.value)


def test_a_page_draws_and_an_empty_one_is_left_out(monkeypatch):
    def draw(rows, width):
        figure = new_figure(width / 25.4, 1.0)
        figure.subplots().plot(rows["x"], rows["y"])
        return figure

    full = a_page(lambda evidence: pd.DataFrame({"x": [0.0, 1.0], "y": [1.0, 2.0]}), draw=draw)
    empty = a_page(lambda evidence: pd.DataFrame({"x": []}))
    monkeypatch.setattr(registry, "pages", lambda: {"full": full, "none": empty})
    (section,) = plugin_sections("r1-", None)
    assert section.name == "full"
    assert section.svg.startswith("<svg")
    assert "A &lt;line&gt;" in section.svg
    assert [cell.text for cell in section.table.rows[1]] == ["1", "2"]


def entry(name, value):
    return EntryPoint(name=name, value=value, group="bench.corruptions")


def test_two_plug_ins_of_one_name_are_an_error_that_names_both(monkeypatch):
    stranger = [entry("jpeg", "corruptions.noise:Noise")]
    monkeypatch.setattr(registry, "entry_points", lambda group: stranger)
    registry.corruptions.cache_clear()
    try:
        with pytest.raises(BenchError, match=r"corruptions\.jpeg and corruptions\.noise:Noise"):
            registry.corruptions()
    finally:
        monkeypatch.undo()
        registry.corruptions.cache_clear()


def test_a_plug_in_that_does_not_import_names_itself(monkeypatch):
    monkeypatch.setattr(
        registry, "entry_points", lambda group: [entry("broken", "no_such_module:X")]
    )
    registry.corruptions.cache_clear()
    try:
        with pytest.raises(BenchError, match="plug-in 'broken'"):
            registry.corruptions()
    finally:
        monkeypatch.undo()
        registry.corruptions.cache_clear()
