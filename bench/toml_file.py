"""Suites, recipes and clusters are TOML files with a schema: all read here, the key at fault named."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TypeVar

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
    try:
        return model.model_validate(tomllib.loads(Path(path).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise BenchError(missing) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise BenchError(f"{path} cannot be read as TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise BenchError(f"{path}: {key}: {first['msg']}") from error
