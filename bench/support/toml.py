"""TOML files and their schemas: one sentence for each way to fail, with the key at fault named."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from bench.errors import BenchError
from bench.support.user_file import read_text, why

Model = TypeVar("Model", bound=BaseModel)


def read_toml(path: str | Path, model: type[Model], missing: str) -> Model:
    """Read a TOML file into its schema.

    Args:
        path: Path of the file, as errors are to name it.
        model: Pydantic model that the values must fit.
        missing: Message for a file that does not exist.

    Raises:
        BenchError: If the file is missing, is no TOML, or does not fit; names it and the first key at
            fault.
    """
    values = parse_toml(path, missing)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        key, reason = first_fault(error)
        raise BenchError(f"{path}: {key}: {reason}") from error


def parse_toml(path: str | Path, missing: str) -> dict[str, Any]:
    """Read the values of a TOML file, unchecked.

    Args:
        path: Path of the file, as errors are to name it.
        missing: Message for a file that does not exist.

    Raises:
        BenchError: If the file is missing, or is no TOML.
    """
    try:
        return tomllib.loads(read_text(Path(path)))
    except (FileNotFoundError, NotADirectoryError):
        raise BenchError(missing) from None
    except Exception as error:  # deep nesting, numbers of any length: a parser meets what it meets
        raise BenchError(f"{path} cannot be read as TOML: {why(error)}") from error


class Fault(NamedTuple):
    """A key that does not fit its schema, dotted, and what is wrong with its value."""

    key: str
    reason: str


def first_fault(error: ValidationError) -> Fault:
    """Name the first key at fault of a failed validation."""
    first = error.errors()[0]
    return Fault(".".join(str(part) for part in first["loc"]), first["msg"])
