"""From a request to a training that can begin: data found, split, network built and started."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from bench.datasets.open import open_data
from bench.errors import BenchError
from bench.inference.detector import architecture
from bench.support.plain import path_name
from bench.support.progress import Progress
from bench.training.images.splits import Split, split_rows
from bench.training.options import TrainOptions, TrainRequest
from bench.training.settings import Settings
from detectors.card import InputSpec
from detectors.errors import DetectorError
from detectors.inputs.spec import sides
from detectors.network import Architecture
from detectors.pretrained import imagenet_state, read_start, start_from

if TYPE_CHECKING:
    from torch import nn

    from bench.datasets import Manifest
    from bench.training.module import Epoch


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """A training with every choice resolved, before its first step.

    Attributes:
        request: The training as asked for.
        name: Name of the detector.
        folder: Folder that the training writes to.
        manifest: Every image of the data, used or not.
        split: Rows of the manifest by use.
        arch: Architecture of the network.
        spec: Canvas that images are fitted to.
        network: The network with its first weights; training changes them in place.
        started_from: Where the first weights came from, in words.
    """

    request: TrainRequest
    name: str
    folder: Path
    manifest: Manifest
    split: Split
    arch: Architecture
    spec: InputSpec
    network: nn.Module
    started_from: str

    @property
    def settings(self) -> Settings:
        """What decides the weights."""
        return self.request.settings

    @property
    def options(self) -> TrainOptions:
        """Everything else that the user may set."""
        return self.request.options

    @property
    def weights_file(self) -> Path:
        """Where the trained weights will stand, with the card beside them."""
        name = "".join(c if c.isalnum() or c in "-_.=" else "_" for c in self.name)
        return self.folder / f"{path_name(name)}.safetensors"


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished training and what came of it.

    Attributes:
        plan: What was trained, on what and how.
        history: What each epoch came to, in order; at least one.
        best: The epoch whose weights are kept.
    """

    plan: TrainingPlan
    history: tuple[Epoch, ...]
    best: Epoch


def plan_training(request: TrainRequest, progress: Progress) -> TrainingPlan:
    """Find the data, split them, build the network: all that can fail early does.

    Raises:
        BenchError: On anything the user can mend.
    """
    settings, options = request.settings, request.options
    options.check()
    try:
        arch = architecture(settings.detector)
        spec = _canvas(arch, settings)
        manifest = open_data(options.data, progress, layout=options.layout, cache=options.cache)
        name = options.name or f"{arch.name.rpartition('/')[2]}.{manifest.name}"
        split = split_rows(manifest, settings)
        torch.manual_seed(settings.seed)
        network = arch.network(settings.outputs, spec.network_input)
        started_from = _start(network, arch, request, progress)
    except DetectorError as error:
        raise BenchError(f"{settings.detector}: {error}") from error
    folder = options.out or Path("trainings") / path_name(name.replace("/", "_"))
    return TrainingPlan(request, name, folder, manifest, split, arch, spec, network, started_from)


def _canvas(arch: Architecture, settings: Settings) -> InputSpec:
    """The architecture's canvas, with what the settings change of it."""
    size, fit = settings.size or arch.input.size, settings.fit or arch.input.fit
    if size is None or fit == "native":
        raise BenchError(
            f"{arch.name} takes images of any size: give one with --size to train in batches"
        )
    if arch.input.views != "one":
        raise BenchError(f"{arch.name} scores views of an image, which cannot be trained here")
    changed = arch.input.model_dump() | {"size": size, "fit": fit}
    if (size, fit) != (arch.input.size, arch.input.fit):
        # A rectangle is cut from the smallest image that covers it, whatever its shape.
        covers = fit == "shortest-crop" and not isinstance(size, int)
        changed["resize_to"] = max(sides(size)) if covers else None
    return InputSpec(**changed)


def _start(
    network: nn.Module, arch: Architecture, request: TrainRequest, progress: Progress
) -> str:
    """Put the first weights in; says where they came from."""
    file = request.options.init_file
    if file is not None:
        count = start_from(network, read_start(file), arch.pretrained)
        return f"{file.name} ({count} tensors)"
    if request.settings.init == "scratch" or arch.pretrained is None:
        thaw = getattr(network, "thaw", None)
        if thaw is not None:
            thaw()
            return "random weights; the body, frozen in the study, learns too"
        return "random weights"
    progress.note(f"fetching ImageNet weights of {arch.pretrained.name} ...")
    start_from(network, imagenet_state(arch.pretrained), arch.pretrained)
    return f"ImageNet weights {arch.pretrained.name} of {arch.pretrained.library}"
