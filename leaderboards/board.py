"""The board: tidy rows and notes, the tables derived from them, and the files written of them."""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass
from html import escape
from pathlib import Path

import pandas as pd

from leaderboards.render.budgets import budget_files
from leaderboards.render.certified import certified_csv
from leaderboards.render.csv import render_csv, render_matrix
from leaderboards.render.json import render_json
from leaderboards.render.markdown import render_markdown
from leaderboards.render.parts import parts_csv
from leaderboards.render.robustness import severity_csv
from leaderboards.tables import means
from leaderboards.tables.attacks import curves, transfer_matrix
from leaderboards.tables.cells import CLEAN, as_rows
from leaderboards.tables.extras import Extras
from leaderboards.tables.notes import BoardNotes

MARKDOWN_NAME = "leaderboard.md"
CSV_NAME = "leaderboard.csv"
SEVERITY_NAME = "severity.csv"
TRANSFER_NAME = "transfer.csv"
CERTIFIED_NAME = "certified.csv"
PARTS_NAME = "parts.csv"
# Every file that a board may consist of; which ones it does depends on what it holds.
BUDGET_NAMES = ("distances.csv", "queries.csv")
BOARD_FILES = (
    MARKDOWN_NAME, CSV_NAME, SEVERITY_NAME, TRANSFER_NAME, CERTIFIED_NAME, PARTS_NAME,
    *BUDGET_NAMES,
)  # fmt: skip
_KEY = ["detector", "dataset", "generator", "domain", "condition"]


@dataclass(frozen=True, slots=True, eq=False)
class Board:
    """A leaderboard: made from scores only, never from a detector.

    Attributes:
        rows: One row a cell, as ``leaderboards.cell_rows`` gives them; several such frames may be
            concatenated (for example cuts by generator and by domain).
        notes: What a reader must know.
        extras: Tables that need the scores themselves, where they were at hand.

    Raises:
        ValueError: Columns missing, a cell given twice, or more than one data set.
    """

    rows: pd.DataFrame
    notes: BoardNotes
    extras: Extras | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", as_rows(self.rows))
        repeated = self.rows[self.rows.duplicated(_KEY)]
        if len(repeated):
            raise ValueError(f"cell given twice: {repeated[_KEY].iloc[0].to_dict()}")
        datasets = sorted(set(self.rows["dataset"]))
        if len(datasets) > 1:
            raise ValueError(f"a board is about one data set, got {datasets}; make one for each")

    def _repr_html_(self) -> str:
        """Show the headline in a notebook, below what makes its numbers unusable; names are escaped."""
        cautions = [
            f"<p><b>{escape(c.title)}.</b> {escape(c.advice)}</p>" for c in self.notes.cautions
        ]
        table = self.headline().to_html(index=False, na_rep="n/a", float_format="{:.3f}".format)
        return "\n".join([*cautions, table])

    def headline(self) -> pd.DataFrame:
        """Sum up each detector in one row, best first; see ``leaderboards.tables.means.headline``."""
        return means.headline(self.rows)

    def by_generator(self, metric: str = "auc", condition: str = CLEAN) -> pd.DataFrame:
        """Lay out detector x generator, each generator in all its domains; empty if not cut so."""
        return means.matrix(self.rows, "generator", metric, condition)

    def by_domain(self, metric: str = "auc", condition: str = CLEAN) -> pd.DataFrame:
        """Lay out detector x domain, each domain over all generators; empty if not cut so."""
        return means.matrix(self.rows, "domain", metric, condition)

    def by_generator_and_domain(self, metric: str = "auc", condition: str = CLEAN) -> pd.DataFrame:
        """Lay out detector x "generator / domain"; empty if the cells are not cut so."""
        return means.matrix(self.rows, "generator and domain", metric, condition)

    def by_condition(self) -> pd.DataFrame:
        """Average over slices by condition; see ``leaderboards.tables.means.by_condition``."""
        return means.by_condition(self.rows)

    def robustness(self) -> pd.DataFrame:
        """Compute areas under robust accuracy and AUC over eps; see ``tables.attacks.curves``."""
        return curves(self.rows, self.notes.attacks)

    def transfer_matrix(self) -> pd.DataFrame:
        """Lay out attack success by surrogate and target; empty where the board holds no transfer."""
        return transfer_matrix(self.rows, self.notes.attacks)

    def failures(self) -> pd.DataFrame:
        """List cells that are not "ok": detector, generator, domain, condition, status, reason."""
        return means.failures(self.rows)

    def to_markdown(self) -> str:
        """Render the file for people, headline table first."""
        return render_markdown(self.rows, self.notes, self.extras)

    def to_csv(self) -> str:
        """Render the tidy file, one row a cell, with what the notes say of it."""
        return render_csv(self.rows, self.notes)

    def to_json(self) -> str:
        """Render notes, headline, conditions and cells as one strict JSON document."""
        return render_json(self.rows, self.notes, self.extras)

    def files(self) -> dict[str, str]:
        """Render all files of the board: text by name, ``leaderboard.md`` and ``leaderboard.csv`` first.

        Where a corruption was run at two strengths or more, its curves are in ``severity.csv``. The
        matrix of a board with transfer attacks is in ``transfer.csv``, certified accuracy in
        ``certified.csv``, the parts of a protocol in ``parts.csv``, robust accuracy by distance in
        ``distances.csv``, and success by queries in ``queries.csv``.
        """
        texts = {MARKDOWN_NAME: self.to_markdown(), CSV_NAME: self.to_csv()}
        if severity := severity_csv(self.rows, self.notes):
            texts[SEVERITY_NAME] = severity
        transfers = self.transfer_matrix()
        if len(transfers):
            texts[TRANSFER_NAME] = render_matrix(transfers)
        if curves_of_proof := certified_csv(self.extras):
            texts[CERTIFIED_NAME] = curves_of_proof
        if by_part := parts_csv(self.extras):
            texts[PARTS_NAME] = by_part
        return texts | budget_files(self.extras)

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write the board's ``files``; each appears whole or not at all, and outlasts a power cut.

        Files of another board that this one does not have are removed: they would pass for its own.

        Args:
            folder: Created where it does not exist.

        Returns:
            The two paths, Markdown first.

        Raises:
            OSError: The folder cannot be made or written; nothing half-written is left.
        """
        folder.mkdir(parents=True, exist_ok=True)
        files = self.files()
        for name in BOARD_FILES:
            if name not in files:
                (folder / name).unlink(missing_ok=True)
        for name, text in files.items():
            _write_whole(folder / name, text)
        return folder / MARKDOWN_NAME, folder / CSV_NAME


def _sync_folder(folder: Path) -> None:
    # The rename itself lasts only once the folder is synced; some systems refuse, and that is fine.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _write_whole(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files for the owner's eyes only; a board is for others to read.
        temporary.chmod(0o644)
        temporary.replace(path)
        _sync_folder(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
