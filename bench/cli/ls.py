"""``bench ls``: what there is."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from bench.cli import options
from bench.cli.examples import examples
from bench.cli.output import put, put_json, table
from bench.results.formats import choices

EXAMPLES = examples("bench ls detectors", "bench ls suites", "bench ls attacks --json")


class Kind(StrEnum):
    """The kinds of things that can be listed."""

    detectors = "detectors"
    suites = "suites"
    corruptions = "corruptions"
    attacks = "attacks"
    certificates = "certificates"
    defences = "defences"
    layouts = "layouts"
    recipes = "recipes"
    metrics = "metrics"
    pages = "pages"
    datasets = "datasets"


KindArgument = Annotated[Kind, typer.Argument(help=f"{choices(list(Kind))}.")]


def command(*, kind: KindArgument, as_json: options.Json = False) -> None:
    """List what can be named: detectors, suites, corruptions, attacks, layouts, metrics, report pages ..."""
    if kind is Kind.detectors:
        # Answers at once: neither torch nor pydantic is imported for a list of names.
        from bench.catalogue import detectors

        rows = detectors.rows()
    else:
        from bench.catalogue import listings

        rows = listings.rows(kind.value)
    if as_json:
        put_json(rows)
    else:
        put(table(rows))
