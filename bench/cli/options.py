"""Options that several commands share, each written once so that a flag means the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli import completion

DETECTOR_HELP = (
    "A name (`bench ls detectors`), arch.tag, timm/<model>, hf:<folder or owner/name>, "
    "path/to/file.py:Name, a trained FILE.safetensors, or FILE.onnx; as ALIAS=NAME[:WEIGHTS] to name it "
    "on the board yourself."
)

# What to score with
FakeLogit = Annotated[
    str | None,
    typer.Option(
        envvar="BENCH_FAKE_LOGIT",
        help="Which head output means AI-generated, for weights without a card: z, -z, z1-z0 or z0-z1.",
    ),
]
AllowUntrained = Annotated[
    bool,
    typer.Option(
        "--allow-untrained",
        help="Score detectors without trained weights: noise, on purpose.",
    ),
]
Device = Annotated[
    str,
    typer.Option(envvar="BENCH_DEVICE", help="auto (CUDA where there is one), cpu or cuda:N."),
]
BatchSize = Annotated[
    str,
    typer.Option(
        envvar="BENCH_BATCH_SIZE", help="Images a batch, or auto (halved when memory runs out)."
    ),
]

# Where images lie
Layout = Annotated[
    str,
    typer.Option(
        envvar="BENCH_LAYOUT",
        help="How the data is laid out: a name (`bench ls layouts`), or auto.",
        autocompletion=completion.layouts,
    ),
]
Columns = Annotated[
    str,
    typer.Option(
        envvar="BENCH_COLUMNS",
        metavar="OURS=THEIRS,...",
        help="Which columns of a table are which, such as label=target,fake=1,generator=model.",
    ),
]
Reals = Annotated[
    list[str],
    typer.Option(
        "--reals",
        envvar="BENCH_REALS",
        metavar="PATH",
        help="Folder, archive, file or URL of real images that lie elsewhere; all generators share them. "
        "Repeatable.",
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        envvar="BENCH_CACHE",
        help="Folder of cached manifests and pixels; the user's cache by default.",
    ),
]

# What to print
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
FormatJson = Annotated[bool, typer.Option("--json", help="The same as --format json.")]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="No remarks and no progress; errors and warnings still show."
    ),
]

Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        help="Say every second what is worked on, with times; the run's folder keeps it in run.log anyway.",
    ),
]

# What a finished run is read from
RunFolder = Annotated[Path, typer.Argument(help="The --out folder of a run.")]

# What a training is made of: `train` and `reproduce`
TrainingData = Annotated[
    str, typer.Option(envvar="BENCH_DATA", help="Folder, file or URL of images, or pocket.")
]
Generators = Annotated[
    str,
    typer.Option(help="Generators to train on, separated by commas; all by default."),
]
Domains = Annotated[
    str, typer.Option(help="Domains to train on, separated by commas; all by default.")
]
Budget = Annotated[str, typer.Option(help="A lighter way the recipe names, such as small.")]
Init = Annotated[
    Path | None,
    typer.Option(
        "--init", help="Weights FILE, or FILE::PART, to start from, in place of ImageNet's."
    ),
]
FromScratch = Annotated[bool, typer.Option("--from-scratch", help="Start from random weights.")]
Epochs = Annotated[int | None, typer.Option(help="Largest number of epochs.")]
TrainingLimit = Annotated[int | None, typer.Option(help="Largest number of training images.")]
Leaks = Annotated[
    str | None,
    typer.Option(help="Files both in training and in another split: error, drop or keep."),
]
TrainingSeed = Annotated[
    int | None, typer.Option(help="Seed of weights, order, augmentations and splits.")
]
Devices = Annotated[int, typer.Option(help="Number of devices; more than one trains by DDP.")]
Workers = Annotated[int, typer.Option(help="Processes that load data.")]
TorchThreads = Annotated[int | None, typer.Option(help="CPU threads of torch.")]
