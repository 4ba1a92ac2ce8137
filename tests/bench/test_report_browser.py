"""The report in a browser: nothing said, nothing asked, keys and names work, and axe finds no fault."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.bench.browser import BROWSER, NO_BROWSER, Browser
from tests.bench.conftest import EVIL

AXE = Path(os.environ.get("BENCH_TEST_AXE") or "node_modules/axe-core/axe.min.js")
AUDIT = """
axe.run({runOnly: {type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}})
  .then(r => [r.violations.map(v => [v.id, v.nodes.length, v.nodes[0].html.slice(0, 200)]),
              r.passes.map(p => p.id)])
"""
pytestmark = pytest.mark.skipif(not BROWSER, reason=NO_BROWSER)
ROWS = """
Array.from(document.getElementById("r1-cells").tBodies[0].rows).filter(r => !r.hidden)
  .map(r => [r.cells[0].textContent, r.cells[3].textContent, r.cells[8].dataset.key])
"""
# What the count says as each generator is chosen, beside the condition that is.
FILTERED = """
(function () {
  var tool = document.querySelector("[data-for=r1-cells]"), choice = tool.querySelectorAll("select")[1];
  return Array.from(choice.options).slice(1).map(function (option) {
    choice.value = option.value; choice.dispatchEvent(new Event("change"));
    return tool.querySelector(".count").textContent;
  });
})()
"""
FOCUS = """
(function () { var e = document.activeElement;
  return [e.tagName, e.textContent, (e.closest("[data-for]") || e.closest("table") || {}).id || "",
          getComputedStyle(e).outlineStyle]; })()
"""


@pytest.fixture
def page(report_run, cli, tmp_path):
    """A report of a run with hostile names, with attacked pictures."""
    target = tmp_path / "r.html"
    code, _, err = cli("report", report_run, "-o", target)
    assert code == 12, err
    return target


def tab_to(browser, wanted, most=200):
    """Press Tab until the focus is where it is wanted."""
    for _ in range(most):
        browser.press("Tab")
        focus = browser.ask(FOCUS)
        if wanted(focus):
            return focus
    raise AssertionError("the keyboard does not get there")


def test_keys_sort_and_filter_and_names_are_text(page, tmp_path):
    with Browser(tmp_path / "profile") as browser:
        browser.window(1280, 900)
        browser.open(page)
        assert browser.ask("document.activeElement.tagName") == "BODY"
        browser.press("Tab")
        assert browser.ask("document.activeElement.textContent") == "Skip to the answer"
        browser.press("Enter")
        assert browser.ask("document.activeElement.id") == "main"
        focus = tab_to(browser, lambda f: f[:3] == ["BUTTON", "AUC", "r1-cells"])
        assert focus[3] != "none", "the focus is seen"
        browser.press("Enter")
        keys = [float(key) for *_, key in browser.ask(ROWS) if key]
        assert keys == sorted(keys, reverse=True)
        browser.press(" ")
        keys = [float(key) for *_, key in browser.ask(ROWS) if key]
        assert keys == sorted(keys)
        assert browser.ask("document.activeElement.parentElement.ariaSort") == "ascending"
        browser.ask(
            "Array.from(document.querySelectorAll('[data-for=r1-cells] select')).pop().focus()"
        )
        browser.press("ArrowDown")
        conditions = {condition for _, condition, _ in browser.ask(ROWS)}
        assert conditions == {"clean"}
        assert browser.ask(FILTERED) == ["2 of 16 rows"] * 2, (
            "a name with two spaces is filtered by"
        )
        assert browser.ask("document.title").startswith("Report")
        assert browser.ask("document.images.length") == browser.ask(
            "document.querySelectorAll('img[src^=\"data:image/jpeg\"]').length"
        )
        assert EVIL in browser.ask("document.body.textContent")
        assert browser.said == []
        assert [a for a in browser.asked if not a.startswith("data:")] == [page.as_uri()]


@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_no_violation_in_light_or_dark(width, page, tmp_path):
    if not AXE.is_file():
        pytest.skip(
            "no axe-core here: npm install axe-core, or set BENCH_TEST_AXE to its axe.min.js"
        )
    source = AXE.read_text(encoding="utf-8")
    with Browser(tmp_path / "profile") as browser:
        for scheme in ("light", "dark"):
            browser.window(width, 844, scheme)
            browser.open(page)
            browser.ask("document.querySelectorAll('details').forEach(d => { d.open = true; })")
            browser.ask(source + ";0")
            faults, passed = browser.ask(AUDIT)
            assert faults == [], scheme
            assert {"color-contrast", "html-has-lang", "image-alt"} <= set(passed)
            assert browser.ask("document.documentElement.scrollWidth <= window.innerWidth")
        assert browser.said == []


def test_paper_holds_every_row(page, tmp_path):
    with Browser(tmp_path / "profile") as browser:
        browser.open(page)
        browser.call("Emulation.setEmulatedMedia", media="print")
        assert (
            browser.ask("getComputedStyle(document.querySelector('header nav')).display") == "none"
        )
        browser.ask("window.dispatchEvent(new Event('beforeprint'))")
        assert (
            browser.ask("document.querySelectorAll('tr[hidden], details:not([open])').length") == 0
        )
        browser.ask("window.dispatchEvent(new Event('afterprint'))")
        assert browser.ask("document.querySelectorAll('details[open]').length") == 0
