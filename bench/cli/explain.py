"""``bench explain``: why a detector says what it says, as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli import completion, detector_options, options
from bench.cli.effect import refuse_without_effect
from bench.cli.examples import examples
from bench.cli.output import Bar, put, say
from bench.cli.signals import stoppable
from bench.cli.values import check_choice
from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.inference.detector import DetectorRequest

EXAMPLES = examples(
    "bench explain runs/cross-generator -o explained",
    "bench explain photo.jpg folder/ --detector resnet50 -o explained",
    "bench explain photo.jpg -d net.onnx --method occlusion --patch 16 -o explained",
)
METHODS = ("filters", "grad-cam", "occlusion", "spectra")

Places = Annotated[
    list[Path],
    typer.Argument(
        metavar="[RUN] [IMAGE]...",
        help="The --out folder of a run, whose telling images are taken; or images, or folders of them.",
    ),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for the pictures.")]
Detectors = Annotated[
    list[str],
    typer.Option(
        "--detector",
        "-d",
        help=f"{options.DETECTOR_HELP} Repeatable; a run's own where left out.",
        autocompletion=completion.detectors,
    ),
]
WeightFiles = Annotated[
    list[str],
    typer.Option("--weights", "-w", metavar="[DETECTOR=]FILE", help="Weights of a detector."),
]
Methods = Annotated[
    list[str],
    typer.Option(
        "--method",
        "-m",
        help="filters, grad-cam, occlusion or spectra (of a run); repeatable. All that apply where left "
        "out: occlusion where there is no gradient.",
    ),
]
Patch = Annotated[
    int | None,
    typer.Option(
        min=1, help="Side of the patch that occlusion hides, in px of the detector's canvas."
    ),
]
Limit = Annotated[
    int, typer.Option(min=1, help="Images of a generator, and of its reals, in a spectrum.")
]


def command(
    context: typer.Context,
    *,
    places: Places,
    out: Out,
    detector: Detectors = [],
    weights: WeightFiles = [],
    method: Methods = [],
    patch: Patch = None,
    limit: Limit = 500,
    fake_logit: options.FakeLogit = None,
    fake_label: detector_options.FakeLabels = [],
    ignore_label: detector_options.IgnoreLabels = [],
    processor: detector_options.Processors = [],
    input_rule: detector_options.Inputs = [],
    output: detector_options.Outputs = [],
    offline: detector_options.Offline = False,
    backbone: detector_options.Backbones = [],
    device: options.Device = "auto",
    quiet: options.Quiet = False,
) -> None:
    """Draw why a detector says what it says: filters and their maps, Grad-CAM, occlusion, spectra.

    Grad-CAM needs the extra `explain` (captum). Of a run, it takes the images that each of its detectors got
    most surely right and wrong, and draws the mean power spectrum of each generator beside its reals.
    """
    for name in method:
        check_choice("--method", name, METHODS)
    run = places[0] if (places[0] / "run.json").is_file() else None
    asked = [{"filters": "maps"}.get(name, name) for name in method if name != "spectra"]
    if run is None and not detector:
        raise BenchError(f"{places[0]} is no run: say which --detector is to be explained")
    if run is None and "spectra" in method:
        raise BenchError("--method spectra: give a run, whose data say what is real")
    refuse_without_effect(
        context,
        "--limit",
        when=run is None or bool(method and "spectra" not in method),
        why="without the spectra of a run",
    )
    said: dict[str, Any] = {
        "detector": detector, "weights": weights, "fake_logit": fake_logit, "fake_label": fake_label,
        "ignore_label": ignore_label, "processor": processor, "input_rule": input_rule,
        "output": output, "offline": offline, "backbone": backbone,
    }  # fmt: skip
    requests = () if method == ["spectra"] else _requests(run, said)
    from bench.pictures.explanation.gallery import Wishes, explain

    wishes = Wishes(methods=tuple(asked), patch=patch, limit=limit, device=device)
    images = places if run is None else places[1:]
    wants_spectra = run is not None and (not method or "spectra" in method)
    with stoppable("pictures that are whole are kept"), Bar(quiet=quiet) as bar:
        made = explain(
            requests, run, images, out, wishes, spectra=wants_spectra and not images, progress=bar
        )
    if not quiet:
        for remark in made.remarks:
            say(remark)
    put("\n".join(str(path) for path in made.files))


def _requests(run: Path | None, said: dict[str, Any]) -> tuple[DetectorRequest, ...]:
    """Give the detectors that are asked for, or those of the run as its ``config.toml`` spells them."""
    detectors = said.pop("detector")
    if detectors or run is None:
        return detector_options.requests(detectors, **said)
    from bench.store.rundir import CONFIG_NAME
    from bench.support.toml import parse_toml

    where = run / CONFIG_NAME
    kept = parse_toml(where, f"{run} does not say how it was made: name its --detector")
    flags = {key.replace("-", "_"): value for key, value in kept.items()}
    flags["input_rule"] = flags.pop("input", [])
    if not flags.get("detector"):
        raise BenchError(f"{run} holds scores made elsewhere: name a --detector to explain")
    return detector_options.requests(
        flags["detector"],
        **{key: flags.get(key) or value for key, value in said.items()},
    )
