"""``bench doctor``: is this installation what it should be?"""

from __future__ import annotations

import typer

from bench.cli import options
from bench.cli.examples import examples
from bench.cli.output import put, put_json, say, table
from bench.errors import EXIT_USAGE

EXAMPLES = examples(
    "bench doctor",
    "bench doctor --json > environment.json",
    "bench doctor && bench run --detector resnet50 --suite smoke",
)


def command(*, as_json: options.Json = False) -> None:
    """Say what is installed, which device is seen, and whether the packages are really ours."""
    from bench.doctor import diagnose

    diagnosis = diagnose()
    if as_json:
        put_json({"facts": diagnosis.facts, "problems": diagnosis.problems})
    else:
        put(table([{"what": name, "found": value} for name, value in diagnosis.facts.items()]))
    for problem in diagnosis.problems:
        say(f"problem: {problem}")
    if diagnosis.problems:
        raise typer.Exit(EXIT_USAGE)
    if not as_json:
        put("\nall is well")
