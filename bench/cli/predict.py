"""``bench predict``: score images of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli import detector_options, options, values
from bench.cli.examples import examples
from bench.cli.output import Bar, put, put_json, say, table
from bench.cli.signals import stoppable
from bench.errors import EXIT_INCOMPLETE

if TYPE_CHECKING:
    from bench.inference.prediction import Prediction

EXAMPLES = examples(
    "bench predict photo.jpg folder/ --detector resnet50",
    "bench predict inbox/ -d trainings/vit.faces/vit.faces.safetensors --json",
    "bench predict photo.jpg -d resnet50 --weights my.pth --fake-logit z1-z0 --device cpu",
)

Images = Annotated[list[Path], typer.Argument(help="Images, or folders of images.")]
Detector = Annotated[
    str,
    typer.Option("--detector", "-d", envvar="BENCH_DETECTOR", help=options.DETECTOR_HELP),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        "-w",
        envvar="BENCH_WEIGHTS",
        help="Weights FILE (.safetensors or .pth), or FILE::PART where it holds several sets.",
    ),
]


def command(
    *,
    images: Images,
    detector: Detector,
    weights: Weights = None,
    fake_logit: options.FakeLogit = None,
    fake_label: detector_options.FakeLabels = [],
    ignore_label: detector_options.IgnoreLabels = [],
    processor: detector_options.Processors = [],
    input_rule: detector_options.Inputs = [],
    output: detector_options.Outputs = [],
    offline: detector_options.Offline = False,
    backbone: detector_options.Backbones = [],
    device: options.Device = "auto",
    batch_size: options.BatchSize = "auto",
    allow_untrained: options.AllowUntrained = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Score images with one detector: raw logit and verdict (logit > 0: AI-generated).

    A verdict is only as good as the detector on images like yours: look at its board first.
    """
    (request,) = detector_options.requests(
        [detector],
        weights=[] if weights is None else [str(weights)],
        fake_logit=fake_logit,
        fake_label=fake_label,
        ignore_label=ignore_label,
        processor=processor,
        input_rule=input_rule,
        output=output,
        offline=offline,
        backbone=backbone,
    )
    size = values.parse_batch_size(batch_size)
    from bench.inference.prediction import predict_images

    with stoppable("nothing was written"), Bar(quiet=quiet) as bar:
        predictions = predict_images(
            images,
            request,
            device=device,
            batch_size=size,
            allow_untrained=allow_untrained,
            progress=bar,
        )
    _print(predictions, as_json=as_json)
    logits = [prediction.logit for prediction in predictions if prediction.logit is not None]
    if len(logits) > 2 and len(set(logits)) > 1 and min(logits) >= 0 and max(logits) <= 1:
        say(
            f"warning: every score of {detector} lies within [0, 1]: they look like probabilities, not "
            "logits, and the verdicts above take them for logits"
        )
    unreadable = sum(prediction.logit is None for prediction in predictions)
    if unreadable:
        say(f"{unreadable} of {len(predictions)} images could not be read")
        raise typer.Exit(EXIT_INCOMPLETE)


def _print(predictions: list[Prediction], *, as_json: bool) -> None:
    import dataclasses

    if as_json:
        put_json([dataclasses.asdict(prediction) for prediction in predictions])
    else:
        put(table([_row(prediction) for prediction in predictions]))


def _row(prediction: Prediction) -> dict[str, str]:
    return {
        "logit": "n/a" if prediction.logit is None else f"{prediction.logit:+.3f}",
        "verdict": prediction.verdict + (f" ({prediction.reason})" if prediction.reason else ""),
        "image": prediction.path,
    }
