"""Small trained weights that ship with bench, as ``arch.tag``: ``NAME.safetensors`` beside ``NAME.json``."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

_FOLDER = Path(__file__).parent
# The tag meant by the bare architecture name, first one present wins.
_DEFAULT_TAGS = ("pocket", "cifake")


@functools.cache
def weights() -> Mapping[str, Path]:
    """List every shipped weights file by ``arch.tag``."""
    return {path.stem: path for path in sorted(_FOLDER.glob("*.safetensors"))}


def find(name: str) -> Path | None:
    """Locate the weights of ``arch.tag``, or the default ones of a bare ``arch``; None if there are none."""
    shipped = weights()
    names = [name, *(f"{name}.{tag}" for tag in _DEFAULT_TAGS)]
    return next((shipped[candidate] for candidate in names if candidate in shipped), None)
