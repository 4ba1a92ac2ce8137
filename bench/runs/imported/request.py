"""What is asked for where scores are imported: the file, and the protocol they are to be read by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.protocol.suite import Suite
from bench.store.run_spec import ScoreKind


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """A file of scores, and the images it is about.

    Attributes:
        file: CSV, JSONL or Parquet table.
        suite: Slices, threshold policy, split and data set; its conditions only give an order.
        data: A folder or file of images; ``None`` takes the suite's data set.
        layout: Name of the layout, or ``auto``.
        split: ``None`` takes the suite's; ``""`` takes every image.
        out: The run's folder; ``None`` is ``runs/<name of the file>``.
        detector: Name of the detector, where the file has none.
        scores: What the scores are, where the file does not say.
        allow_missing: Leave images without a score out, for every detector alike.
        limit: At most about so many images, as ``bench run`` selects them; ``None`` takes all.
        seed: Decides which images a limit keeps.
        cache: Folder of cached manifests; ``None`` is the user's cache.
        force: Replace what another request has left in the folder.
        command: The command line, to be kept beside the results; empty where there is none.
    """

    file: Path
    suite: Suite
    data: str | None = None
    layout: str = "auto"
    split: str | None = None
    out: Path | None = None
    detector: str | None = None
    scores: ScoreKind | None = None
    allow_missing: bool = False
    limit: int | None = None
    seed: int = 0
    cache: Path | None = None
    force: bool = False
    command: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Folder that the run's files go to."""
        return self.out or Path("runs") / self.file.stem

    @property
    def scored_split(self) -> str:
        """The split that is scored; "" for every image."""
        return self.suite.split if self.split is None else self.split

    @property
    def place(self) -> str:
        """The data set as it was named."""
        return self.data or self.suite.dataset
