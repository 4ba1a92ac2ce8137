"""``bench plan``: what a run of millions of images on many workers takes, and what gives way first."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.effect import refuse_without_effect
from bench.cli.examples import examples
from bench.cli.output import put, put_json
from bench.cli.values import check_choice, parse_counts, parse_figures, parse_rates, parse_size

if TYPE_CHECKING:
    from bench.runs.scale.rates import Rates
    from bench.runs.scale.simulation import Scenario

EXAMPLES = examples(
    "bench plan --images 2.6M --workers 8",
    "bench plan --simulate --images 2.6M,100M --workers 1,10,100,1000 --rate resnet50=2400 --rate vit=900",
    "bench plan --simulate --device cpu --cores 32 --workers 4 --figure write_ms=12 --format csv",
)

Images = Annotated[
    str, typer.Option(metavar="N[,N...]", help="Images, as 50000, 2.6M or several with commas.")
]
Workers = Annotated[
    str,
    typer.Option(
        metavar="N[,N...]", help="Workers of --cluster: one a GPU, or one a machine without GPU."
    ),
]
Detectors = Annotated[
    int, typer.Option(min=1, help="Number of detectors, where no --rate names them.")
]
Conditions = Annotated[int, typer.Option(min=1, help="Number of conditions, attacks among them.")]
Gradients = Annotated[
    int, typer.Option(min=0, help="Gradients an image and detector, over all conditions.")
]
Size = Annotated[str, typer.Option(metavar="HxW", help="Size of the images, in px.")]
Device = Annotated[str, typer.Option(help="cuda or cpu: where a worker's networks run.")]
Cores = Annotated[int, typer.Option(min=1, help="Cores of a worker.")]
BatchSize = Annotated[
    int | None, typer.Option(min=1, help="Images in a batch; by default that of the device.")
]
RateOption = Annotated[
    list[str],
    typer.Option(
        "--rate",
        metavar="[DETECTOR=]N",
        help="Forward passes a second of one worker. Not given: those of resnet50 here and on an H100.",
    ),
]
Figures = Annotated[
    list[str],
    typer.Option(
        "--figure",
        metavar="NAME=N",
        help="Another figure in place of ours; the second table names them all.",
    ),
]
Simulate = Annotated[
    bool, typer.Option("--simulate", help="Simulate the clock task by task, beside the bound.")
]
Format = Annotated[str, typer.Option("--format", "-f", help="md, csv or json.")]


def command(
    context: typer.Context,
    *,
    images: Images = "2.6M",
    workers: Workers = "1",
    detectors: Detectors = 3,
    conditions: Conditions = 13,
    gradients: Gradients = 0,
    size: Size = "375x500",
    device: Device = "cuda",
    cores: Cores = 16,
    batch_size: BatchSize = None,
    rate: RateOption = [],
    figure: Figures = [],
    simulate: Simulate = False,
    form: Format = "md",
) -> None:
    """Plan a run far larger than this machine: tasks, hours, store, memory, and what gives way first.

    Nothing is read or scored, and every figure says where it was measured; ASSUMED means nowhere. What
    `bench run --dry-run` times here for data that exist, this counts for any number of images and workers.
    Left out: the start of workers, failures, and images of other sizes than --size.
    """
    check_choice("--format", form, ("md", "csv", "json"))
    check_choice("--device", device, ("cuda", "cpu"))
    rates_given = parse_rates(rate)
    named = any(rates_given)
    why = "beside rates that name detectors: give one of them"
    refuse_without_effect(context, "--detectors", when=named, why=why)
    counts = [parse_counts("--images", images), parse_counts("--workers", workers)]
    from bench.inference.batches import AUTO_BATCH
    from bench.runs.scale.counts import Load
    from bench.runs.scale.rates import rates_of
    from bench.runs.scale.simulation import Worker, scenario

    gpu = device == "cuda"
    rates = rates_of(
        rates_given, detectors, gpu=gpu, cores=cores, figures=parse_figures("--figure", figure)
    )
    side = parse_size(size)
    height, width = side if isinstance(side, tuple) else (side or 1, side or 1)
    scenarios = [
        scenario(
            Load(
                images=number,
                detectors=len(rates.forward),
                conditions=conditions,
                gradients=gradients,
                pixels=height * width,
                batch_size=batch_size or AUTO_BATCH[device],
                workers=many,
            ),
            Worker(gpu=gpu, cores=cores),
            rates,
            simulate=simulate,
        )
        for number in counts[0]
        for many in counts[1]
    ]
    _put(scenarios, rates, form)


def _put(scenarios: list[Scenario], rates: Rates, form: str) -> None:
    """Write the plan and, where there is room for them, the rates it rests on."""
    from bench.runs.scale.tables import markdown, rates_markdown, rows

    if form == "json":
        put_json({"plans": rows(scenarios), "rates": rates.lines()})
        return
    if form == "csv":
        stream, lines = io.StringIO(), rows(scenarios)
        writer = csv.DictWriter(stream, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
        put(stream.getvalue())
        return
    put(markdown(scenarios))
    put(rates_markdown(rates))
