"""What is asked of a training, and everything found and laid out for it before the first step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from bench.datasets.open import open_data
from bench.errors import BenchError
from bench.inference.detector import architecture
from bench.support.progress import Progress
from bench.training.settings import Settings
from bench.training.splits import Split, split_rows
from detectors.card import InputSpec
from detectors.errors import DetectorError
from detectors.network import Architecture
from detectors.pretrained import imagenet_state, read_start, start_from

if TYPE_CHECKING:
    from torch import nn

    from bench.datasets import Manifest
    from bench.training.module import Epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRequest:
    """A training as asked for; what decides the weights is in ``settings``, the rest may change on resuming.

    Attributes:
        settings: See `Settings`.
        data: A folder or file, or an embedded set's name.
        name: What the trained detector is called; ``None`` is ``arch.dataset``.
        layout: A layout's name, or ``auto``.
        out: The training's folder; ``None`` is ``trainings/<name>``.
        init_file: A file to start from; ``None`` fetches ImageNet weights where the settings want them.
        device: ``auto``, ``cpu``, ``cuda`` (all of them) or ``cuda:N``.
        devices: How many processes or devices; more than one trains by DDP.
        workers: Processes that load data; 0 loads between the steps.
        threads: Of torch on the CPU; ``None`` leaves its choice.
        half: Store the weights in half precision where that changes little.
        tensorboard: Write event files too.
        licence: Of the weights, by SPDX name.
        recipe: Name of the recipe the settings come from, for the card.
        budget: Name of the recipe's budget.
        cache: Folder of cached manifests and pixels; ``None`` is the user's.
    """

    settings: Settings
    data: str
    name: str | None = None
    layout: str = "auto"
    out: Path | None = None
    init_file: Path | None = None
    device: str = "auto"
    devices: int = 1
    workers: int = 0
    threads: int | None = None
    half: bool = False
    tensorboard: bool = False
    licence: str = "unknown"
    recipe: str = ""
    budget: str = ""
    cache: Path | None = None


@dataclass(slots=True)
class Trained:
    """A training with everything found and laid out, then its outcome.

    Attributes:
        request: As asked for.
        name: Of the detector.
        folder: Of the training.
        manifest: The data.
        split: Rows by use.
        arch: The network's architecture.
        spec: The canvas.
        network: The network.
        started_from: Where its first weights came from, in words.
        history: What each epoch came to.
        best: The epoch whose weights are kept.
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
    history: list[Epoch]
    best: Epoch | None = None


def lay_out(request: TrainRequest, progress: Progress) -> Trained:
    """Find the data, split them, build the network: all that can fail early does.

    Raises:
        BenchError: On anything the user can mend.
    """
    settings = request.settings
    try:
        arch = architecture(settings.detector)
        spec = _spec(arch, settings)
        manifest = open_data(request.data, progress, layout=request.layout, cache=request.cache)
        name = request.name or f"{arch.name.rpartition('/')[2]}.{manifest.name}"
        split = split_rows(manifest, settings)
        torch.manual_seed(settings.seed)
        network = arch.network(settings.outputs, spec.size)
        started = _start(network, arch, request, progress)
    except DetectorError as error:
        raise BenchError(f"{settings.detector}: {error}") from error
    folder = request.out or Path("trainings") / name.replace("/", "_")
    return Trained(request, name, folder, manifest, split, arch, spec, network, started, [])


def _spec(arch: Architecture, settings: Settings) -> InputSpec:
    changes = {"size": settings.size or arch.input.size, "fit": settings.fit or arch.input.fit}
    if changes["size"] is None or changes["fit"] == "native":
        raise BenchError(
            f"{arch.name} takes images of any size: give one with --size to train in batches"
        )
    return arch.input.model_copy(update=changes)


def _start(
    network: nn.Module, arch: Architecture, request: TrainRequest, progress: Progress
) -> str:
    """Put the first weights in; says where they came from."""
    if request.init_file is not None:
        count = start_from(network, read_start(request.init_file), arch.pretrained)
        return f"{request.init_file.name} ({count} tensors)"
    if request.settings.init == "scratch" or arch.pretrained is None:
        thaw = getattr(network, "thaw", None)
        if thaw is not None:
            thaw()
            return "random weights; the body, frozen in the study, learns too"
        return "random weights"
    progress.note(f"fetching ImageNet weights of {arch.pretrained.name} ...")
    start_from(network, imagenet_state(arch.pretrained), arch.pretrained)
    return f"ImageNet weights {arch.pretrained.name} of {arch.pretrained.library}"
