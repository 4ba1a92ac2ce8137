"""``bench schema``: what the files of a run hold, for programs that read them."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cli.examples import examples
from bench.cli.output import put_json

EXAMPLES = examples(
    "bench schema > schemas.json",
    "bench schema run.json",
    "bench schema scores.csv",
)

File = Annotated[
    str | None, typer.Argument(help="A file of a run, such as run.json; every one where left out.")
]


def command(*, file: File = None) -> None:
    """Print the JSON Schema of a run's files; a row of a table is an object of its columns.

    The version stands in $id. A release that can no longer read files of an earlier one raises it; columns
    and keys may be added without.
    """
    from bench.catalogue.schemas import schema, schemas

    put_json(schemas() if file is None else schema(file))
