"""``bench new``: a plug-in of one's own, begun as a file that works with its test."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bench.cli import options
from bench.cli.examples import examples
from bench.cli.output import put, put_json, say

EXAMPLES = examples(
    "bench new detector my_net",
    "bench new metric youden --out plugins",
    "bench new corruption darker --json",
)


class Kind(StrEnum):
    """The kinds of plug-ins that can be begun."""

    adapter = "adapter"
    attack = "attack"
    corruption = "corruption"
    defence = "defence"
    detector = "detector"
    laundering = "laundering"
    layout = "layout"
    metric = "metric"
    page = "page"
    recipe = "recipe"
    suite = "suite"


KindArgument = Annotated[Kind, typer.Argument(help="What to begin.")]
Name = Annotated[str, typer.Argument(help="Its name and the file's: letters, digits, underscores.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder of the files.")]


def command(
    *, kind: KindArgument, name: Name, out: Out = Path(), as_json: options.Json = False
) -> None:
    """Write NAME.py and test_NAME.py, a plug-in that works as it is written; what is there is left alone."""
    from bench.skeletons.kinds import SKELETONS

    written = SKELETONS[kind.value].write(name, out)
    if as_json:
        facts = {"file": written.path, "test": written.test, "project": written.offer.written}
        put_json(
            {key: str(path) for key, path in facts.items() if path is not None}
            | {"class": written.title, "runs": written.runs}
        )
    else:
        put(str(written.path))
    folder = shlex.quote(str(out))
    say(f"its test: pytest {shlex.quote(str(written.test))}")
    if written.offer.written is not None:
        say(f"known by its name after: pip install -e {folder}")
    elif written.offer.lines:
        say(f"known by its name with these lines in {out / 'pyproject.toml'}, once installed:")
        say(written.offer.lines)
    say(
        f"then: {written.runs}"
        if kind is not Kind.detector
        else f"it runs as it is: {written.runs}"
    )
