"""An installable example: what another distribution writes to add to bench."""

from pathlib import Path

SUITES = {"example-suite": Path(__file__).parent / "suite.toml"}
