"""Pages that other distributions add to a report: a heading, a table, and a figure where they draw one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
from markupsafe import Markup

from bench import registry
from bench.errors import BenchError
from bench.results.html.inline import inline_svg
from bench.results.html.tables import Table, figure_table
from bench.support.interruption import is_ctrl_c
from detectors.errors import described
from leaderboards.plots.evidence import Evidence, Plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPage:
    """What another distribution shows in every report, made from a board and the scores behind it.

    Attributes:
        title: Heading of the section.
        summary: What it shows, in a sentence.
        table: Gives tidy rows, a column each; none where the run has nothing to show here.
        draw: Draws these rows at a width in mm; None for a table alone.
    """

    title: str
    summary: str
    table: Callable[[Evidence], pd.DataFrame]
    draw: Callable[[pd.DataFrame, float], Figure] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginSection:
    """One such page as it stands in a report.

    Attributes:
        name: Part of its id.
        title: Heading of the section.
        summary: What it shows, in a sentence.
        svg: The figure, as markup; "" for none.
        table: Rows of the page, sortable.
    """

    name: str
    title: str
    summary: str
    svg: Markup
    table: Table


def plugin_sections(key: str, evidence: Evidence) -> Iterator[PluginSection]:
    """Make the pages of other distributions for one run, in the order of their names.

    Args:
        key: What the ids of the run begin with.
        evidence: The run's board and scores.

    Raises:
        BenchError: A page fails, or gives no table; says which.
    """
    for name, page in registry.pages().items():
        try:
            section = _section(key, name, page, evidence)
        except BaseException as error:
            if is_ctrl_c(error):
                raise
            raise BenchError(
                f"page {name!r} of a plug-in fails ({described(error)}): mend or uninstall it"
            ) from error
        if section is not None:
            yield section


def _section(key: str, name: str, page: object, evidence: Evidence) -> PluginSection | None:
    if not isinstance(page, ReportPage):
        raise TypeError(f"it is {type(page).__name__}, not a bench.ReportPage")
    rows: object = page.table(evidence)
    if not isinstance(rows, pd.DataFrame):
        raise TypeError(f"table gives {type(rows).__name__}, not a pandas DataFrame")
    if rows.empty:
        return None
    svg = ""
    if page.draw is not None:
        plot = Plot(summary=page.summary, table=page.table, draw=page.draw, lacking="")
        svg = inline_svg(plot, rows, f"{key}page-{name}-", f"{page.title}: {page.summary}")
    return PluginSection(
        name=name,
        title=page.title,
        summary=page.summary,
        svg=Markup(svg),  # noqa: S704  (drawn by matplotlib, with text escaped)
        table=figure_table(f"page-{name}", rows, caption=f"The rows of {page.title}"),
    )
