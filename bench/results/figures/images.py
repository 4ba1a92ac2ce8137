"""The images of a run, where the run found them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bench.datasets import SCHEMA, BadImageError, ImageRecord, StaleIndexError, load, pocket_root
from bench.errors import BenchError
from bench.store.rundir import RunDir
from bench.support.objects.remote import is_url


@dataclass(frozen=True, slots=True)
class RunImages:
    """Images by their id in the data set.

    Attributes:
        root: Folder that their places are relative to; None where the data are not here.
        records: Where each image lies.
    """

    root: Path | None
    records: dict[str, ImageRecord]

    @classmethod
    def of(cls, folder: Path, data: str) -> RunImages:
        """Find the images of a run.

        Args:
            folder: The run's folder.
            data: What the run says of where its data lie.
        """
        table: pa.Table = RunDir(folder).manifest().select(SCHEMA.names)
        records = {row["sample_id"]: ImageRecord(**row) for row in table.to_pylist()}
        return cls(_root(data), records)

    def load(self, sample_id: str) -> NDArray[np.uint8] | None:
        """Decode an image as (H, W, 3) uint8; None where it is not here, or is no longer what it was."""
        record = self.records.get(sample_id)
        if self.root is None or record is None:
            return None
        try:
            return load(self.root, record)
        except (BadImageError, StaleIndexError, BenchError, OSError):
            return None


def _root(data: str) -> Path | None:
    """Give the folder that the images' places are relative to, as far as the run says."""
    if data == "pocket":
        return pocket_root()
    # Nobody who looks at a run has asked for a store to be contacted.
    path = Path(data).expanduser() if data and not is_url(data) else None
    if path is None or not path.exists():
        return None
    return path if path.is_dir() else path.parent
