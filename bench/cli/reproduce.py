"""``bench reproduce``: a study's trainings and tests, our figures beside its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli import options
from bench.cli.examples import examples
from bench.cli.output import Bar, put, put_json, say
from bench.cli.train import check_start
from bench.cli.values import drop_unset, split_names
from bench.errors import EXIT_INTERRUPTED

EXAMPLES = examples(
    "bench reproduce S3b --data /data/CIFAKE --budget small",
    "bench reproduce S5 --data /data/tiny-genimage --detector genimage-cnn --device cuda:0",
    "bench reproduce S4 --data pairs.csv --domains indoor --generators sd --out reproductions/indoor",
)

Study = Annotated[str, typer.Argument(help="A study (`bench ls recipes`) or TOML file.")]
Network = Annotated[
    str | None, typer.Option("--detector", "-d", help="Only this network of the study.")
]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Folder of everything; default reproductions/<recipe>."),
]


def command(
    *,
    recipe: Study,
    data: options.TrainingData,
    budget: options.Budget = "",
    detector: Network = None,
    generators: options.Generators = "",
    domains: options.Domains = "",
    out: Out = None,
    layout: options.Layout = "auto",
    init: options.Init = None,
    from_scratch: options.FromScratch = False,
    epochs: options.Epochs = None,
    limit: options.TrainingLimit = None,
    leaks: options.Leaks = None,
    seed: options.TrainingSeed = None,
    device: options.Device = "auto",
    devices: options.Devices = 1,
    workers: options.Workers = 0,
    threads: options.TorchThreads = None,
    cache: options.Cache = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a study's networks, run its suite on the test images, and print our figures beside the study's.

    After an interruption the same command goes on where it stopped. What is set otherwise than in the
    study is listed as a departure.
    """
    check_start(init, from_scratch=from_scratch)
    settings = drop_unset(
        epochs=epochs, limit=limit, leaks=leaks, seed=seed, init="scratch" if from_scratch else None,
        generators=split_names(generators), domains=split_names(domains),
    )  # fmt: skip
    from bench.studies.recipe import load_recipe
    from bench.studies.reproduction import reproduce
    from bench.training.options import TrainOptions

    train_options = TrainOptions(
        data=data, layout=layout, out=out, init_file=init, device=device, devices=devices,
        workers=workers, threads=threads, cache=cache,
    )  # fmt: skip
    study = load_recipe(recipe)
    try:
        with Bar(quiet=quiet) as bar:
            result = reproduce(study, train_options, budget, settings, bar, detector=detector)
    except KeyboardInterrupt:
        say("interrupted: finished epochs and scores are kept, run the same command to go on")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if result is None:  # a further process of a training on several devices
        return
    if as_json:
        put_json(result.facts)
    else:
        put(result.markdown)
