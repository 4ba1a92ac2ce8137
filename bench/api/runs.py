"""Running, predicting and training, as functions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from bench.api.places import PathLike
from bench.errors import BenchError, nearest
from bench.inference.detector import DetectorRequest
from bench.inference.numerics import Numerics
from bench.inference.prediction import Prediction, predict_images
from bench.protocol.suite import Suite, load_suite
from bench.protocol.until import Until, parse_until
from bench.results.board import report
from bench.runs.request import RunRequest, Tls
from bench.runs.runner import RunResult, execute
from bench.store.shards import folders_of
from bench.support.objects.place import place_of
from bench.support.progress import Progress
from detectors.base import Detector
from leaderboards import Board

if TYPE_CHECKING:
    from torch import Tensor

    from detectors.inputs.spec import InputSpec

DetectorLike = str | DetectorRequest | Detector


class RunOptions(TypedDict, total=False):
    """What may be said of a run beside detectors and suite.

    Each key is the field of that name of :class:`bench.runs.request.RunRequest` or of
    :class:`bench.inference.numerics.Numerics`.
    """

    data: PathLike | None
    layout: str
    columns: Mapping[str, str]
    reals: Sequence[PathLike]
    split: str | None
    out: PathLike | None
    store: PathLike | None
    limit: int | None
    device: str
    batch_size: int | None
    seed: int
    allow_untrained: bool
    cache: PathLike | None
    cluster: str | None
    tls: Tls
    isolate: bool
    timeout: float | None
    audit: bool
    drop_duplicates: bool
    until: Until | str | None
    tighten: bool
    force: bool
    command: tuple[str, ...]
    precision: str
    exact: bool
    compile: bool
    threads: int | None


def run(
    detectors: DetectorLike | Sequence[DetectorLike],
    suite: str | Suite = "cross-generator",
    progress: Progress | None = None,
    **options: Unpack[RunOptions],
) -> RunResult:
    """Run detectors over a suite; the Python form of ``bench run``.

    Args:
        detectors: One or several: names as after ``--detector``, requests with weights, or detectors
            that have been built already.
        suite: A suite's name, the path of a TOML file, or a loaded suite.
        progress: Shows how the run goes on; silent by default.
        **options: See :class:`RunOptions`.

    Returns:
        The finished run, for :func:`leaderboard`.

    Raises:
        BenchError: On bad input; the message says the way out.
    """
    several = (
        list(detectors)
        if isinstance(detectors, Sequence) and not isinstance(detectors, str)
        else [detectors]
    )
    values: dict[str, Any] = dict(options)
    for name in values:
        if name not in RunOptions.__annotations__:
            known = nearest(name, [*RunOptions.__annotations__, "suite", "progress"])
            raise BenchError(f"bench.run has no option {name!r}: {known}")
    for name in ("out", "cache"):
        if values.get(name) is not None:
            values[name] = Path(values[name])
    if values.get("store") is not None:
        values["store"], values["parents"] = folders_of(str(values["store"]))
    if isinstance(values.get("until"), str):
        values["until"] = parse_until(values["until"])
    if values.get("data") is not None:
        values["data"] = str(values["data"])
    values["reals"] = tuple(place_of(place) for place in values.get("reals", ()))
    arithmetic = {
        field.name: values.pop(field.name)
        for field in dataclasses.fields(Numerics)
        if field.name in values
    }
    request = RunRequest(
        numerics=Numerics(**arithmetic),
        detectors=tuple(_request(each) for each in several),
        suite=load_suite(suite) if isinstance(suite, str) else suite,
        **values,
    )
    return execute(request, progress)


def detector(
    function: Callable[[Tensor], Tensor],
    *,
    input: str | InputSpec,  # noqa: A002  (the name of --input)
    name: str = "",
) -> Detector:
    """Make a detector of a function, for :func:`run` and :func:`predict`.

    Args:
        function: Takes (N, 3, h, w) float32 in [0, 1], gives (N,) raw logits, > 0 = AI-generated.
        input: How an image becomes such a canvas, as after ``--input``: ``shortest-crop(224)``, for example.
        name: What boards call it; the function's own name by default.

    Raises:
        BenchError: The input rule cannot be read.
    """
    from bench.protocol.input_rule import parse_input  # noqa: PLC0415
    from detectors.adapters.function import FunctionDetector  # noqa: PLC0415

    spec = parse_input(input) if isinstance(input, str) else input
    return FunctionDetector(function, spec, name)


def leaderboard(run: RunResult | PathLike) -> Board:
    """Give the board of a finished run, or of a run's folder (rebuilt from stored scores only)."""
    return run.board if isinstance(run, RunResult) else report(Path(run)).board


def predict(
    images: PathLike | Sequence[PathLike], detector: DetectorLike, **options: Any
) -> list[Prediction]:
    """Score images of your own; the Python form of ``bench predict``.

    Args:
        images: Files or folders.
        detector: A name as after ``--detector``, a request with weights, or a detector.
        **options: ``device``, ``batch_size`` and ``allow_untrained``.
    """
    paths = [images] if isinstance(images, str | Path) else list(images)
    return predict_images([Path(path) for path in paths], _request(detector), **options)


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


def _request(detector: object) -> DetectorRequest:
    if isinstance(detector, Detector):
        return DetectorRequest.of(detector)
    if isinstance(detector, str):
        return DetectorRequest.spelled(detector)
    if isinstance(detector, DetectorRequest):
        return detector
    name = getattr(detector, "__name__", type(detector).__name__)
    raise BenchError(
        f"{name} is no detector: pass a name, a detectors.Detector, or, of a function, "
        "bench.detector(function, input='shortest-crop(224)')"
    )
