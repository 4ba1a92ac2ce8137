"""A plan as rows, one a scenario, for programs; and as tables, one line a fact, for people."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from bench.runs.scale.rates import Rates
from bench.runs.scale.simulation import Scenario
from leaderboards.render.text import table

Value = str | int | float | None

_GB = 1e9


def rows(scenarios: Sequence[Scenario]) -> list[dict[str, Value]]:
    """Give one row a scenario: counts, hours, shares of the clock in [0, 1], bytes; absent is ``None``."""
    return [_row(scenario) for scenario in scenarios]


def _row(plan: Scenario) -> dict[str, Value]:
    return {
        "images": plan.load.images,
        "workers": plan.load.workers,
        "chunks": plan.counts.chunks,
        "tasks": plan.counts.tasks,
        "units": plan.counts.units,
        "scores": plan.counts.scores,
        "images_read": plan.counts.decodes,
        "device_hours": plan.device_hours,
        "hours_at_least": plan.hours,
        "hours_simulated": plan.simulated,
        "devices_idle": 1 - plan.share("devices"),
        **{f"{name.replace(' ', '_')}_busy": plan.share(name) for name in _SHARES},
        "held_by": plan.held_by,
        "workers_one_client_feeds": plan.feeds,
        "store_files": plan.counts.units,
        "store_bytes": plan.store_bytes,
        "plan_bytes": plan.plan_bytes,
        "board_in_passes": plan.board.in_passes,
        "board_bytes": plan.board.memory,
        "board_disk_bytes": plan.board.disk,
        "board_core_hours": plan.board.hours,
        "breaks_first": next(iter(plan.beyond), None),
        "beyond": "; ".join(f"{name} {ratio:.3g}x" for name, ratio in plan.beyond.items()) or None,
    }


_SHARES = ("cores", "reading images", "sending tasks", "writing shards")


def markdown(scenarios: Sequence[Scenario]) -> str:
    """Lay out one table for each number of images: one row a fact, one column a number of workers."""
    parts = []
    for images, group in itertools.groupby(scenarios, key=lambda plan: plan.load.images):
        columns = [(f"{plan.load.workers:,}", _facts(plan)) for plan in group]
        head = [f"{images:,} images, workers", *(name for name, _ in columns)]
        names = columns[0][1]
        parts.append("\n".join(table(head, [[n, *(c[n] for _, c in columns)] for n in names])))
    return "\n".join(parts)


def rates_markdown(rates: Rates) -> str:
    """Lay out the figures that a plan rests on, with where they come from."""
    lines = rates.lines()
    return "\n".join(table(list(lines[0]), [list(line.values()) for line in lines], left=3))


def _facts(plan: Scenario) -> dict[str, str]:
    """Write the facts of one scenario, in the order in which they are read."""
    counts = plan.counts
    simulated = {} if plan.simulated is None else {"hours, simulated": _hours(plan.simulated)}
    return {
        "chunks": f"{counts.chunks:,}",
        "tasks": f"{counts.tasks:,}",
        "scores": f"{counts.scores:,}",
        "device hours": _hours(plan.device_hours),
        "hours, at least": _hours(plan.hours),
        **simulated,
        "devices idle": f"{1 - plan.share('devices'):.0%}",
        **{f"busy: {name}": f"{plan.share(name):.1%}" for name in _SHARES},
        "held by": plan.held_by,
        "workers that one client feeds": f"{plan.feeds:,.0f}",
        "files of the store": f"{counts.units:,}",
        "size of the store": f"{plan.store_bytes / _GB:,.3g} GB",
        "images read": f"{counts.decodes:,}",
        "memory of the plan": f"{plan.plan_bytes / _GB:,.3g} GB",
        "the board is made in": "passes over files" if plan.board.in_passes else "memory",
        "memory of the board": f"{plan.board.memory / _GB:,.3g} GB",
        "disk for the board": f"{plan.board.disk / _GB:,.3g} GB",
        "board, hours of a core": _hours(plan.board.hours),
        "breaks first": _beyond(plan),
    }


def _hours(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.3g}"


def _beyond(plan: Scenario) -> str:
    return next((f"{name}, {ratio:.2g}x" for name, ratio in plan.beyond.items()), "nothing")
