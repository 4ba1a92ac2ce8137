"""Options of ``bench run`` alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli import completion
from bench.cli.config import load_config
from bench.cli.options import DETECTOR_HELP

Detectors = Annotated[
    list[str],
    typer.Option(
        "--detector",
        "-d",
        envvar="BENCH_DETECTOR",
        help=DETECTOR_HELP + " Repeatable.",
        autocompletion=completion.detectors,
    ),
]
SuiteName = Annotated[
    str,
    typer.Option(
        "--suite",
        "-s",
        envvar="BENCH_SUITE",
        help="A suite's name or TOML file.",
        autocompletion=completion.suites,
    ),
]
Data = Annotated[
    str | None,
    typer.Option(
        envvar="BENCH_DATA", help="Folder, file or URL of images; the suite's own set by default."
    ),
]
Split = Annotated[
    str | None,
    typer.Option(envvar="BENCH_SPLIT", help="Split to score, or all; the suite's by default."),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        envvar="BENCH_OUT",
        help="Folder of the results; default runs/<suite> or one beside it.",
    ),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Replace the board that another request left in the folder."),
]
Store = Annotated[
    str | None,
    typer.Option(
        envvar="BENCH_STORE",
        metavar="FOLDER[:PARENT...]",
        help="Folder of scores, to share between runs; default <out>/store. After colons: stores of others, "
        "folders or URLs, from which what they have is copied.",
    ),
]
Weights = Annotated[
    list[str],
    typer.Option(
        "--weights",
        "-w",
        envvar="BENCH_WEIGHTS",
        help="Weights FILE (.safetensors or .pth), FILE::PART where it holds several sets, "
        "or DETECTOR=FILE where there are several detectors.",
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        envvar="BENCH_LIMIT", help="Score about N images, stratified; stamped on the board."
    ),
]
Until = Annotated[
    str | None,
    typer.Option(
        envvar="BENCH_UNTIL",
        metavar="METRIC=WIDTH",
        help="Score in rounds, and stop each cell where the 95% interval of auc, accuracy or tpr_at_1_fpr is "
        "within WIDTH of its middle: auc=0.01.",
    ),
]
Tighten = Annotated[
    bool,
    typer.Option(
        "--continue",
        help="Go on in the folder of a run until another target; nothing is scored twice.",
    ),
]
Threshold = Annotated[
    str | None,
    typer.Option(
        envvar="BENCH_THRESHOLD",
        help="Instead of the suite's: a logit (0, 0.385), 'probability(0.385)', 'calibrate(split=val)', "
        "'fpr(0.01, split=val)' or oracle.",
    ),
]
Equalise = Annotated[
    str | None,
    typer.Option(
        envvar="BENCH_EQUALISE",
        help="Corruptions set before every condition, for both classes: 'resize(size=256)+jpeg(quality=90)'. "
        "The board shows raw and equalised side by side.",
        autocompletion=completion.corruptions,
    ),
]
Pairing = Annotated[
    str | None,
    typer.Option(
        envvar="BENCH_PAIRING",
        help="Reals each generator is compared with, instead of the suite's: layout, own, shared, or matched "
        "(same source photograph or prompt).",
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        envvar="BENCH_PRECISION",
        help="fp32 or bf16, of the forward pass; auto: bf16 where a check finds no difference; recorded.",
    ),
]
Exact = Annotated[
    bool,
    typer.Option(
        "--exact",
        help="Plain order of operations; by default batch norm is folded, logits within 1e-4.",
    ),
]
Compile = Annotated[
    bool,
    typer.Option(
        "--compile",
        help="Score with networks compiled by torch.compile: slow to start, needs a compiler; recorded.",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        envvar="BENCH_THREADS",
        help="CPU threads, each with a batch of its own; all cores by default. Scores do not depend on it.",
    ),
]
Seed = Annotated[
    int, typer.Option(envvar="BENCH_SEED", help="Seed of noise, random starts and --limit.")
]
Cluster = Annotated[
    str | None,
    typer.Option(
        envvar="BENCH_CLUSTER",
        help="Score on Dask workers: local:N, tcp://HOST:PORT, tls://HOST:PORT or slurm.toml.",
    ),
]
TlsCa = Annotated[
    Path | None,
    typer.Option(envvar="BENCH_TLS_CA", help="Certificate of the authority, for --cluster."),
]
TlsCert = Annotated[
    Path | None,
    typer.Option(envvar="BENCH_TLS_CERT", help="Certificate to show, for --cluster."),
]
TlsKey = Annotated[
    Path | None,
    typer.Option(envvar="BENCH_TLS_KEY", help="Key of that certificate, for --cluster."),
]
Isolate = Annotated[
    bool,
    typer.Option(
        "--isolate",
        help="Score each detector in a process of its own: a crash costs that detector's unit only.",
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        envvar="BENCH_TIMEOUT",
        metavar="SECONDS",
        help="Longest time of a unit (a detector and condition on up to 256 images), and of building a "
        "detector; a cell that takes longer fails, and a detector that does so three times in a row is "
        "given up there. Isolates.",
    ),
]
SaveAdversarial = Annotated[
    tuple[int, Path] | None,
    typer.Option(
        "--save-adversarial",
        metavar="N DIR",
        help="Write N image pairs of every detector and attack as PNG, with their difference.",
    ),
]
NoAudit = Annotated[
    bool,
    typer.Option(
        "--no-audit", help="Do not look, before scoring, whether the files tell real from fake."
    ),
]
DropDuplicates = Annotated[
    bool,
    typer.Option(
        "--drop-duplicates",
        help="Score every picture once: decode all, and leave copies out for every detector.",
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Say what would be done and about how long it takes; score nothing.",
    ),
]
ShowProfile = Annotated[
    bool,
    typer.Option(
        "--profile", help="Say where the time went, and the share of it that was networks."
    ),
]
Rates = Annotated[
    list[str],
    typer.Option(
        "--rate",
        metavar="[DETECTOR=]N",
        help="With --dry-run: forward passes a second, instead of timing them here.",
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        envvar="BENCH_CONFIG",
        is_eager=True,
        callback=load_config,
        help="TOML file with any of these flags; command line > BENCH_* > file.",
    ),
]
