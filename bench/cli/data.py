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
from bench.errors import BenchError
from bench.support.plain import one_line

if TYPE_CHECKING:
    from bench.datasets import Manifest
    from bench.datasets.layouts.base import DataCard
    from bench.datasets.open import KnownCard

app = typer.Typer(help="Look at data sets.", no_args_is_help=True, rich_markup_mode=None)
INDEX_EXAMPLES = examples(
    "bench data index /data/GenImage",
    "bench data index fakes.zip --reals photos --reals more-photos.tar.gz --json",
    "bench data index eval.parquet --columns label=target,fake=1,generator=model --no-hash",
)
DESCRIBE_EXAMPLES = examples(
    "bench data describe /data/faces --reference 'Doe et al., Faces, 2026' --licence 'CC BY 4.0'",
    "bench data describe /data/faces --citation faces.bib --out faces-card.toml --json",
    "bench data describe /data/GenImage --croissant genimage.json",
)
PAIRS_EXAMPLES = examples(
    "bench data pairs photos variations --generator sd --out pairs.csv",
    "bench data pairs photos made --generator dalle2 --domain indoor --split test -o pairs.csv",
    "bench data pairs photos made --generator sd --strip '_v[0-9]+$' -o pairs.csv --quiet",
)
MOST_SHOWN = 10  # images left out, by name

Source = Annotated[
    str, typer.Argument(help="Folder, archive, CSV, JSONL or Parquet file, or its URL; or pocket.")
]
Refresh = Annotated[bool, typer.Option("--refresh", help="Read every image again.")]
NoHash = Annotated[
    bool,
    typer.Option("--no-hash", help="Read headers only: quicker, but changed images go unnoticed."),
]
Reference = Annotated[str, typer.Option(help="Authors, title, venue and where to read it.")]
Licence = Annotated[str, typer.Option(help="What its authors state, or that they state none.")]
Citation = Annotated[Path | None, typer.Option(help="File with one BibTeX entry.")]
CardFile = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="The card; data-card.toml in the data by default."),
]
Croissant = Annotated[
    Path | None,
    typer.Option(help="Croissant JSON-LD to write, with a CSV of the images beside it."),
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
    columns: options.Columns = "",
    reals: options.Reals = [],
    cache: options.Cache = None,
    refresh: Refresh = False,
    no_hash: NoHash = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Recognise a data set's layout, read every image's header, and say what was found."""
    from bench.datasets.layouts.columns import parse_columns
    from bench.datasets.open import card_of, known_card, open_data

    with Bar(quiet=quiet) as bar:
        manifest = open_data(
            path, bar, layout=layout, cache=cache, refresh=refresh, hash_files=not no_hash,
            columns=parse_columns(columns), reals=reals,
        )  # fmt: skip
    if as_json:
        _put_json(manifest, card_of(manifest, path))
    else:
        _put_text(manifest, known_card(manifest, path))


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
            "free": list(manifest.free_names),
            "pairing": {name: list(sources) for name, sources in manifest.pairing.items()},
            "bad": manifest.bad.to_pylist(),
        }
    )


def _put_text(manifest: Manifest, known: KnownCard | None) -> None:
    bad = manifest.bad.to_pylist()
    put(one_line(f"recognised: {manifest.recognised} (layout {manifest.layout})"))
    if known is not None:
        whose = "the data set is that of" if known.is_own else "the layout is that of"
        put(one_line(f"{whose}: {known.card.reference}; licence: {known.card.licence}"))
    put(f"images: {len(manifest)}, left out: {len(bad)}, digest {manifest.digest[:12]}\n")
    counts = manifest.counts()
    counts = counts.assign(label=["fake" if label == 1 else "real" for label in counts["label"]])
    put(table([{str(k): v for k, v in row.items()} for row in counts.to_dict("records")]))
    for name, sources in manifest.pairing.items():
        put(one_line(f"paired: {name} with {', '.join(sources)}"))
    if manifest.free_names:
        put(one_line(f"further columns, for slices: {', '.join(manifest.free_names)}"))
    for row in bad[:MOST_SHOWN]:
        say(f"left out: {row['path']}: {row['reason']}")
    if len(bad) > MOST_SHOWN:
        say(f"left out: {len(bad) - MOST_SHOWN} more (--json lists all)")


@app.command("describe", cls=Command, epilog=DESCRIBE_EXAMPLES)
def describe_command(
    *,
    path: Source,
    reference: Reference = "",
    licence: Licence = "",
    citation: Citation = None,
    out: CardFile = None,
    croissant: Croissant = None,
    layout: options.Layout = "auto",
    columns: options.Columns = "",
    reals: options.Reals = [],
    cache: options.Cache = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Say whose work a data set is: write its card, which boards print, or a Croissant description.

    What is not given is taken from the card that is there, or from the layout of a published set.
    """
    import dataclasses

    from bench.datasets.data_card import card_places, write_card, write_croissant
    from bench.datasets.layouts.base import DataCard
    from bench.datasets.layouts.columns import parse_columns
    from bench.datasets.open import card_of, open_data
    from bench.support.objects.place import place_of

    with Bar(quiet=quiet) as bar:
        manifest = open_data(
            path, bar, layout=layout, cache=cache, columns=parse_columns(columns), reals=reals
        )
    card = card_of(manifest, path)
    said = {"reference": reference, "licence": licence, "citation": read_citation(citation)}
    said = {name: text for name, text in said.items() if text}
    if said:
        merged = {**({} if card is None else dataclasses.asdict(card)), **said}
        if lacking := [name for name in ("reference", "licence") if not merged.get(name)]:
            raise BenchError(
                f"--{lacking[0]} is missing: a data card names reference and licence (write 'none stated' "
                "where its authors state none)"
            )
        card = DataCard(merged["reference"], merged["licence"], merged.get("citation", ""))
        place = out or card_places(place_of(path))[0]
        if not isinstance(place, Path):
            raise BenchError(
                f"bench writes no objects: give --out FILE, and put that file at {place} yourself"
            )
        write_card(place, card)
        if not quiet:
            say(f"written: {place}")
    elif out is not None:
        raise BenchError(
            "--out has no effect without --reference, --licence or --citation: give one"
        )
    if croissant is not None:
        listing = write_croissant(croissant, manifest, card)
        if not quiet:
            say(f"written: {croissant} and {listing}")
    if as_json:
        put_json({"name": manifest.name, "digest": manifest.digest, "images": len(manifest),
                  "card": None if card is None else dataclasses.asdict(card)})  # fmt: skip
    elif card is None:
        put(f"{manifest.name}: nobody says whose work it is: give --reference and --licence")
    else:
        put(
            f"{manifest.name}, {len(manifest)} images\nreference: {card.reference}\nlicence: {card.licence}"
        )
        put(card.citation or "citation: none given")


def read_citation(path: Path | None) -> str:
    """Read a BibTeX entry from a file; "" for none.

    Raises:
        BenchError: The file cannot be read.
    """
    try:
        return "" if path is None else path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BenchError(
            f"--citation {path} cannot be read as text ({error}): check the path"
        ) from error


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
