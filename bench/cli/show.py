"""``bench show``: all there is to know of one name."""

from __future__ import annotations

from pathlib import Path

import typer

from bench.cli.output import put, put_json, say

EXAMPLE = "Example: bench show jpeg --sheet jpeg.png"


def command(
    name: str = typer.Argument(
        ..., help="A detector, suite, corruption, attack, layout, recipe or data set."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    sheet: Path | None = typer.Option(
        None,
        help="Draw into this PNG: a corruption's severities on a sample tile; a detector's first-layer "
        "filters and activation maps; or, of the embedded data set, every generator's tiles under real ones.",
    ),
) -> None:
    """Show a detector's card, a suite's conditions, a plug-in's parameters, or a data set's counts."""
    from bench import catalogue

    facts = catalogue.facts(name)
    if as_json:
        put_json(facts)
    else:
        put("\n".join(_lines(facts)))
    if sheet is not None:
        drawn = _draw(str(facts["kind"]), name, sheet)
        say(f"written: {sheet} ({', '.join(drawn)})")


def _draw(kind: str, name: str, sheet: Path) -> list[str]:
    """The sheet of one kind of thing; returns what is on it."""
    if kind == "dataset":
        from bench.pictures.dataset_sheet import draw_samples

        return draw_samples(sheet)
    if kind == "detector":
        from bench.pictures.detector_sheet import draw_detector

        return draw_detector(name, sheet)
    from bench.pictures.corruption_sheet import draw

    return draw(name, sheet)


def _lines(value: object, indent: str = "") -> list[str]:
    """Nested facts as indented lines."""
    if isinstance(value, dict):
        lines = []
        for key, item in value.items():
            if isinstance(item, list) and item and all(isinstance(n, int | float) for n in item):
                lines.append(f"{indent}{key}: {', '.join(map(str, item))}")
            elif isinstance(item, str) and "\n" in item:
                lines += [f"{indent}{key}:", *(f"{indent}  {line}" for line in item.splitlines())]
            elif isinstance(item, dict | list) and item:
                lines += [f"{indent}{key}:", *_lines(item, indent + "  ")]
            else:
                lines.append(f"{indent}{key}: {'none' if item in (None, '', [], {}) else item}")
        return lines
    if isinstance(value, list):
        if all(isinstance(item, dict) for item in value):
            from bench.cli.output import table

            return [indent + line for line in table(value).splitlines()]
        return [f"{indent}{item}" for item in value]
    return [f"{indent}{value}"]
