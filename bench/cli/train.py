"""``bench train``: train a detector, or every network of a study's recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bench.cli import options
from bench.cli.output import Bar, put, put_json, say, table
from bench.errors import EXIT_INTERRUPTED, BenchError

if TYPE_CHECKING:
    from bench.training.request import Trained

EXAMPLE = "Example: bench train --detector cifake-cnn --size 44 --fit crop --from-scratch --data /data/CIFAKE"


def command(
    recipe: str | None = typer.Option(
        None, "--recipe", "-r", envvar="BENCH_RECIPE", help="A study's name (S3b) or TOML file."
    ),
    detector: str | None = typer.Option(
        None,
        "--detector",
        "-d",
        help="Architecture to train; of a recipe, the one network of it.",
    ),
    data: str = typer.Option(..., envvar="BENCH_DATA", help="Folder or file of images, or pocket."),
    generators: str = typer.Option(
        "", help="Generators to train on, separated by commas; all by default."
    ),
    domains: str = typer.Option("", help="Domains to train on, separated by commas."),
    budget: str = typer.Option("", help="A recipe's lighter way, such as small."),
    name: str | None = typer.Option(
        None, help="What the detector is called; default <arch>.<data set>."
    ),
    out: Path | None = typer.Option(
        None, "--out", "-o", help="The training's folder; default trainings/<name>."
    ),
    layout: str = typer.Option("auto", envvar="BENCH_LAYOUT", help="How the data is laid out."),
    size: int | None = typer.Option(None, help="Side of the canvas in px."),
    fit: str | None = typer.Option(None, help="resize, shortest-crop or crop."),
    outputs: int | None = typer.Option(None, help="Outputs of the head: 1 or 2."),
    epochs: int | None = typer.Option(None, help="At most so many."),
    batch: int | None = typer.Option(None, help="Images a step, over all devices."),
    lr: float | None = typer.Option(None, "--lr", help="Learning rate at its highest."),
    optimizer: str | None = typer.Option(None, help="adam, adamw or sgd."),
    schedule: str | None = typer.Option(None, help="constant or cosine."),
    weight_decay: float | None = typer.Option(None, help="0 by default."),
    label_smoothing: float | None = typer.Option(None, help="0 by default."),
    clip: float | None = typer.Option(None, help="Largest gradient norm; 0 leaves it alone."),
    early_stop: int | None = typer.Option(
        None, help="Stop after so many epochs without a better validation AUC; 0 never."
    ),
    augment: list[str] | None = typer.Option(
        None,
        "--augment",
        "-a",
        help="A corruption with ranges and probability: 'jpeg(30..100)@0.5', 'flip@0.5'. Repeatable.",
    ),
    val: float | None = typer.Option(None, help="Share held out where there is no val split."),
    limit: int | None = typer.Option(None, help="At most so many training images."),
    leaks: str | None = typer.Option(
        None, help="Files both in training and in another split: error, drop or keep."
    ),
    init: Path | None = typer.Option(
        None, "--init", help="Weights FILE to start from, in place of ImageNet's."
    ),
    from_scratch: bool = typer.Option(False, "--from-scratch", help="Start from random weights."),
    precision: str | None = typer.Option(None, help="fp32, bf16 or fp16 (mixed)."),
    seed: int | None = typer.Option(None, help="Of weights, order, augmentations and splits."),
    device: str = typer.Option("auto", envvar="BENCH_DEVICE", help=options.DEVICE_HELP),
    devices: int = typer.Option(1, help="How many; more than one trains by DDP."),
    workers: int = typer.Option(0, help="Processes that load data."),
    threads: int | None = typer.Option(None, help="Of torch on the CPU."),
    half: bool = typer.Option(False, "--half", help="Store the weights in half precision."),
    licence: str = typer.Option("unknown", help="Of the weights, by SPDX name, for the card."),
    tensorboard: bool = typer.Option(False, "--tensorboard", help="Write event files too."),
    cache: Path | None = typer.Option(
        None, envvar="BENCH_CACHE", help="Folder of cached manifests and pixels."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print what was trained as JSON."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="No remarks and no progress."),
) -> None:
    """Train a detector: weights, card, record, log and curves in one folder.

    After an interruption the same command goes on where it stopped, and ends with the same weights.
    """
    changes = given(
        size=size, fit=fit, outputs=outputs, epochs=epochs, batch=batch, lr=lr, optimizer=optimizer,
        schedule=schedule, weight_decay=weight_decay, label_smoothing=label_smoothing, clip=clip,
        early_stop=early_stop, augment=augment or None, val=val, limit=limit, leaks=leaks,
        precision=precision, seed=seed,
        generators=names(generators) or None, domains=names(domains) or None,
        init="scratch" if from_scratch else None,
    )  # fmt: skip
    if from_scratch and init is not None:
        raise BenchError("--from-scratch and --init contradict each other: give one")
    from bench.studies.trainings import requests
    from bench.training.fit import is_first_process, train
    from bench.training.request import TrainRequest

    base = TrainRequest(
        settings=placeholder(), data=data, name=name, layout=layout, out=out, init_file=init,
        device=device, devices=devices, workers=workers, threads=threads, half=half, licence=licence,
        tensorboard=tensorboard, cache=cache,
    )  # fmt: skip
    done = []
    try:
        with Bar(quiet=quiet) as bar:
            for request in requests(base, recipe, detector, budget, changes, progress=bar):
                done.append(train(request, bar))
    except KeyboardInterrupt:
        say("interrupted: finished epochs are kept, run the same command to go on")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if is_first_process():
        _show(done, as_json=as_json)


def given(**values: Any) -> dict[str, Any]:
    """The options that were given."""
    return {key: value for key, value in values.items() if value is not None}


def names(text: str) -> list[str]:
    """Names separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def placeholder() -> Any:
    """Settings that nobody looks at: those of a recipe or of the options take their place."""
    from bench.training.settings import Settings

    return Settings(detector="")


def _show(done: list[Trained], *, as_json: bool) -> None:
    from bench.training.export import summary

    rows = [summary(one) for one in done]
    put_json(rows) if as_json else put(table(rows))
