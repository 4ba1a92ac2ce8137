"""``bench show``: all there is to know of one name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli import completion, options
from bench.cli.examples import examples
from bench.cli.output import put, put_json, say, table
from bench.support.plain import one_line

EXAMPLES = examples(
    "bench show resnet50.pocket",
    "bench show jpeg --sheet jpeg.png",
    "bench show adversarial --json",
)

Name = Annotated[
    str,
    typer.Argument(
        help="A detector, suite, corruption, attack, layout, recipe or data set.",
        autocompletion=completion.anything,
    ),
]
Sheet = Annotated[
    Path | None,
    typer.Option(
        help="Draw into this PNG: a corruption's severities on a sample tile; a detector's first-layer "
        "filters and activation maps; or, of the embedded data set, every generator's tiles under real ones.",
    ),
]


def command(*, name: Name, as_json: options.Json = False, sheet: Sheet = None) -> None:
    """Show a detector's card, a suite's conditions, a plug-in's parameters, or a data set's counts."""
    from bench.catalogue.facts import facts as facts_of

    facts = facts_of(name)
    if as_json:
        put_json(facts)
    else:
        put("\n".join(one_line(line) for line in _outline(facts)))
    if sheet is not None:
        drawn = _draw(str(facts["kind"]), name, sheet)
        say(f"written: {sheet} ({', '.join(drawn)})")


def _draw(kind: str, name: str, sheet: Path) -> list[str]:
    """Draw the sheet of one kind of thing; return the titles of what is on it."""
    if kind == "dataset":
        from bench.pictures.dataset_sheet import draw_samples

        return draw_samples(sheet)
    if kind == "detector":
        from bench.pictures.detector_sheet import draw_detector

        return draw_detector(name, sheet)
    from bench.pictures.corruption_sheet import draw

    return draw(name, sheet)


def _outline(value: object, indent: str = "") -> list[str]:
    """Write nested facts as indented lines."""
    if isinstance(value, dict):
        return [line for key, item in value.items() for line in _entry(str(key), item, indent)]
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return [indent + line for line in table(value).splitlines()]
    if isinstance(value, list):
        return [f"{indent}{item}" for item in value]
    return [f"{indent}{value}"]


def _entry(key: str, item: object, indent: str) -> list[str]:
    """Write one fact behind its name: numbers on its line, further facts and lines of text below it."""
    if item in (None, "", [], {}):
        return [f"{indent}{key}: none"]
    if isinstance(item, list) and all(isinstance(number, int | float) for number in item):
        return [f"{indent}{key}: {', '.join(map(str, item))}"]
    if isinstance(item, str) and "\n" in item:
        return [f"{indent}{key}:", *(f"{indent}  {line}" for line in item.splitlines())]
    if isinstance(item, dict | list):
        return [f"{indent}{key}:", *_outline(item, indent + "  ")]
    return [f"{indent}{key}: {item}"]
