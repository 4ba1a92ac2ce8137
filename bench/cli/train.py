"""``bench train``: train a detector, or every network of a study's recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli import completion, options
from bench.cli.examples import examples
from bench.cli.output import Bar, put, put_json, say, table
from bench.cli.values import drop_unset, parse_size, split_names
from bench.errors import EXIT_INTERRUPTED, BenchError

if TYPE_CHECKING:
    from bench.training.options import TrainOptions
    from bench.training.plan import Trained

EXAMPLES = examples(
    "bench train --detector cifake-cnn --size 44 --fit crop --from-scratch --data /data/CIFAKE",
    "bench train -d mobilenetv2_100 --data /data/GenImage --generators ADM -a 'jpeg(30..100)@0.5'",
    "bench train --recipe S3b --budget small --data /data/CIFAKE",
)

Recipe = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        "-r",
        envvar="BENCH_RECIPE",
        help="A study's name (S3b) or TOML file.",
        autocompletion=completion.recipes,
    ),
]
Detector = Annotated[
    str | None,
    typer.Option(
        "--detector",
        "-d",
        help="Architecture to train; of a recipe, the one network of it.",
        autocompletion=completion.detectors,
    ),
]
Name = Annotated[
    str | None, typer.Option(help="What the detector is called; default <arch>.<data set>.")
]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="The training's folder; default trainings/<name>."),
]
Size = Annotated[
    str | None, typer.Option(help="Side of the canvas in px, or HEIGHTxWIDTH, as 245x255.")
]
Fit = Annotated[str | None, typer.Option(help="resize, shortest-crop or crop.")]
Outputs = Annotated[int | None, typer.Option(help="Outputs of the head: 1 or 2.")]
Batch = Annotated[int | None, typer.Option(help="Images a step, over all devices.")]
LearningRate = Annotated[float | None, typer.Option("--lr", help="Learning rate at its highest.")]
Optimizer = Annotated[str | None, typer.Option(help="adam, adamw or sgd.")]
Schedule = Annotated[str | None, typer.Option(help="constant or cosine.")]
WeightDecay = Annotated[float | None, typer.Option(help="Weight decay; 0 by default.")]
LabelSmoothing = Annotated[
    float | None,
    typer.Option(help="Share of the target given to the other class; 0 by default."),
]
Clip = Annotated[float | None, typer.Option(help="Largest gradient norm; 0 leaves it alone.")]
EarlyStop = Annotated[
    int | None,
    typer.Option(help="Stop after so many epochs without a better validation AUC; 0 never."),
]
Augment = Annotated[
    list[str],
    typer.Option(
        "--augment",
        "-a",
        help="A corruption with ranges and probability: 'jpeg(30..100)@0.5', 'flip@0.5'. Repeatable.",
        autocompletion=completion.corruptions,
    ),
]
Val = Annotated[float | None, typer.Option(help="Share held out where there is no val split.")]
Precision = Annotated[str | None, typer.Option(help="fp32, bf16 or fp16 (mixed).")]
Half = Annotated[bool, typer.Option("--half", help="Store the weights in half precision.")]
Licence = Annotated[str, typer.Option(help="Licence of the weights, by SPDX name, for the card.")]
TensorBoard = Annotated[bool, typer.Option("--tensorboard", help="Write event files too.")]


def command(
    *,
    recipe: Recipe = None,
    detector: Detector = None,
    data: options.TrainingData,
    generators: options.Generators = "",
    domains: options.Domains = "",
    budget: options.Budget = "",
    name: Name = None,
    out: Out = None,
    layout: options.Layout = "auto",
    size: Size = None,
    fit: Fit = None,
    outputs: Outputs = None,
    epochs: options.Epochs = None,
    batch: Batch = None,
    lr: LearningRate = None,
    optimizer: Optimizer = None,
    schedule: Schedule = None,
    weight_decay: WeightDecay = None,
    label_smoothing: LabelSmoothing = None,
    clip: Clip = None,
    early_stop: EarlyStop = None,
    augment: Augment = [],
    val: Val = None,
    limit: options.TrainingLimit = None,
    leaks: options.Leaks = None,
    init: options.Init = None,
    from_scratch: options.FromScratch = False,
    precision: Precision = None,
    seed: options.TrainingSeed = None,
    device: options.Device = "auto",
    devices: options.Devices = 1,
    workers: options.Workers = 0,
    threads: options.TorchThreads = None,
    half: Half = False,
    licence: Licence = "unknown",
    tensorboard: TensorBoard = False,
    cache: options.Cache = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a detector: weights, card, record, log and curves in one folder.

    After an interruption the same command goes on where it stopped, and ends with the same weights.
    """
    check_start(init, from_scratch=from_scratch)
    settings = drop_unset(
        size=parse_size(size), fit=fit, outputs=outputs, epochs=epochs, batch=batch, lr=lr,
        optimizer=optimizer, schedule=schedule, weight_decay=weight_decay,
        label_smoothing=label_smoothing, clip=clip, early_stop=early_stop, augment=augment or None,
        val=val, limit=limit, leaks=leaks, precision=precision, seed=seed,
        init="scratch" if from_scratch else None, generators=split_names(generators),
        domains=split_names(domains),
    )  # fmt: skip
    from bench.training.options import TrainOptions

    train_options = TrainOptions(
        data=data, name=name, layout=layout, out=out, init_file=init, device=device, devices=devices,
        workers=workers, threads=threads, half=half, licence=licence, tensorboard=tensorboard, cache=cache,
    )  # fmt: skip
    try:
        trainings = _train(train_options, recipe, detector, budget, settings, quiet=quiet)
    except KeyboardInterrupt:
        say("interrupted: finished epochs are kept, run the same command to go on")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    _print(trainings, as_json=as_json)


def check_start(init: Path | None, *, from_scratch: bool) -> None:
    """Refuse two ways to start at once.

    Raises:
        BenchError: If both were asked for.
    """
    if from_scratch and init is not None:
        raise BenchError("--from-scratch and --init contradict each other: give one")


def _train(
    train_options: TrainOptions,
    recipe: str | None,
    detector: str | None,
    budget: str,
    settings: dict[str, Any],
    *,
    quiet: bool,
) -> list[Trained]:
    from bench.studies.trainings import list_trainings
    from bench.training.fit import train

    with Bar(quiet=quiet) as bar:
        requests = list_trainings(train_options, recipe, detector, budget, settings, progress=bar)
        return [train(request, bar) for request in requests]


def _print(trainings: list[Trained], *, as_json: bool) -> None:
    from bench.training.export import summary
    from bench.training.fit import is_first_process

    if not is_first_process():  # with several devices one process speaks for all
        return
    rows = [summary(training) for training in trainings]
    if as_json:
        put_json(rows)
    else:
        put(table(rows))
