"""``bench ls``: what there is."""

from __future__ import annotations

from enum import StrEnum

import typer

from bench.cli.output import put, put_json, table

EXAMPLE = "Example: bench ls detectors --json"


class Kind(StrEnum):
    """What can be listed."""

    detectors = "detectors"
    suites = "suites"
    corruptions = "corruptions"
    attacks = "attacks"
    layouts = "layouts"
    recipes = "recipes"
    datasets = "datasets"


def command(
    kind: Kind = typer.Argument(..., help="What to list."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """List detectors, suites, corruptions, attacks, layouts, recipes or embedded data sets."""
    from bench import catalogue

    rows = catalogue.rows(kind.value)
    if as_json:
        put_json(rows)
    else:
        put(table(rows))
