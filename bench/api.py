"""The Python face of bench: the same runs and boards as the command line, as functions."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.inference.detector import DetectorRequest
from bench.inference.numerics import Numerics
from bench.inference.prediction import Prediction, predict_images
from bench.protocol.suite import Suite, load_suite
from bench.results.board import report
from bench.runs.request import RunRequest
from bench.runs.runner import RunResult, execute
from leaderboards import Board

DetectorLike = str | DetectorRequest


def run(
    detectors: DetectorLike | Sequence[DetectorLike],
    suite: str | Suite = "cross-generator",
    **options: Any,
) -> RunResult:
    """Run detectors over a suite; the Python form of ``bench run``.

    Args:
        detectors: One or several names, as after ``--detector``, or requests with weights.
        suite: A suite's name, the path of a TOML file, or a loaded suite.
        **options: Any further field of :class:`bench.runs.request.RunRequest` (``data``, ``out``,
            ``limit``, ``device``, ``seed``, ...) or of :class:`bench.inference.numerics.Numerics`
            (``precision``, ``exact``, ``compile``, ``threads``).

    Returns:
        The finished run, for :func:`leaderboard`.

    Raises:
        BenchError: On bad input; the message says the way out.
    """
    several = [detectors] if isinstance(detectors, str | DetectorRequest) else list(detectors)
    for name in ("data", "out", "store", "cache"):
        if options.get(name) is not None:
            options[name] = str(options[name]) if name == "data" else Path(options[name])
    arithmetic = {
        field.name: options.pop(field.name)
        for field in dataclasses.fields(Numerics)
        if field.name in options
    }
    return execute(
        RunRequest(
            numerics=Numerics(**arithmetic),
            detectors=tuple(
                DetectorRequest.spelled(d) if isinstance(d, str) else d for d in several
            ),
            suite=load_suite(suite) if isinstance(suite, str) else suite,
            **options,
        )
    )


def leaderboard(run: RunResult | str | Path) -> Board:
    """Give the board of a finished run, or of a run's folder (rebuilt from stored scores only)."""
    return run.board if isinstance(run, RunResult) else report(Path(run)).board


def predict(
    images: str | Path | Sequence[str | Path], detector: DetectorLike, **options: Any
) -> list[Prediction]:
    """Score images of your own; the Python form of ``bench predict``.

    Args:
        images: Files or folders.
        detector: A name as after ``--detector``, or a request with weights.
        **options: ``device``, ``batch_size``, ``precision`` and ``allow_untrained``.
    """
    paths = [images] if isinstance(images, str | Path) else list(images)
    request = DetectorRequest.spelled(detector) if isinstance(detector, str) else detector
    return predict_images([Path(path) for path in paths], request, **options)


def train(detector: str, data: str | Path, **options: Any) -> Path:
    """Train a detector; the Python form of ``bench train``.

    Args:
        detector: An architecture's name.
        data: A folder or file of images.
        **options: Any field of :class:`bench.training.settings.Settings` (``epochs``, ``lr``, ``init``, ...)
            or of :class:`bench.training.options.TrainOptions` (``out``, ``name``, ``device``, ...).

    Returns:
        The weights file, with its card beside it: a detector's name for :func:`run`.

    Raises:
        BenchError: On bad input; the message says the way out.
    """
    from bench.training.fit import train as fit  # noqa: PLC0415  (an extra)
    from bench.training.options import TrainOptions, TrainRequest  # noqa: PLC0415
    from bench.training.settings import make_settings  # noqa: PLC0415

    names = {field.name for field in dataclasses.fields(TrainOptions)}
    settings = {key: value for key, value in options.items() if key not in names}
    others = {key: value for key, value in options.items() if key in names}
    for name in ("out", "init_file", "cache"):
        if others.get(name) is not None:
            others[name] = Path(others[name])
    request = TrainRequest(
        make_settings({"detector": detector, **settings}), TrainOptions(data=str(data), **others)
    )
    return fit(request).plan.weights_file
