"""The embedded data set; how it was built stands in ``build``, which nothing here needs."""

from __future__ import annotations

from importlib import resources
from pathlib import Path


def pocket_root() -> Path:
    """Locate the folder of the embedded data set, inside the installed package."""
    return Path(str(resources.files("bench.datasets"))) / "pocket"
