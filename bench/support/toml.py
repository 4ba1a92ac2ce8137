"""TOML files and their schemas: one sentence for each way to fail, with the key at fault named."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from bench.errors import BenchError

Model = TypeVar("Model", bound=BaseModel)


def read_toml(path: str | Path, model: type[Model], missing: str) -> Model:
    """Read a TOML file into its schema.

    Args:
        path: The file, as errors are to name it.
        model: The schema.
        missing: What to say where there is no such file.

    Raises:
        BenchError: If it is missing, no TOML, or does not fit; names the file and the first key at fault.
    """
    values = parse_toml(path, missing)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        key, says = first_fault(error)
        raise BenchError(f"{path}: {key}: {says}") from error


def parse_toml(path: str | Path, missing: str) -> dict[str, Any]:
    """The values of a TOML file, not yet checked.

    Raises:
        BenchError: If it is missing (says ``missing``) or no TOML.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BenchError(missing) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise BenchError(f"{path} cannot be read as TOML: {error}") from error


def first_fault(error: ValidationError) -> tuple[str, str]:
    """The first key at fault, dotted, and what is wrong with it."""
    first = error.errors()[0]
    return ".".join(str(part) for part in first["loc"]), first["msg"]
