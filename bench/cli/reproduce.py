"""``bench reproduce``: a study done again, or a published detector's test set; our figures beside theirs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli import completion, detector_options, options, run_options
from bench.cli.effect import refuse_without_effect
from bench.cli.examples import examples
from bench.cli.output import Bar, put, put_json, say
from bench.cli.train import check_start
from bench.cli.values import drop_unset, split_names
from bench.errors import EXIT_INTERRUPTED

if TYPE_CHECKING:
    from bench.inference.detector import DetectorRequest
    from bench.studies.published import PublishedOptions
    from bench.studies.reproduction import Reproduction

EXAMPLES = examples(
    "bench reproduce S3b --data /data/CIFAKE --budget small",
    "bench reproduce S4 --data pairs.csv --domains indoor --generators sd --out reproductions/indoor",
    "bench reproduce ferretnet-b --weights ferretnet-b-median-3.pth --data /data/ForenSynths/test",
)

Study = Annotated[
    str,
    typer.Argument(
        help="A study (`bench ls recipes`), its TOML file, or a published detector with --weights.",
        autocompletion=completion.recipes,
    ),
]
Network = Annotated[
    str | None, typer.Option("--detector", "-d", help="Only this network of the study.")
]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Folder of everything; default reproductions/<name>."),
]
Limit = Annotated[
    int | None,
    typer.Option(
        help="Largest number of training images; of a published detector, of images to score."
    ),
]
TestSet = Annotated[
    str | None,
    typer.Option(
        "--test-set",
        help="Test set of the paper to compare with; the one that shares most generators by default.",
    ),
]

# What only a training takes, and what only a published detector does.
_OF_TRAINING = (
    "--budget", "--detector", "--generators", "--domains", "--init", "--from-scratch", "--epochs",
    "--leaks", "--seed", "--devices", "--workers", "--threads",
)  # fmt: skip
_OF_PUBLISHED = ("--weights", "--backbone", "--input", "--fake-logit", "--test-set")


def command(
    context: typer.Context,
    *,
    recipe: Study,
    data: options.TrainingData,
    weights: run_options.Weights = [],
    backbone: detector_options.Backbones = [],
    input_rule: detector_options.Inputs = [],
    fake_logit: options.FakeLogit = None,
    test_set: TestSet = None,
    budget: options.Budget = "",
    detector: Network = None,
    generators: options.Generators = "",
    domains: options.Domains = "",
    out: Out = None,
    layout: options.Layout = "auto",
    init: options.Init = None,
    from_scratch: options.FromScratch = False,
    epochs: options.Epochs = None,
    limit: Limit = None,
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
    """Print our figures beside a study's, whose networks are trained, or beside a published detector's.

    After an interruption the same command goes on where it stopped. What is set otherwise than in the
    study or the paper is listed as a departure.
    """
    from bench.studies.published import PublishedOptions, is_study

    if not is_study(recipe):
        refuse_without_effect(
            context, *_OF_TRAINING, when=True, why=f"on {recipe}: of a published detector nothing is trained"
        )  # fmt: skip
        request = detector_options.one_request(
            recipe, weights=weights, fake_logit=fake_logit, fake_label=[], ignore_label=[], processor=[],
            input_rule=input_rule, output=[], backbone=backbone,
        )  # fmt: skip
        published = PublishedOptions(
            data=data, layout=layout, test_set=test_set, out=out, limit=limit, device=device, cache=cache
        )  # fmt: skip
        _put(_score(request, published, quiet=quiet), as_json=as_json)
        return
    refuse_without_effect(
        context, *_OF_PUBLISHED, when=True, why=f"on {recipe}: the networks of a study are trained"
    )
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
    _put(result, as_json=as_json)


def _score(request: DetectorRequest, published: PublishedOptions, *, quiet: bool) -> Reproduction:
    """Score a published detector's test set; an interruption leaves what is scored."""
    from bench.studies.published import reproduce_published

    try:
        with Bar(quiet=quiet) as bar:
            return reproduce_published(request, published, bar)
    except KeyboardInterrupt:
        say("interrupted: what is scored is kept, run the same command to go on")
        raise typer.Exit(EXIT_INTERRUPTED) from None


def _put(result: Reproduction, *, as_json: bool) -> None:
    if as_json:
        put_json(result.facts)
    else:
        put(result.markdown)
