"""``--config``: any flag of a command from a TOML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from bench.errors import BenchError, nearest


def load_config(context: typer.Context, value: Path | None) -> Path | None:
    """Take defaults for the command's flags from a TOML file: command line > BENCH_* > file.

    Raises:
        BenchError: If the file cannot be read or names a flag that does not exist.
    """
    if value is None:
        return None
    from bench.support.toml import parse_toml

    items = parse_toml(value, f"no configuration file at {value}: check the path")
    items |= _beside(value)
    flags = {_flag(parameter): parameter for parameter in context.command.params}
    defaults: dict[str, Any] = {}
    for key, item in items.items():
        parameter = flags.get(key.replace("_", "-"))
        if parameter is None or parameter.name == "config":
            raise BenchError(f"{value}: no flag called {key!r}: {nearest(key, flags)}")
        repeatable = getattr(parameter, "multiple", False)
        as_list = repeatable and not isinstance(item, list)
        defaults[str(parameter.name)] = [item] if as_list else item
    context.default_map = {**(context.default_map or {}), **defaults}
    return value


def _beside(value: Path) -> dict[str, str]:
    """Take a run's own files from beside its configuration, wherever the run has been moved or copied to."""
    folder = value.resolve().parent
    if value.name != "config.toml" or not (folder / "run.json").is_file():
        return {}
    suite = folder / "suite.toml"
    return {"out": str(folder), **({"suite": str(suite)} if suite.is_file() else {})}


def _flag(parameter: Any) -> str:
    """The name under which a file sets a parameter: its long flag without the dashes."""
    long = [name for name in parameter.opts if name.startswith("--")]
    return (long[0] if long else str(parameter.name)).removeprefix("--")
