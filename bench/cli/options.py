"""Options several commands share, and ``--config``: any flag from a TOML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from bench.errors import BenchError, nearest

# Written once, so that the same flag means the same everywhere.
DETECTOR_HELP = (
    "A name (`bench ls detectors`), arch.tag, timm/<model>, path/to/file.py:Name, "
    "or a trained FILE.safetensors."
)
WEIGHTS_HELP = (
    "Weights FILE (.safetensors or .pth), or DETECTOR=FILE where there are several detectors."
)
FAKE_LOGIT_HELP = (
    "Which head output means AI-generated, for weights without a card: z, -z, z1-z0 or z0-z1."
)
DEVICE_HELP = "auto (CUDA where there is one), cpu or cuda:N."


def load_config(context: typer.Context, value: Path | None) -> Path | None:
    """Take defaults for the command's flags from a TOML file: command line > BENCH_* > file.

    Raises:
        BenchError: If the file cannot be read or names a flag that does not exist.
    """
    if value is None:
        return None
    from bench.support.toml import parse_toml

    given = parse_toml(value, f"no configuration file at {value}: check the path")
    flags = {_flag(parameter): parameter for parameter in context.command.params}
    defaults: dict[str, Any] = {}
    for key, item in given.items():
        parameter = flags.get(key.replace("_", "-"))
        if parameter is None or parameter.name == "config":
            raise BenchError(f"{value}: no flag called {key!r}: {nearest(key, flags)}")
        several = getattr(parameter, "multiple", False)
        defaults[str(parameter.name)] = [item] if several and not isinstance(item, list) else item
    context.default_map = {**(context.default_map or {}), **defaults}
    return value


def _flag(parameter: Any) -> str:
    long = [name for name in parameter.opts if name.startswith("--")]
    return (long[0] if long else str(parameter.name)).removeprefix("--")


def weights_by_detector(detectors: list[str], weights: list[str]) -> dict[str, Path]:
    """Which file belongs to which detector.

    Raises:
        BenchError: If that is not clear, or a detector named is not among those asked for.
    """
    found: dict[str, Path] = {}
    for item in weights:
        name, equals, file = item.partition("=")
        if not equals or Path(item).exists():
            if len(detectors) != 1:
                raise BenchError(
                    f"--weights {item}: several detectors, write --weights DETECTOR=FILE"
                )
            name, file = detectors[0], item
        if name not in detectors:
            raise BenchError(f"--weights {item}: {name!r} is not among the detectors asked for")
        if name in found:
            raise BenchError(f"--weights is given twice for {name!r}")
        found[name] = Path(file)
    return found


def batch_size(value: str) -> int | None:
    """``auto`` as ``None``, or a whole number.

    Raises:
        BenchError: If it is neither.
    """
    if value == "auto":
        return None
    if not value.isdigit() or int(value) < 1:
        raise BenchError(f"--batch-size {value}: give a whole number from 1, or auto")
    return int(value)


def fake_logit(value: str | None) -> Any:
    """The label direction of a head.

    Raises:
        BenchError: If it is none of the four.
    """
    if value not in (None, "z", "-z", "z1-z0", "z0-z1"):
        raise BenchError(f"--fake-logit {value}: choose z, -z, z1-z0 or z0-z1")
    return value


def rates(given: list[str]) -> dict[str, float]:
    """``[DETECTOR=]N`` as detector to forward passes a second; ``""`` stands for all others.

    Raises:
        BenchError: If one is no positive number, or given twice.
    """
    found: dict[str, float] = {}
    for item in given:
        name, _, number = item.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = 0.0
        if not 0 < value < float("inf"):
            raise BenchError(f"--rate {item}: give forward passes a second, as 900 or resnet50=900")
        if name in found:
            raise BenchError(f"--rate is given twice for {name or 'all detectors'}")
        found[name] = value
    return found
