"""``bench new``: a plug-in of one's own, begun as a file that runs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bench.cli import options
from bench.cli.examples import examples
from bench.cli.output import put, put_json, say

EXAMPLES = examples(
    "bench new detector my_net",
    "bench new detector my_net --out detectors_of_mine",
    "bench new detector residual --json",
)


class Kind(StrEnum):
    """The kinds of plug-ins that can be begun."""

    detector = "detector"


KindArgument = Annotated[Kind, typer.Argument(help="What to begin.")]
Name = Annotated[str, typer.Argument(help="Its name and the file's: letters, digits, underscores.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder of the file.")]


def command(
    *, kind: KindArgument, name: Name, out: Out = Path(), as_json: options.Json = False
) -> None:
    """Write NAME.py, a plug-in that runs as it is written; a file that is there is left alone."""
    from bench.skeletons.detector import DETECTOR

    skeletons = {Kind.detector: DETECTOR}
    written = skeletons[kind].write(name, out)
    if as_json:
        put_json({"file": str(written.path), "class": written.title, "runs": written.runs})
    else:
        put(str(written.path))
    say(f"it runs as it is: {written.runs}")
