"""The whole report: runs in, one HTML file out that asks the network for nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bench.errors import BenchError
from bench.results.figures.drawing import Shown, load_evidence
from bench.results.figures.kinds import plot_kind, plot_names
from bench.results.html import tables
from bench.results.html.answer import Answer, answer
from bench.results.html.flips import flip_tables
from bench.results.html.inline import inline_svg
from bench.results.html.pairs import Pair, kept_folders, pairs
from bench.results.html.pictures import Picture, pictures
from bench.results.html.plugin import PluginSection, plugin_sections
from bench.results.html.tables import Table
from bench.store.pairs import PairList
from bench.store.rundir import COMMAND_NAME, CONFIG_NAME
from leaderboards.render.text import visible
from leaderboards.tables.notes import BoardNotes

LARGEST: Final = 5_000_000  # bytes of a report
_PICTURES: Final = 1_200_000  # characters that thumbnails may take, of all runs together
_CELLS: Final = 2_000  # rows of cells, of all runs together
_NUMBERS: Final = 160  # rows that a figure's own table may have
_FOLDER: Final = Path(__file__).parent
# What a figure shows is read in this order; kinds that are new come last.
_ORDER: Final = ("heatmap", "tradeoff", "severity", "eps", "roc", "det", "histogram", "confusion",
                 "reliability", "flips", "agreement", "transfer", "time")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of the page.

    Attributes:
        kind: Name of its kind, as ``bench plot`` knows it.
        summary: What it shows.
        svg: The figure itself, as markup.
        numbers: The numbers it shows; None where they would fill pages.
    """

    kind: str
    summary: str
    svg: Markup
    numbers: Table | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One run on the page.

    Attributes:
        key: What its ids begin with.
        title: Data set and suite.
        folder: Name of the run's folder, without where it lies.
        answer: Question and answer in words.
        notes: Protocol of the board.
        remarks: What must be known beside the warnings.
        headline: The table of the first screen.
        tables: Tables by section.
        figures: Figures in order.
        pages: Pages of other distributions.
        pictures: Images worth a look.
        pairs: Images before and after an attack.
        pictured: Detector that the images are chosen by; "" for none.
        facts: Title and text of what the run rests on.
        command: The command that repeats it.
    """

    key: str
    title: str
    folder: str
    answer: Answer
    notes: BoardNotes
    remarks: tuple[str, ...]
    headline: Table
    tables: dict[str, Table]
    figures: tuple[Figure, ...]
    pages: tuple[PluginSection, ...]
    pictures: tuple[Picture, ...]
    pairs: tuple[Pair, ...]
    pictured: str
    facts: tuple[tuple[str, str], ...]
    command: str


class Page(NamedTuple):
    """A report as text, and how many cells of its runs have no result."""

    text: str
    incomplete: int


def report_page(
    folders: Sequence[Path], *, images: bool = True, adversarial: Sequence[Path] = ()
) -> Page:
    """Write the report of some runs as one HTML document, the same text each time.

    Args:
        folders: The runs' folders, each once.
        images: Whether thumbnails of images are embedded.
        adversarial: Folders of attacked pictures, beside those inside the runs' own.

    Raises:
        BenchError: A folder is no run, attacked pictures are of none of them, a run is given twice, or the
            page is too large for a browser's comfort.
    """
    resolved = [folder.resolve() for folder in folders]
    if len(set(resolved)) < len(resolved):
        raise BenchError("a run is given twice: give each folder once")
    shown = [load_evidence(folder) for folder in folders]
    kept = kept_folders(list(zip(folders, shown, strict=True)), adversarial)
    for share in (1.0, 0.25):
        sections = [
            _section(
                f"r{i}-", folder, run, kept[i - 1] if images else [],
                budget=int(share * _PICTURES / len(shown)) if images else 0,
                most=int(share * _CELLS / len(shown)),
            )
            for i, (folder, run) in enumerate(zip(folders, shown, strict=True), start=1)
        ]  # fmt: skip
        text = _render(sections)
        if len(text.encode()) <= LARGEST:
            return Page(text, sum(run.report.incomplete for run in shown))
    raise BenchError(
        f"a report of {len(shown)} runs has {len(text.encode()) / 1e6:.1f} MB, more than "
        f"{LARGEST / 1e6:g}: give fewer runs, or --no-images"
    )


def _section(
    key: str,
    folder: Path,
    shown: Shown,
    kept: Sequence[tuple[Path, PairList]],
    *,
    budget: int,
    most: int,
) -> Section:
    evidence, notes = shown.evidence, shown.report.board.notes
    said = answer(shown)
    made = {
        "conditions": tables.condition_table(evidence),
        "cells": tables.cell_table(evidence, most),
        "shortcuts": tables.shortcut_table(evidence),
        "checks": tables.check_table(evidence),
        "failures": tables.failure_table(evidence),
        **flip_tables(evidence),
        **_provenance(shown),
    }
    warned = {caution.sentence for caution in notes.warnings}
    return Section(
        key=key,
        title=f"{notes.dataset}, suite {notes.suite}",
        folder=folder.resolve().name,
        answer=said,
        notes=notes,
        remarks=tuple(line for line in shown.report.remarks if line not in warned),
        headline=tables.headline_table(shown),
        tables={name: table for name, table in made.items() if table.rows},
        figures=tuple(_figures(key, shown)),
        pages=tuple(plugin_sections(key, evidence)),
        pictures=tuple(pictures(shown, said.detector, budget=budget - budget // 3 * bool(kept))),
        pairs=tuple(pairs(shown, kept, budget=budget // 3)),
        pictured=said.detector,
        facts=tuple(_facts(shown)),
        command=_command(folder),
    )


def _figures(key: str, shown: Shown) -> Iterator[Figure]:
    names = plot_names()
    for name in sorted(names, key=lambda n: (_ORDER.index(n) if n in _ORDER else 99, n)):
        plot = plot_kind(name)
        rows = plot.table(shown.evidence)
        if rows.empty:
            continue
        svg = inline_svg(plot, rows, f"{key}{name}-", f"{name}: {plot.summary}")
        numbers = tables.figure_table(name, rows) if len(rows) <= _NUMBERS else None
        yield Figure(kind=name, summary=plot.summary, svg=Markup(svg), numbers=numbers)  # noqa: S704


def _provenance(shown: Shown) -> dict[str, Table]:
    notes, scores = shown.report.board.notes, shown.run.scores
    detectors = [
        (
            name,
            notes.training.get(name) or "not stated",
            notes.weights.get(name) or "not stated",
            f"{scores.thresholds[name]:.6g}",
        )
        for name in shown.evidence.detectors
    ]
    return {
        "detectors": tables.plain_table(
            "detectors",
            "Detectors: what they were trained on, and which weights they are",
            ("Detector", "Trained on", "Weights (SHA-256)", "Threshold (logit)"),
            detectors,
        ),
        "as-run": tables.plain_table(
            "as-run",
            "Conditions with every parameter",
            ("Condition", "As run"),
            list(notes.conditions.items()),
        ),
        "versions": tables.plain_table(
            "versions", "Versions", ("Package", "Version"), list(notes.versions.items())
        ),
    }


def _facts(shown: Shown) -> Iterator[tuple[str, str]]:
    notes, spec = shown.report.board.notes, shown.run.spec
    layout = f", recognised as {notes.layout}" if notes.layout else ""
    yield (
        "Data",
        f"{notes.dataset}{layout}; {notes.n_images} images "
        f"{'scored' if notes.until is None else 'to choose from'}, {notes.bad_images} left out",
    )
    yield "Images (digest)", spec.manifest_digest
    yield "Threshold", notes.threshold_policy
    yield "Arithmetic", f"seed {notes.seed}, precision {notes.precision}, device {notes.device}"
    if notes.equaliser:
        yield "Before every condition", notes.equaliser
    yield "Made by", f"detector-bench {notes.tool_version}"
    for line in (*notes.data_card, *notes.extra):
        yield "Note", line


def _command(folder: Path) -> str:
    """Give the command that made the run; its settings stand beside its board where it is not kept."""
    try:
        return (folder / COMMAND_NAME).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError):
        return f"bench run --config {CONFIG_NAME}"


def _shown_text(value: Any) -> Any:
    """Spell controls out in every text that is not markup."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _digest(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return f"'sha256-{digest}'"


def _render(sections: Sequence[Section]) -> str:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown_text,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script, sheet = (
        (_FOLDER / name).read_text(encoding="utf-8") for name in ("report.js", "report.css")
    )
    # Only this script and this sheet count, by their digests; figures style their own elements.
    policy = (
        f"default-src 'none'; img-src data:; script-src {_digest(script)}; "
        f"style-src-elem {_digest(sheet)}; style-src-attr 'unsafe-inline'; base-uri 'none'; "
        "form-action 'none'"
    )
    return environment.get_template("report.html.jinja").render(
        sections=sections,
        policy=policy,
        script=Markup(script),  # noqa: S704  (a file of ours)
        sheet=Markup(sheet),  # noqa: S704  (a file of ours)
    )
