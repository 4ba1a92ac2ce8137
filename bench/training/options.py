"""What a user may set of a training, beside the settings that decide its weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError
from bench.training.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """Data, places and means of a training: all of it may change when the training is resumed.

    Attributes:
        data: A folder or file, or an embedded set's name.
        name: Name of the trained detector; ``None`` is ``arch.dataset``.
        layout: A layout's name, or ``auto``.
        out: The training's folder; ``None`` is ``trainings/<name>``.
        init_file: A file to start from; ``None`` fetches ImageNet weights where the settings want them.
        device: ``auto``, ``cpu``, ``cuda`` (all of them) or ``cuda:N``.
        devices: How many processes or devices; more than one trains by DDP.
        workers: Processes that load data; 0 loads between the steps.
        threads: CPU threads of torch; ``None`` leaves its choice.
        half: Store the weights in half precision where that changes little.
        tensorboard: Write event files too.
        licence: Licence of the weights, by SPDX name.
        cache: Folder of cached manifests and pixels; ``None`` is the user's.
    """

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
    cache: Path | None = None

    def check(self) -> None:
        """Refuse what contradicts itself, before any work.

        Raises:
            BenchError: One sentence with the way out.
        """
        if self.devices > 1 and self.device.startswith("cuda:"):
            raise BenchError(
                f"--devices {self.devices} has no effect beside --device {self.device}, which is one "
                "device: pass --device cuda"
            )


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """One training as asked for.

    Attributes:
        settings: What decides the weights.
        options: Everything else a user may set.
        recipe: Name of the recipe the settings come from, for the card; empty without one.
        budget: Name of the recipe's budget; empty for the study's own settings.
    """

    settings: Settings
    options: TrainOptions
    recipe: str = ""
    budget: str = ""
