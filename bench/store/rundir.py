"""What a run leaves on disk besides its scores: enough to rebuild the board, and to say how it was made.

``run.json`` (the resolved request), ``manifest.parquet`` (the selected images), ``units.parquet``
(which shard holds what), ``failures.json`` and ``bad_images.csv``. The first three stand before the
first image is scored, so a killed run can still be looked at.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from bench.datasets import Manifest
from bench.errors import BenchError
from bench.protocol.suite import Suite
from bench.store.units import Plan
from bench.support.files import write_atomic, write_text
from bench.support.toml import first_fault
from leaderboards.tables.attacks import AttackFacts
from leaderboards.tables.notes import LeftOut

SCHEMA_VERSION = 1
# What a detector's remark begins with where its answers vary.
UNSTEADY = "not deterministic"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DetectorRecord(_Record):
    """One detector of a run: its card, and the hash of everything that decides its logits."""

    label: str
    requested: str
    identity: str
    batch_size: int
    card: dict[str, Any]
    remarks: tuple[str, ...] = ()


class ConditionRecord(_Record):
    """One condition: as spelled, with every parameter, what its steps promise, its severity curve."""

    spelled: str
    resolved: str
    attack: bool
    must_change: bool
    family: str = ""
    strength: int = 0
    facts: AttackFacts | None = None


class ThresholdRecord(_Record):
    """A chosen threshold, and the images it was chosen on.

    Attributes:
        value: Logit above which an image is called fake.
        n_real: Real images it was chosen on.
        n_fake: Fake images it was chosen on.
        generators: The generators among them, where only those of the training data counted.
    """

    value: float
    n_real: int
    n_fake: int
    generators: tuple[str, ...] = ()


class Failure(_Record):
    """Why one detector has no scores under one condition."""

    detector: str
    condition: str
    status: Literal["failed", "not attackable"]
    reason: str


class RunSpec(_Record):
    """The resolved request: every choice that was made, by the user or for them.

    ``left_out`` counts the images of the split that could not be used when the data were indexed.
    """

    schema_version: int = SCHEMA_VERSION
    suite: Suite
    dataset: str
    layout: str
    pairing: dict[str, tuple[str, ...]]
    left_out: tuple[LeftOut, ...] = ()
    manifest_digest: str
    split: str
    limit: int | None
    n_images: int
    n_available: int
    detectors: tuple[DetectorRecord, ...]
    conditions: tuple[ConditionRecord, ...]
    thresholds: dict[str, ThresholdRecord] = {}
    seed: int
    precision: Literal["fp32", "bf16"]
    device: str
    environment: dict[str, Any]
    decode: dict[str, Any]
    versions: dict[str, str]
    git: dict[str, Any]
    store: str


class RunDir:
    """The folder of one run and the files in it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def begin(self, spec: RunSpec, manifest: Manifest, rows: NDArray[np.int64], plan: Plan) -> None:
        """Record the run before its first image is scored."""
        (self.root / "failures.json").unlink(missing_ok=True)
        selected = manifest.table.take(rows)
        write_atomic(
            self.root / "manifest.parquet",
            lambda s: pq.write_table(selected, s, compression="zstd"),
        )
        starts = np.cumsum([0, *(len(chunk.rows) for chunk in plan.chunks)])
        units = pa.table(
            {
                "detector": [unit.detector for unit in plan.units],
                "condition": [unit.condition for unit in plan.units],
                "start": [int(starts[unit.chunk]) for unit in plan.units],
                "stop": [int(starts[unit.chunk + 1]) for unit in plan.units],
                "fingerprint": [unit.fingerprint for unit in plan.units],
            }
        )
        write_atomic(
            self.root / "units.parquet", lambda s: pq.write_table(units, s, compression="zstd")
        )
        write_text(self.root / "run.json", spec.model_dump_json(indent=2) + "\n")

    def failed(self, failures: Sequence[Failure]) -> None:
        """Record the failed cells, for the board that is built next."""
        text = json.dumps([failure.model_dump() for failure in failures], indent=2)
        write_text(self.root / "failures.json", text + "\n")

    def left_out(self, bad: Sequence[tuple[str, str]]) -> None:
        """Record (path, reason) of every image that was left out."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(["path", "reason"])
        writer.writerows(bad)
        write_text(self.root / "bad_images.csv", buffer.getvalue())

    def spec(self) -> RunSpec:
        """Read the recorded request.

        Raises:
            BenchError: If this is not a run's folder, or another version's.
        """
        path = self.root / "run.json"
        try:
            return RunSpec.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise BenchError(
                f"{self.root} is not a run (it has no run.json): give the --out folder of a `bench run`"
            ) from None
        except ValidationError as error:
            key, says = first_fault(error)
            raise BenchError(f"{path}: {key}: {says}; was it made by another version?") from error

    def manifest(self) -> pa.Table:
        """Read the selected images: the manifest, cut to the rows that are scored."""
        return self._parquet("manifest.parquet")

    def units(self) -> pa.Table:
        """Read detector, condition, start and stop row of the manifest, and fingerprint of every unit."""
        return self._parquet("units.parquet")

    def failures(self) -> list[Failure]:
        """Read the failed cells; none while a run is under way."""
        path = self.root / "failures.json"
        if not path.is_file():
            return []
        return [Failure.model_validate(item) for item in json.loads(path.read_text())]

    def store(self, spec: RunSpec) -> Path:
        """Give the folder of the shards; a relative path is relative to the folder of the run."""
        return self.root / spec.store

    def _parquet(self, name: str) -> pa.Table:
        try:
            return pq.read_table(self.root / name)
        except (OSError, pa.ArrowException) as error:
            raise BenchError(
                f"{self.root / name} cannot be read ({error}): run the command again"
            ) from error
