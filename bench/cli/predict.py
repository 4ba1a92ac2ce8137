"""``bench predict``: score images of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli import completion, detector_options, options, values
from bench.cli.effect import refuse_without_effect
from bench.cli.examples import examples
from bench.cli.output import Bar, put, put_json, say, table
from bench.cli.signals import stoppable
from bench.errors import EXIT_INCOMPLETE, BenchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.inference.prediction import Loaded
    from bench.results.predictions.judging import Judged, Rule

EXAMPLES = examples(
    "bench predict photo.jpg folder/ --detector resnet50",
    "bench predict inbox/ -d resnet50 --calibrated runs/cross-generator --out inbox.html",
    "bench predict photo.jpg -d resnet50 --weights my.pth --fake-logit z1-z0 --threshold 0.385",
)

Images = Annotated[list[Path], typer.Argument(help="Images, or folders of images.")]
Detector = Annotated[
    str,
    typer.Option(
        "--detector",
        "-d",
        envvar="BENCH_DETECTOR",
        help=options.DETECTOR_HELP,
        autocompletion=completion.detectors,
    ),
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


Threshold = Annotated[
    str | None,
    typer.Option(
        "--threshold",
        help="Call AI-generated what scores above it: a logit such as 0.385, or 'probability(0.385)'; "
        "0 by default.",
    ),
]
Calibrated = Annotated[
    Path | None,
    typer.Option(
        "--calibrated",
        metavar="RUN",
        help="Folder of a run of this detector: its real images set the threshold, its errors are those to "
        "expect, its scores make probabilities.",
    ),
]
Fpr = Annotated[
    float,
    typer.Option(
        "--fpr", help="With --calibrated: share of real images that may be called AI-generated."
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Write FILE.csv, FILE.json or FILE.html (a gallery) instead."),
]
NoImages = Annotated[
    bool,
    typer.Option("--no-images", help="No thumbnails in the gallery, where images may not leave."),
]


def command(
    context: typer.Context,
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
    threshold: Threshold = None,
    calibrated: Calibrated = None,
    fpr: Fpr = 0.01,
    out: Out = None,
    no_images: NoImages = False,
    device: options.Device = "auto",
    batch_size: options.BatchSize = "auto",
    allow_untrained: options.AllowUntrained = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Score images with one detector: raw logit and verdict (logit above the threshold: AI-generated).

    A verdict is only as good as the detector on images like yours: look at its board first, and give a run
    on such images with --calibrated. Counts, the threshold and warnings go to stderr.
    """
    _refuse_without_effect(context, threshold, calibrated, fpr, out)
    request = detector_options.one_request(
        detector,
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
    from bench.inference.prediction import find_images, load_detector, score_images
    from bench.results.predictions.judging import counts, doubts, judge

    files = find_images(images)
    with stoppable("nothing was written"), Bar(quiet=quiet) as bar:
        loaded = load_detector(request, device=device, allow_untrained=allow_untrained)
        rule = _rule(loaded, threshold, calibrated, fpr)
        warnings = [*doubts(loaded.detector.card, loaded.label), *_cautions(rule)]
        for warning in warnings:
            bar.warn(warning)
        predictions = score_images(files, loaded, batch_size=size, progress=bar)
    judged = judge(predictions, rule)
    for warning in (late := _like_probabilities(detector, judged)):
        say(warning)
    warnings += late
    if out is not None:
        _write(out, judged, rule, loaded.label, warnings, images=not no_images)
    if as_json or out is None:
        _print(judged, as_json=as_json)
    unreadable = sum(image.logit is None for image in judged)
    if not quiet:
        say(counts(judged))
        say(rule.sentence)
        if out is not None:
            say(f"written: {out}")
    if unreadable:
        say(f"{unreadable} of {len(judged)} images could not be read")
        raise typer.Exit(EXIT_INCOMPLETE)


def _refuse_without_effect(
    context: typer.Context,
    threshold: str | None,
    calibrated: Path | None,
    fpr: float,
    out: Path | None,
) -> None:
    if threshold is not None and calibrated is not None:
        raise BenchError("--threshold and --calibrated both set the threshold: give one of them")
    if not 0 < fpr < 1:
        raise BenchError(f"--fpr {fpr:g}: give a share between 0 and 1, such as 0.01")
    if out is not None and out.suffix.lower() not in _WRITERS:
        raise BenchError(f"--out {out}: give a file that ends in .csv, .json or .html")
    refuse_without_effect(
        context,
        "--fpr",
        when=calibrated is None,
        why="without --calibrated RUN, whose real images set it",
    )
    is_gallery = out is not None and out.suffix.lower() in (".html", ".htm")
    refuse_without_effect(
        context,
        "--no-images",
        when=not is_gallery,
        why="without --out FILE.html, which alone has images",
    )


def _rule(loaded: Loaded, threshold: str | None, calibrated: Path | None, fpr: float) -> Rule:
    """Settle how a logit becomes a verdict, before anything is scored."""
    from bench.results.predictions.judging import Rule, threshold_of

    if calibrated is None:
        return Rule() if threshold is None else Rule(threshold_of(threshold))
    from bench.inference.prediction import identity_of
    from bench.results.predictions.calibrated import calibrate

    calibration = calibrate(
        calibrated, loaded.detector.card, identity_of(loaded), label=loaded.label, fpr=fpr
    )
    return Rule(calibration.threshold, calibration)


def _cautions(rule: Rule) -> list[str]:
    """Give the warnings of the run that the rule rests on."""
    cautions = rule.calibration.cautions if rule.calibration is not None else ()
    return [f"the run that it is calibrated on: {caution}" for caution in cautions]


def _like_probabilities(detector: str, judged: Sequence[Judged]) -> list[str]:
    logits = [image.logit for image in judged if image.logit is not None]
    if len(logits) > 2 and len(set(logits)) > 1 and min(logits) >= 0 and max(logits) <= 1:
        return [
            f"warning: every score of {detector} lies within [0, 1]: they look like probabilities, not "
            "logits, and the verdicts above take them for logits"
        ]
    return []


_WRITERS = (".csv", ".json", ".html", ".htm")


def _write(
    out: Path, judged: list[Judged], rule: Rule, label: str, warnings: list[str], *, images: bool
) -> None:
    from bench.results.predictions.gallery import gallery
    from bench.results.predictions.tables import to_csv, to_json
    from bench.support.files import write_text

    form = out.suffix.lower()
    if form == ".csv":
        text = to_csv(judged)
    elif form == ".json":
        text = to_json(judged, rule, label)
    else:
        text = gallery(judged, rule, detector=label, warnings=warnings, images=images)
    write_text(out, text)


def _print(judged: list[Judged], *, as_json: bool) -> None:
    import dataclasses

    if as_json:
        put_json([dataclasses.asdict(image) for image in judged])
    else:
        has_probability = any(image.probability is not None for image in judged)
        put(table([_row(image, has_probability=has_probability) for image in judged]))


def _row(image: Judged, *, has_probability: bool) -> dict[str, str]:
    probability = {
        "probability": "n/a" if image.probability is None else f"{image.probability:.3f}"
    }
    if image.logit is None:
        verdict = f"{image.verdict} ({image.reason})" if image.reason else image.verdict
    else:
        verdict = image.statement
    return {
        "logit": "n/a" if image.logit is None else f"{image.logit:+.3f}",
        **(probability if has_probability else {}),
        "verdict": verdict,
        "image": image.path,
    }
