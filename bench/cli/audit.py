"""``bench audit``: what a data set gives away, and what it holds twice, before anything is scored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli import completion, options
from bench.cli.examples import examples
from bench.cli.output import Bar, put, put_json, say
from bench.errors import EXIT_USAGE, BenchError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.audit.audit import Audit
    from bench.datasets import Manifest
    from bench.support.progress import Progress

EXAMPLES = examples(
    "bench audit /data/GenImage",
    "bench audit /data/test --against /data/train -o audit.md",
    "bench audit mine.csv --columns fake=1 --equalise 'resize(size=256)+jpeg(quality=90)'",
)
_SUFFIXES = (".md", ".json")

Source = Annotated[
    str, typer.Argument(help="Folder, archive, CSV, JSONL or Parquet file, or its URL; or pocket.")
]
Against = Annotated[
    str | None,
    typer.Option(
        help="A data set that this one must not share images with, such as a training set."
    ),
]
Split = Annotated[str | None, typer.Option(help="Audit only this split; all by default.")]
Limit = Annotated[
    int | None, typer.Option(help="Audit about N images, the same share of every kind.")
]
Equalise = Annotated[
    str | None,
    typer.Option(
        help="Chain of corruptions that every image goes through first, as in bench run.",
        autocompletion=completion.corruptions,
    ),
]
DropDuplicates = Annotated[
    bool, typer.Option("--drop-duplicates", help="Describe what is left without copies.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 2 where there is a warning.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Write the audit to FILE.md or FILE.json as well."),
]
Seed = Annotated[int, typer.Option(help="Seed of samples, folds and corruptions.")]
Workers = Annotated[
    int | None, typer.Option(help="Processes that read images; all cores by default.")
]


def command(
    *,
    data: Source,
    against: Against = None,
    layout: options.Layout = "auto",
    columns: options.Columns = "",
    reals: options.Reals = [],
    split: Split = None,
    limit: Limit = None,
    equalise: Equalise = None,
    drop_duplicates: DropDuplicates = False,
    strict: Strict = False,
    out: Out = None,
    seed: Seed = 0,
    workers: Workers = None,
    cache: options.Cache = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Audit a data set: shortcuts in its files, copies and leaks, what its images are like.

    Findings come first. Exit code 0 with or without findings; --strict makes a warning exit 2. What was
    read is kept, so that a second audit of unchanged data takes seconds.
    """
    if out is not None and out.suffix.lower() not in _SUFFIXES:
        raise BenchError(f"--out {out}: give a file that ends in .md or .json")
    if limit is not None and limit < 2:
        raise BenchError(f"--limit {limit}: give at least 2, one real and one fake image")
    if workers is not None and workers < 1:
        raise BenchError(f"--workers {workers}: give at least 1")
    from bench.audit.audit import AuditRequest, audit
    from bench.audit.images.gather import Pool
    from bench.audit.report import as_json as document
    from bench.audit.report import as_markdown
    from bench.datasets.layouts.columns import parse_columns
    from bench.datasets.open import open_data
    from bench.protocol.equaliser import parse_equaliser

    request = AuditRequest(
        limit=limit,
        equalise=parse_equaliser(equalise).resolved if equalise else "",
        drop_duplicates=drop_duplicates,
        seed=seed,
    )
    splits = None if split in (None, "", "all") else [str(split)]
    with Bar(quiet=quiet) as bar:
        manifest = open_data(
            data, bar, layout=layout, cache=cache, splits=splits, columns=parse_columns(columns), reals=reals
        )  # fmt: skip
        other = (
            None if against is None else _open_other(against, bar, cache, parse_columns(columns))
        )
        result = audit(manifest, request, Pool(bar, cache, workers), other)
    if out is not None:
        _write(out, result)
    if as_json:
        put_json(document(result))
    else:
        put(as_markdown(result))
    if out is not None and not quiet:
        say(f"written: {out}")
    if strict and result.warnings:
        say(f"{len(result.warnings)} warnings: {result.warnings[0].caution.title}")
        raise typer.Exit(EXIT_USAGE)


def _open_other(
    data: str, progress: Progress, cache: Path | None, columns: Mapping[str, str]
) -> Manifest:
    """Open what is held against; a table that is not clear by itself is read by the stated columns."""
    from bench.datasets.open import open_data

    try:
        return open_data(data, progress, cache=cache)
    except BenchError as unclear:
        if not columns:
            raise
        try:
            return open_data(data, progress, cache=cache, columns=columns)
        except BenchError as still_unclear:
            raise still_unclear from unclear


def _write(path: Path, result: Audit) -> None:
    import json

    from bench.audit.report import as_json, as_markdown
    from bench.support.files import write_text

    if path.suffix.lower() == ".json":
        text = json.dumps(as_json(result), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    else:
        text = as_markdown(result)
    write_text(path, text)
