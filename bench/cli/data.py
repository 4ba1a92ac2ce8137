"""``bench data``: looking at data sets before scoring them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import typer

from bench.cli.output import Bar, put, put_json, say, table
from bench.errors import BenchError

app = typer.Typer(help="Look at data sets.", no_args_is_help=True, rich_markup_mode=None)
EXAMPLE = "Example: bench data index /data/GenImage"
_BAD_SHOWN = 10


@app.callback()
def group() -> None:
    """Look at data sets."""


@app.command("index", epilog=EXAMPLE)
def index_command(
    path: str = typer.Argument(..., help="Folder, or CSV, JSONL or Parquet file; or pocket."),
    layout: str = typer.Option("auto", envvar="BENCH_LAYOUT", help="A layout's name, or auto."),
    cache: Path | None = typer.Option(
        None, envvar="BENCH_CACHE", help="Folder of cached manifests; the user's cache by default."
    ),
    refresh: bool = typer.Option(False, "--refresh", help="Read every image again."),
    no_hash: bool = typer.Option(
        False, "--no-hash", help="Read headers only: quicker, but changed images go unnoticed."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="No remarks and no progress."),
) -> None:
    """Recognise a data set's layout, read every image's header, and say what was found."""
    from bench.datasets.open import card_of, open_data

    with Bar(quiet=quiet) as bar:
        manifest = open_data(
            path, bar, layout=layout, cache=cache, refresh=refresh, hash_files=not no_hash
        )
    counts = manifest.counts()
    bad = manifest.bad.to_pylist()
    card = card_of(manifest)
    if as_json:
        put_json(
            {
                "name": manifest.name,
                "layout": manifest.layout,
                "recognised": manifest.recognised,
                "card": None if card is None else asdict(card),
                "digest": manifest.digest,
                "images": len(manifest),
                "counts": counts.to_dict("records"),
                "pairing": {name: list(sources) for name, sources in manifest.pairing.items()},
                "bad": bad,
            }
        )
        return
    put(f"recognised: {manifest.recognised} (layout {manifest.layout})")
    if card is not None:
        put(f"the layout is that of: {card.reference}; licence: {card.licence}")
    put(f"images: {len(manifest)}, left out: {len(bad)}, digest {manifest.digest[:12]}\n")
    shown = counts.assign(label=["fake" if label == 1 else "real" for label in counts["label"]])
    put(table([{str(k): v for k, v in row.items()} for row in shown.to_dict("records")]))
    for name, sources in manifest.pairing.items():
        put(f"paired: {name} with {', '.join(sources)}")
    for row in bad[:_BAD_SHOWN]:
        say(f"left out: {row['path']}: {row['reason']}")
    if len(bad) > _BAD_SHOWN:
        say(f"left out: {len(bad) - _BAD_SHOWN} more (--json lists all)")


@app.command(
    "pairs", epilog="Example: bench data pairs photos variations --generator sd -o pairs.csv"
)
def pairs_command(
    real: Path = typer.Argument(..., help="Folder of real photographs."),
    fake: Path = typer.Argument(..., help="Folder of their AI variations, named alike."),
    generator: str = typer.Option(..., help="The generator of the variations."),
    out: Path = typer.Option(..., "--out", "-o", help="CSV; rows are added to one that is there."),
    domain: str = typer.Option("", help="Kind of content, such as indoor."),
    split: str = typer.Option("", help="train, val or test; empty where training is to choose."),
    strip: str = typer.Option(
        "", help="Regular expression taken out of the variations' names, such as '_v[0-9]+$'."
    ),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="No remarks."),
) -> None:
    """Build a manifest of content-matched pairs: a photograph and its variations share a group.

    Splits keep a group together, and paired statistics take it as one.
    """
    from bench.datasets.pairs import add_pairs, pair_folders

    if split not in ("", "train", "val", "test"):
        raise BenchError(f"--split {split}: choose train, val or test")
    found = pair_folders(real, fake, generator=generator, domain=domain, split=split, strip=strip)
    total = add_pairs(found.rows, out)
    for name, lone in (("photographs", found.lone_real), ("variations", found.lone_fake)):
        if lone and not quiet:
            say(f"left out: {len(lone)} {name} without a partner, the first {lone[0]!r}")
    put(f"{found.pairs} pairs, {len(found.rows)} images; {out} lists {total}")
