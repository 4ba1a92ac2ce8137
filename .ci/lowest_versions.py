"""Print the lowest version that pyproject.toml allows of each dependency, as pip's constraints.

Usage: ``python .ci/lowest_versions.py [NAME ...]``; with names, of these alone.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path


def lowest(pyproject: Path) -> dict[str, str]:
    """Read ``name>=version`` of each dependency; one without a lower bound is an error."""
    bounds = {}
    for line in tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["dependencies"]:
        match = re.fullmatch(r"([A-Za-z0-9_.-]+)>=([0-9.]+)", line)
        if match is None:
            raise SystemExit(
                f"{line}: write NAME>=VERSION, so that the lowest version can be tested"
            )
        bounds[match[1]] = match[2]
    return bounds


if __name__ == "__main__":
    found = lowest(Path(__file__).parents[1] / "pyproject.toml")
    for name in sys.argv[1:] or found:
        print(f"{name}=={found[name]}")
