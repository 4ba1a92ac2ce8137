"""An installable example: what another distribution writes to add to bench."""

from pathlib import Path

SUITES = {"example-suite": Path(__file__).parent / "suite.toml"}
RECIPES = {"example-recipe": Path(__file__).parent / "recipe.toml"}
