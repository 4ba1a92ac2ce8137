"""Deselects the whole campaign unless it is asked for, and prints its table at the end."""

from __future__ import annotations

import json

from tests.faults.outcome import Outcome, table

PROPERTY = "fault"


def pytest_collection_modifyitems(config, items):
    if "faults" in config.option.markexpr:
        return
    whole = [item for item in items if item.get_closest_marker("faults")]
    if whole:
        config.hook.pytest_deselected(items=whole)
        items[:] = [item for item in items if not item.get_closest_marker("faults")]


def pytest_terminal_summary(terminalreporter):
    outcomes = [
        Outcome(**json.loads(value))
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == PROPERTY and getattr(report, "when", "") == "call"
    ]
    if not outcomes or (
        terminalreporter.config.option.verbose < 0
        and "faults" not in (terminalreporter.config.option.markexpr)
    ):
        return
    terminalreporter.section("faults")
    terminalreporter.write_line(table(outcomes))
    for outcome in outcomes:
        if outcome.word != "right":
            terminalreporter.write_line(
                f"{outcome.word}: {outcome.kind}: {outcome.case}: {outcome.why}"
            )
