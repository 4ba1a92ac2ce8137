"""Metrics that other distributions offer: entry points ``bench.metrics``, held to their protocol when loaded.

An entry point names a module with a literal ``METRICS = {"name": Metric(...)}``, that mapping, or one metric.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from leaderboards.statistics.operating import Estimate

if TYPE_CHECKING:
    from leaderboards.statistics.catalogue import Metric
    from leaderboards.statistics.measures import CellScores, Measure

GROUP: Final = "bench.metrics"
LITERAL: Final = "METRICS"


class MetricPluginError(ValueError):
    """A metric from elsewhere that cannot be loaded or breaks its protocol; the message says how."""


@functools.cache
def offered_metrics(known: Sequence[Metric], trials: Sequence[CellScores]) -> tuple[Metric, ...]:
    """Load the metrics of other distributions, in the order of their names; none is loaded twice.

    Args:
        known: The metrics that are there already; their columns are taken.
        trials: Cells on which a metric must answer before it is believed.

    Raises:
        MetricPluginError: One cannot be imported, is no metric, takes a column that is taken, or does not
            answer for a small cell; says which and what to do.
    """
    columns = {column: "bench" for metric in known for column in metric.columns}
    metrics = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        for name, value in sorted(_load(point).items()):
            metric = _checked(name, value, type(known[0]), point)
            for cell in trials:
                metric.measure(cell)
            for column in metric.columns:
                if column in columns:
                    raise MetricPluginError(
                        f"two metrics have a column {column!r}: {columns[column]} and {point.value}; "
                        "rename or uninstall one"
                    )
                columns[column] = point.value
            metrics.append(metric)
    return tuple(metrics)


def _load(point: EntryPoint) -> Mapping[str, Any]:
    try:
        value = point.load()
        if isinstance(value, ModuleType):
            value = getattr(value, LITERAL)
    except (Exception, SystemExit) as error:
        raise MetricPluginError(
            f"metric {point.name!r} ({point.value}) cannot be imported ({_line(error)}): mend or uninstall it"
        ) from error
    return value if isinstance(value, Mapping) else {point.name: value}


def _checked(name: str, value: Any, kind: type[Metric], point: EntryPoint) -> Metric:
    """Hold a metric to its protocol; its measure is watched from then on."""
    whose = f"metric {name!r} ({point.value})"
    if not isinstance(value, kind) or value.name != name or not name.isidentifier():
        raise MetricPluginError(
            f"{whose} is no leaderboards.Metric of that name, in letters, digits and underscores: mend it"
        )
    if value.headline is not None or value.block != "further":
        raise MetricPluginError(
            f"{whose} has a headline or a block: a board is led by bench's own metrics; leave both out"
        )
    return replace(value, measure=_watched(value, whose))


def _watched(metric: Metric, whose: str) -> Measure:
    """Wrap the measure so that what fails, or lies outside the metric's range, is an error that names it."""
    low, high = metric.bounds

    def measure(cell: CellScores) -> Estimate:
        try:
            estimate = Estimate(*(float(number) for number in metric.measure(cell)))
        except (Exception, SystemExit) as error:
            raise MetricPluginError(
                f"{whose} fails ({_line(error)}): mend or uninstall it"
            ) from error
        if not math.isnan(estimate.value) and not low <= estimate.value <= high:
            raise MetricPluginError(
                f"{whose} gives {estimate.value:g}, outside its bounds {low:g} to {high:g}: mend it"
            )
        return estimate

    measure.__doc__ = metric.measure.__doc__
    return measure


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
