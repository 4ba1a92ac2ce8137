"""``bench doctor``: is this installation what it should be?"""

from __future__ import annotations

import typer

from bench.cli.output import put, put_json, say, table
from bench.errors import EXIT_USAGE

EXAMPLE = "Example: bench doctor --json"


def command(as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """Say what is installed, which device is seen, and whether the packages are really ours."""
    from bench.doctor import diagnose

    found = diagnose()
    if as_json:
        put_json({"facts": found.facts, "problems": found.problems})
    else:
        put(table([{"what": name, "found": value} for name, value in found.facts.items()]))
    for problem in found.problems:
        say(f"problem: {problem}")
    if found.problems:
        raise typer.Exit(EXIT_USAGE)
    if not as_json:
        put("\nall is well")
