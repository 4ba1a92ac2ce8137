"""Comparing, gating and exporting finished runs, as functions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from bench.api.places import PathLike
from bench.errors import BenchError, nearest
from bench.runs.runner import RunResult

if TYPE_CHECKING:
    from bench.results.comparison import Comparison
    from bench.results.gate import GateResult


class GateOptions(TypedDict, total=False):
    """Rules of a gate that override those of its file; see :mod:`bench.results.gating.rules`."""

    mode: str
    metric: str
    margin: float


def compare(*runs: RunResult | PathLike, metric: str = "auc") -> Comparison:
    """Compare detectors on the same images; the Python form of ``bench compare``.

    Args:
        *runs: Runs, their folders, or baselines; the first detector is the reference.
        metric: Metric to compare.

    Raises:
        BenchError: Runs that cannot be compared, or an unknown metric.
    """
    from bench.results.comparison import compare as compared  # noqa: PLC0415

    return compared([_folder(run) for run in runs], metric)


def gate(
    candidate: RunResult | PathLike,
    baseline: RunResult | PathLike,
    *,
    rules: PathLike | None = None,
    floors: Mapping[str, float] | None = None,
    **overrides: Unpack[GateOptions],
) -> GateResult:
    """Hold a run against a baseline, image by image; the Python form of ``bench gate``.

    Args:
        candidate: The run to judge, or its folder.
        baseline: Another run, its folder, or a ``baseline.json``.
        rules: TOML file of rules; ``None`` takes ``gate.toml`` of the working folder where there is one.
        floors: ``METRIC[@CONDITION]`` to the least value of the lower bound.
        **overrides: See :class:`GateOptions`.

    Raises:
        BenchError: The two cannot be compared, or a rule is wrong.
    """
    from bench.results.gate import gate as gated  # noqa: PLC0415
    from bench.results.gate import load_rules  # noqa: PLC0415

    said = [f"{key}={value}" for key, value in (floors or {}).items()]
    loaded = load_rules(None if rules is None else Path(rules), dict(overrides), said)
    return gated(_folder(candidate), _folder(baseline), loaded)


def export(run: RunResult | PathLike, form: str, metric: str = "auc") -> str:
    """Render a run's board as one text; the Python form of ``bench export``.

    Args:
        run: A run, or its folder.
        form: Name of a format: ``md``, ``csv``, ``json``, ``latex`` and whatever plug-ins add.
        metric: What to show, where the format shows one metric only.

    Raises:
        BenchError: If the folder is no run, or there is no such format or metric.
    """
    from bench.results.export import export as exported  # noqa: PLC0415
    from bench.results.formats import format_names  # noqa: PLC0415

    known = format_names("FORMATS", "METRIC_FORMATS")
    if form not in known:
        raise BenchError(f"no format called {form!r}: {nearest(form, known)}")
    return exported(_folder(run), form, metric).texts[form]


def _folder(run: RunResult | PathLike) -> Path:
    return run.folder if isinstance(run, RunResult) else Path(run)
