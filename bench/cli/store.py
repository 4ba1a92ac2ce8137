"""``bench store``: what a folder of scores holds, what nobody needs any more, and whether it is sound."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from bench.cli import options
from bench.cli.effect import Command
from bench.cli.examples import examples
from bench.cli.output import Bar, put, put_json, say, table
from bench.cli.values import parse_bytes
from bench.errors import EXIT_DIFFERENT

app = typer.Typer(
    help="Look after a folder of scores.", no_args_is_help=True, rich_markup_mode=None
)
LS_EXAMPLES = examples(
    "bench store ls runs/cross-generator/store",
    "bench store ls /team/scores --json",
    "bench store ls mine && bench store ls /team/scores",
)
GC_EXAMPLES = examples(
    "bench store gc /team/scores --dry-run",
    "bench store gc /team/scores --unused-for 90",
    "bench store gc /team/scores --max-size 20GB",
)
VERIFY_EXAMPLES = examples(
    "bench store verify /team/scores",
    "bench store verify runs/cross-generator/store --json",
    "bench store verify /team/scores && bench store gc /team/scores",
)

Place = Annotated[
    Path, typer.Argument(help="A folder of scores: the --store of a run, or <out>/store.")
]
MaxSize = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="What may stay, as 500MB or 20GB; shards go first that no run records, and that were asked for "
        "the longest ago.",
    ),
]
UnusedFor = Annotated[
    float,
    typer.Option(
        metavar="DAYS",
        min=0,
        help="How long a shard that no known run records stays after a run last asked for it.",
    ),
]
Dry = Annotated[bool, typer.Option("--dry-run", help="Say what would go; remove nothing.")]


@app.command("ls", cls=Command, epilog=LS_EXAMPLES)
def ls(*, place: Place, as_json: options.Json = False) -> None:
    """Say what a store holds: shards, size, and the runs that are known to use it."""
    from bench.store.upkeep import look

    contents = look(place)
    free = [shard for shard in contents.shards if shard.fingerprint not in contents.needed]
    oldest = min((shard.asked for shard in contents.shards), default=None)
    facts = {
        "shards": len(contents.shards),
        "bytes": contents.size,
        "of no known run": len(free),
        "bytes of no known run": sum(shard.size for shard in free),
        "damaged, set aside": len(contents.damaged),
        "longest unused, days": None if oldest is None else round((time.time() - oldest) / 86400, 1),
    }  # fmt: skip
    runs = [{"run": str(run), "shards": count} for run, count in contents.runs.items()]
    if as_json:
        put_json({**facts, "runs": runs})
        return
    put(table([{"fact": k, "value": "n/a" if v is None else f"{v:,}"} for k, v in facts.items()]))
    if runs:
        put(table(runs))


@app.command("gc", cls=Command, epilog=GC_EXAMPLES)
def gc(
    *,
    place: Place,
    max_size: MaxSize = None,
    unused_for: UnusedFor = 30.0,
    dry_run: Dry = False,
    as_json: options.Json = False,
) -> None:
    """Remove what nobody needs: damaged and unfinished files, old shards that no run records.

    Nothing is removed while a run is using the store. A run whose scores went scores them anew when it is
    run again; its board stands as it is.
    """
    from bench.store.upkeep import clear

    bound = None if max_size is None else parse_bytes("--max-size", max_size)
    cleared = clear(place, max_size=bound, unused_days=unused_for, dry=dry_run)
    size = sum(shard.size for shard in cleared.shards)
    if as_json:
        put_json(
            {
                "removed": [shard.fingerprint for shard in cleared.shards],
                "removed_bytes": size,
                "damaged_removed": len(cleared.damaged),
                "kept": cleared.kept,
                "kept_bytes": cleared.kept_size,
                "dry_run": dry_run,
            }
        )
        return
    verb = "would go" if dry_run else "removed"
    say(
        f"{len(cleared.shards):,} shards ({size:,} bytes) and {len(cleared.damaged):,} damaged files {verb}; "
        f"{cleared.kept:,} shards ({cleared.kept_size:,} bytes) stay"
    )


@app.command("verify", cls=Command, epilog=VERIFY_EXAMPLES)
def verify(*, place: Place, quiet: options.Quiet = False, as_json: options.Json = False) -> None:
    """Recompute the digest of every shard; exit 0 all sound, 13 some are damaged, which are listed.

    Nothing is changed: a run that needs a damaged shard sets it aside and scores it anew.
    """
    from bench.store.upkeep import check

    checked = 0
    damaged = []
    with Bar(quiet=quiet) as bar:
        for shard, reason in check(place, bar):
            checked += 1
            if reason:
                damaged.append({"shard": shard.fingerprint, "why": reason})
    if as_json:
        put_json({"checked": checked, "damaged": damaged})
    elif damaged:
        put(table(damaged))
    if damaged or not quiet:
        say(f"{checked:,} shards read, {len(damaged):,} damaged")
    if damaged:
        raise typer.Exit(EXIT_DIFFERENT)
