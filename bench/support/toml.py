"""TOML files and their schemas: one sentence for each way to fail, with the key at fault named."""

from __future__ import annotations

import re
import tomllib
import typing
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from bench.errors import BenchError, nearest
from bench.support.objects.place import Place
from bench.support.user_file import read_text, why

Model = TypeVar("Model", bound=BaseModel)


def read_toml(path: str | Place, model: type[Model], missing: str) -> Model:
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
        key, reason = first_fault(error, model)
        raise BenchError(f"{path}: {key}: {reason}") from error


def parse_toml(path: str | Place, missing: str) -> dict[str, Any]:
    """Read the values of a TOML file, unchecked.

    Args:
        path: Path of the file, as errors are to name it.
        missing: Message for a file that does not exist.

    Raises:
        BenchError: If the file is missing, or is no TOML.
    """
    try:
        return tomllib.loads(read_text(Path(path) if isinstance(path, str) else path))
    except (FileNotFoundError, NotADirectoryError):
        raise BenchError(missing) from None
    except Exception as error:  # deep nesting, numbers of any length: a parser meets what it meets
        raise BenchError(f"{path} cannot be read as TOML: {why(error)}") from error


class Fault(NamedTuple):
    """A key that does not fit its schema, dotted, and what is wrong with its value."""

    key: str
    reason: str


def first_fault(error: ValidationError, model: type[BaseModel] | None = None) -> Fault:
    """Name the first key at fault of a failed validation: one that does not exist before one that is missing.

    Args:
        error: What the validation raised.
        model: The schema, whose keys a misspelled one is held against.
    """
    faults = error.errors()
    unknown = [fault for fault in faults if fault["type"] == "extra_forbidden"]
    first = (unknown or faults)[0]
    key = ".".join(str(part) for part in first["loc"])
    if unknown:
        known = _keys(model, first["loc"][:-1])
        advice = nearest(str(first["loc"][-1]), known) if known else "leave it out"
        return Fault(key, f"there is no such key: {advice}")
    if first["type"] == "missing":
        return Fault(key, "this key is missing: add it")
    if first["type"] == "literal_error":
        choices = first["ctx"]["expected"]
        close = nearest(str(first["input"]), re.findall(r"'([^']*)'", choices))
        near = f": {close}" if close.startswith("did you mean") else ""
        return Fault(key, f"{first['input']!r} is not {choices}{near}")
    reason = first["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    value = repr(first["input"])
    if value not in reason and isinstance(first["input"], str | int | float) and len(value) < 60:
        reason += f", got {value}"
    return Fault(key, reason)


def _keys(model: type[BaseModel] | None, loc: tuple[int | str, ...]) -> list[str]:
    """List the keys that a schema knows at a place; none where that is not known."""
    for part in loc:
        if model is None or isinstance(part, int):
            continue
        field = model.model_fields.get(part)
        inner = [field.annotation, *typing.get_args(field.annotation)] if field else []
        models = [each for each in inner if isinstance(each, type) and issubclass(each, BaseModel)]
        model = models[0] if models else None
    return [] if model is None else [f.alias or name for name, f in model.model_fields.items()]
