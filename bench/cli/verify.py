"""``bench verify``: does a board follow from the scores beside it?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli import options
from bench.cli.effect import refuse_without_effect
from bench.cli.examples import examples
from bench.cli.output import Bar, put, put_json, say, table

EXAMPLES = examples(
    "bench verify runs/cross-generator",
    "bench verify leaderboards/published/smoke --json",
    "bench verify runs/cross-generator --digests > runs/cross-generator/SHA256SUMS",
)
MOST_SHOWN = 10  # differences of one file; --json has them all

Place = Annotated[
    Path,
    typer.Argument(help="The --out folder of a run, or the folder of a baseline."),
]
Digests = Annotated[
    bool,
    typer.Option(
        "--digests",
        help="Only print the SHA-256 of each file that the board rests on, as sha256sum does, to be signed.",
    ),
]


def command(
    context: typer.Context, *, place: Place, digests: Digests = False, as_json: options.Json = False
) -> None:
    """Recompute a board from the scores beside it; exit 0 same, 13 different, 11 cannot be told.

    Each file is named, and each number in it that differs. Nothing is written, no image and no detector is
    touched. A SHA256SUMS in the folder is held against the files.
    """
    refuse_without_effect(
        context, "--json", when=digests, why="on --digests, which are lines: leave it out"
    )
    if digests:
        from bench.results.verification.digests import digest_lines

        put(digest_lines(place))
        return
    from bench.results.verification.verify import verify

    with Bar() as bar:
        result = verify(place, bar)
    if as_json:
        put_json(result.as_document())
    elif result.files:
        put(
            table(
                [
                    {"file": check.name, "state": check.state, "why": check.reason}
                    for check in result.files
                ]
            )
        )
    for check in result.files:
        for difference in check.differences[:MOST_SHOWN]:
            say(f"{check.name}: {difference}")
        if len(check.differences) > MOST_SHOWN:
            say(f"{check.name}: and {len(check.differences) - MOST_SHOWN} more (--json has them)")
    for remark in result.remarks:
        say(remark)
    say(f"verify: {result.word}{f' ({result.lacking})' if result.lacking else ''}")
    raise typer.Exit(result.exit_code)
