"""``bench data``: looking at data sets before scoring them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli import options
from bench.cli.effect import Command
from bench.cli.examples import examples
from bench.cli.output import Bar, put, put_json, say, table
from bench.cli.values import check_choice
from bench.support.plain import one_line

if TYPE_CHECKING:
    from bench.datasets import Manifest
    from bench.datasets.layouts.base import DataCard

app = typer.Typer(help="Look at data sets.", no_args_is_help=True, rich_markup_mode=None)
INDEX_EXAMPLES = examples(
    "bench data index /data/GenImage",
    "bench data index photos.csv --json",
    "bench data index /mnt/archive/faces --layout generic --no-hash",
)
PAIRS_EXAMPLES = examples(
    "bench data pairs photos variations --generator sd --out pairs.csv",
    "bench data pairs photos made --generator dalle2 --domain indoor --split test -o pairs.csv",
    "bench data pairs photos made --generator sd --strip '_v[0-9]+$' -o pairs.csv --quiet",
)
MOST_SHOWN = 10  # images left out, by name

Source = Annotated[str, typer.Argument(help="Folder, or CSV, JSONL or Parquet file; or pocket.")]
Refresh = Annotated[bool, typer.Option("--refresh", help="Read every image again.")]
NoHash = Annotated[
    bool,
    typer.Option("--no-hash", help="Read headers only: quicker, but changed images go unnoticed."),
]
RealFolder = Annotated[Path, typer.Argument(help="Folder of real photographs.")]
FakeFolder = Annotated[Path, typer.Argument(help="Folder of their AI variations, named alike.")]
Generator = Annotated[str, typer.Option(help="The generator of the variations.")]
Table = Annotated[
    Path, typer.Option("--out", "-o", help="CSV; rows are added to one that is there.")
]
Domain = Annotated[str, typer.Option(help="Kind of content, such as indoor.")]
Split = Annotated[str, typer.Option(help="train, val or test; empty where training is to choose.")]
Strip = Annotated[
    str,
    typer.Option(
        help="Regular expression taken out of the variations' names, such as '_v[0-9]+$'."
    ),
]


@app.callback()
def group() -> None:
    """Look at data sets."""


@app.command("index", cls=Command, epilog=INDEX_EXAMPLES)
def index_command(
    *,
    path: Source,
    layout: options.Layout = "auto",
    cache: options.Cache = None,
    refresh: Refresh = False,
    no_hash: NoHash = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Recognise a data set's layout, read every image's header, and say what was found."""
    from bench.datasets.open import card_of, open_data

    with Bar(quiet=quiet) as bar:
        manifest = open_data(
            path, bar, layout=layout, cache=cache, refresh=refresh, hash_files=not no_hash
        )
    if as_json:
        _put_json(manifest, card_of(manifest))
    else:
        _put_text(manifest, card_of(manifest))


def _put_json(manifest: Manifest, card: DataCard | None) -> None:
    import dataclasses

    put_json(
        {
            "name": manifest.name,
            "layout": manifest.layout,
            "recognised": manifest.recognised,
            "card": None if card is None else dataclasses.asdict(card),
            "digest": manifest.digest,
            "images": len(manifest),
            "counts": manifest.counts().to_dict("records"),
            "pairing": {name: list(sources) for name, sources in manifest.pairing.items()},
            "bad": manifest.bad.to_pylist(),
        }
    )


def _put_text(manifest: Manifest, card: DataCard | None) -> None:
    bad = manifest.bad.to_pylist()
    put(one_line(f"recognised: {manifest.recognised} (layout {manifest.layout})"))
    if card is not None:
        put(one_line(f"the layout is that of: {card.reference}; licence: {card.licence}"))
    put(f"images: {len(manifest)}, left out: {len(bad)}, digest {manifest.digest[:12]}\n")
    counts = manifest.counts()
    counts = counts.assign(label=["fake" if label == 1 else "real" for label in counts["label"]])
    put(table([{str(k): v for k, v in row.items()} for row in counts.to_dict("records")]))
    for name, sources in manifest.pairing.items():
        put(one_line(f"paired: {name} with {', '.join(sources)}"))
    for row in bad[:MOST_SHOWN]:
        say(f"left out: {row['path']}: {row['reason']}")
    if len(bad) > MOST_SHOWN:
        say(f"left out: {len(bad) - MOST_SHOWN} more (--json lists all)")


@app.command("pairs", cls=Command, epilog=PAIRS_EXAMPLES)
def pairs_command(
    *,
    real: RealFolder,
    fake: FakeFolder,
    generator: Generator,
    out: Table,
    domain: Domain = "",
    split: Split = "",
    strip: Strip = "",
    quiet: options.Quiet = False,
) -> None:
    """Build a manifest of content-matched pairs: a photograph and its variations share a group.

    Splits keep a group together, and paired statistics take it as one.
    """
    from bench.datasets.pairs import add_pairs, pair_folders

    if split:
        check_choice("--split", split, ("train", "val", "test"))
    pairs = pair_folders(real, fake, generator=generator, domain=domain, split=split, strip=strip)
    total = add_pairs(pairs.rows, out)
    for name, lone in (("photographs", pairs.lone_real), ("variations", pairs.lone_fake)):
        if lone and not quiet:
            say(f"left out: {len(lone)} {name} without a partner, the first {lone[0]!r}")
    put(one_line(f"{pairs.pairs} pairs, {len(pairs.rows)} images; {out} lists {total}"))
