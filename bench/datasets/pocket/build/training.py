"""What the generators' trainings share: a loop that survives a kill, averaged weights, fp16 files."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

LOG = logging.getLogger(__name__)
# Steps between two checkpoints, and between two lines of the log.
EVERY = 250


class Stateful(Protocol):
    """A network, an optimiser, a schedule: anything whose state can be taken out and put back."""

    def state_dict(self) -> dict[str, Any]:
        """Take the state out."""

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any:
        """Put the state back."""


def run_steps(
    step: Callable[[int, np.random.Generator], str],
    steps: int,
    seed: int,
    parts: Mapping[str, Stateful],
    checkpoint: Path,
) -> float:
    """Run a training, continuing from its checkpoint if there is one.

    Every step draws from a generator seeded by (seed, step), so that an interrupted training sees the
    crops and the noise that an uninterrupted one sees.

    Args:
        step: Trains one step, given its number and its random generator; gives what to log.
        steps: How many steps in all.
        seed: Of the steps' random generators.
        parts: What to save and restore, by name.
        checkpoint: File of the checkpoint; removed by nobody.

    Returns:
        Seconds spent, those before an interruption included.
    """
    start, before = 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        start, before = int(state.pop("step")), float(state.pop("seconds"))
        for name, part in parts.items():
            part.load_state_dict(state[name])
    started = time.monotonic()
    for number in range(start, steps):
        line = step(number, np.random.default_rng([seed, number]))
        if (number + 1) % EVERY == 0 or number + 1 == steps:
            seconds = before + time.monotonic() - started
            LOG.info("step %d %s (%.0f s)", number + 1, line, seconds)
            state = {name: part.state_dict() for name, part in parts.items()}
            partial = checkpoint.with_suffix(".partial")
            torch.save(state | {"step": number + 1, "seconds": seconds}, partial)
            partial.replace(checkpoint)
    return before + time.monotonic() - started


@torch.no_grad()
def move_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move an exponential average of a network's weights one step towards the network."""
    for ours, theirs in zip(
        average.state_dict().values(), network.state_dict().values(), strict=True
    ):
        ours.lerp_(theirs, 1 - decay)


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Tensor:
    """Draw standard normal numbers, float32, that depend on the generator only, not on torch's state."""
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))


def save_half(network: nn.Module, weights: Path) -> None:
    """Write a network's weights in fp16."""
    state = {name: value.half().contiguous() for name, value in network.state_dict().items()}
    save_file(state, weights)


def write_record(weights: Path, network: nn.Module, recipes: Sequence[Any], seconds: float) -> None:
    """Write `<weights>.json`: how weights came about.

    Args:
        weights: The weights file.
        network: The network, to count its parameters.
        recipes: One dataclass a stage of the training.
        seconds: How long all stages took, on one CPU thread.
    """
    record = {
        "parameters": sum(p.numel() for p in network.parameters()),
        "steps": sum(recipe.steps for recipe in recipes),
        "minutes": round(seconds / 60),
        "date": datetime.now(UTC).date().isoformat(),
        "stages": [asdict(recipe) for recipe in recipes],
        "versions": {name: version(name) for name in ("torch", "numpy")},
    }
    text = json.dumps(record, indent=2) + "\n"
    weights.with_suffix(".json").write_text(text, encoding="utf-8")


def load_half(network: nn.Module, weights: Path) -> None:
    """Load fp16 weights into a float32 network and make it ready to use."""
    network.load_state_dict({k: v.float() for k, v in load_file(weights).items()}, strict=True)
    network.eval()
