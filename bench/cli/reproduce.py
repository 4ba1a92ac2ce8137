"""``bench reproduce``: a study's trainings and tests, our figures beside its own."""

from __future__ import annotations

from pathlib import Path

import typer

from bench.cli import options
from bench.cli.output import Bar, put, put_json, say
from bench.errors import EXIT_INTERRUPTED, BenchError

EXAMPLE = "Example: bench reproduce S3b --data /data/CIFAKE --budget small"


def command(
    recipe: str = typer.Argument(..., help="A study (`bench ls recipes`) or TOML file."),
    data: str = typer.Option(
        ..., envvar="BENCH_DATA", help="Folder or file of the study's images."
    ),
    budget: str = typer.Option("", help="A lighter way the recipe names, such as small."),
    detector: str | None = typer.Option(None, "--detector", "-d", help="Only this network of it."),
    generators: str = typer.Option("", help="Generators to train on, separated by commas."),
    domains: str = typer.Option("", help="Domains to train on, separated by commas."),
    out: Path | None = typer.Option(
        None, "--out", "-o", help="Folder of everything; default reproductions/<recipe>."
    ),
    layout: str = typer.Option("auto", envvar="BENCH_LAYOUT", help="How the data is laid out."),
    init: Path | None = typer.Option(None, "--init", help="Weights FILE to start from."),
    from_scratch: bool = typer.Option(False, "--from-scratch", help="Start from random weights."),
    epochs: int | None = typer.Option(None, help="At most so many; recorded as a departure."),
    limit: int | None = typer.Option(None, help="At most so many training images; likewise."),
    leaks: str | None = typer.Option(
        None, help="Files both in training and in another split: error, drop or keep."
    ),
    seed: int | None = typer.Option(None, help="Of weights, order, augmentations and splits."),
    device: str = typer.Option("auto", envvar="BENCH_DEVICE", help=options.DEVICE_HELP),
    devices: int = typer.Option(1, help="How many; more than one trains by DDP."),
    workers: int = typer.Option(0, help="Processes that load data."),
    threads: int | None = typer.Option(None, help="Of torch on the CPU."),
    cache: Path | None = typer.Option(
        None, envvar="BENCH_CACHE", help="Folder of cached manifests and pixels."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print the figures as JSON."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="No remarks and no progress."),
) -> None:
    """Train a study's networks, run its suite on the test images, and print our figures beside the study's.

    After an interruption the same command goes on where it stopped.
    """
    if from_scratch and init is not None:
        raise BenchError("--from-scratch and --init contradict each other: give one")
    from bench.cli.train import given, names, placeholder
    from bench.studies.recipe import load_recipe
    from bench.studies.reproduction import reproduce
    from bench.training.request import TrainRequest

    changes = given(
        epochs=epochs, limit=limit, leaks=leaks, seed=seed, init="scratch" if from_scratch else None,
        generators=names(generators) or None, domains=names(domains) or None,
    )  # fmt: skip
    base = TrainRequest(
        settings=placeholder(), data=data, layout=layout, out=out, init_file=init, device=device,
        devices=devices, workers=workers, threads=threads, cache=cache,
    )  # fmt: skip
    try:
        with Bar(quiet=quiet) as bar:
            text, folder = reproduce(
                load_recipe(recipe), base, budget, changes, bar, detector=detector
            )
    except KeyboardInterrupt:
        say("interrupted: finished epochs and scores are kept, run the same command to go on")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if not text:  # a further process of a training on several devices
        return
    if as_json:
        import json

        put_json(json.loads((folder / "reproduction.json").read_text(encoding="utf-8")))
    else:
        put(text)
