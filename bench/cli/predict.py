"""``bench predict``: score images of one's own."""

from __future__ import annotations

from pathlib import Path

import typer

from bench.cli import options
from bench.cli.output import Bar, put, put_json, say, table
from bench.errors import EXIT_INCOMPLETE

EXAMPLE = "Example: bench predict photo.jpg folder/ --detector resnet50 --json"


def command(
    images: list[Path] = typer.Argument(..., help="Images, or folders of images."),
    detector: str = typer.Option(
        ..., "--detector", "-d", envvar="BENCH_DETECTOR", help=options.DETECTOR_HELP
    ),
    weights: Path | None = typer.Option(
        None, "--weights", "-w", envvar="BENCH_WEIGHTS", help="Weights FILE (.safetensors or .pth)."
    ),
    fake_logit: str | None = typer.Option(
        None, envvar="BENCH_FAKE_LOGIT", help=options.FAKE_LOGIT_HELP
    ),
    device: str = typer.Option("auto", envvar="BENCH_DEVICE", help=options.DEVICE_HELP),
    batch_size: str = typer.Option(
        "auto", envvar="BENCH_BATCH_SIZE", help="Images a batch, or auto."
    ),
    allow_untrained: bool = typer.Option(
        False, "--allow-untrained", help="Score with random weights: noise, on purpose."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="No remarks and no progress."),
) -> None:
    """Score images with one detector: raw logit and verdict (logit > 0: AI-generated).

    A verdict is only as good as the detector on images like yours: look at its board first.
    """
    direction = options.fake_logit(fake_logit)
    size = options.batch_size(batch_size)
    import dataclasses

    from bench.inference.detector import DetectorRequest
    from bench.inference.prediction import predict_images

    with Bar(quiet=quiet) as bar:
        done = predict_images(
            images,
            DetectorRequest(detector, weights, direction),
            device=device,
            batch_size=size,
            allow_untrained=allow_untrained,
            progress=bar,
        )
    if as_json:
        put_json([dataclasses.asdict(item) for item in done])
    else:
        put(
            table(
                [
                    {
                        "logit": "n/a" if item.logit is None else f"{item.logit:+.3f}",
                        "verdict": item.verdict + (f" ({item.reason})" if item.reason else ""),
                        "image": item.path,
                    }
                    for item in done
                ]
            )
        )
    unreadable = sum(item.logit is None for item in done)
    if unreadable:
        say(f"{unreadable} of {len(done)} images could not be read")
        raise typer.Exit(EXIT_INCOMPLETE)
