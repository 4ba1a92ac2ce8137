"""What a run leaves on disk besides its scores: enough to rebuild the board, and to say how it was made.

``run.json`` (the resolved request), ``manifest.parquet`` (the selected images), ``units.parquet``
(which shard holds what), ``failures.json`` and ``bad_images.csv``. The first three stand before the
first image is scored, so a killed run can still be looked at. ``run.json`` carries the digests of the other
two and one of itself: what is read is what was written, or is refused.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import ValidationError

from bench.datasets import Manifest
from bench.errors import BenchError, OutputError, nearest
from bench.store.run_spec import SCHEMA_VERSION, Failure, RunSpec
from bench.store.seal import SEAL, bytes_digest, is_intact, sealed, stream_digest
from bench.store.units import Plan
from bench.support.files import write_atomic, write_text
from bench.support.tables import read_table
from bench.support.toml import first_fault
from bench.support.user_file import MOST_TABLE, open_regular, read_bytes, why
from leaderboards.board import BOARD_FILES

SPEC_NAME: Final = "run.json"
MANIFEST_NAME: Final = "manifest.parquet"
UNITS_NAME: Final = "units.parquet"
FAILURES_NAME: Final = "failures.json"
BAD_IMAGES_NAME: Final = "bad_images.csv"
CONFIG_NAME: Final = "config.toml"
SUITE_NAME: Final = "suite.toml"
COMMAND_NAME: Final = "command.txt"
_RECORD_NAMES: Final = (
    SPEC_NAME, MANIFEST_NAME, UNITS_NAME, FAILURES_NAME, BAD_IMAGES_NAME, CONFIG_NAME, SUITE_NAME,
    COMMAND_NAME,
)  # fmt: skip
_BATCH: Final = 1 << 16  # images that are read at once where they are read in parts
_ANEW: Final = (
    "run the command that made it again, which writes it anew and takes over all sound scores"
)


# Reads images, some of their columns or (None) all, a part at a time, in their order.
ImageReader = Callable[[Collection[str] | None], Iterator[pa.RecordBatch]]


def no_run(folder: Path) -> BenchError:
    """Make the error about a place that is no run's folder: what it is, and where runs lie."""
    ask = "give the --out folder of a `bench run`"
    if not folder.exists():
        near = nearest(
            folder.name, [each.name for each in folder.parent.glob("*") if each.is_dir()]
        )
        hint = f"{near} else " if near.startswith("did you mean") else ""
        return BenchError(f"{folder} is not a run (there is no such folder): {hint}{ask}")
    if (folder.parent / SPEC_NAME).is_file():
        return BenchError(f"{folder} is a file of a run: give its folder, {folder.parent}")
    runs = [path.parent for path in sorted(folder.glob(f"*/{SPEC_NAME}"))]
    if runs:
        shown = ", ".join(map(str, runs[:4])) + ", ..." * (len(runs) > 4)
        return BenchError(f"{folder} is not a run but holds some: give one of them, {shown}")
    return BenchError(f"{folder} is not a run (it has no {SPEC_NAME}): {ask}")


@dataclass(frozen=True, slots=True, eq=False)
class RunRecord:
    """All that a board needs to know of a run, beside its scores.

    Attributes:
        root: The run's folder.
        spec: The resolved request.
        manifest: The selected images.
        units: Detector, condition, start and stop row of the manifest, and fingerprint of every unit.
        failures: What failed; empty while a run is under way.
    """

    root: Path
    spec: RunSpec
    manifest: pa.Table
    units: pa.Table
    failures: tuple[Failure, ...] = ()

    @property
    def store(self) -> Path:
        """Folder of the shards; a relative path is relative to the run's folder."""
        return self.root / self.spec.store


class RunDir:
    """The folder of one run and the files in it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def begin(
        self, spec: RunSpec, manifest: Manifest, rows: NDArray[np.int64], plan: Plan
    ) -> RunRecord:
        """Record what is about to be done, before doing it; returns the record."""
        (self.root / FAILURES_NAME).unlink(missing_ok=True)
        tables = {MANIFEST_NAME: manifest.whole_table.take(rows), UNITS_NAME: _units_table(plan)}
        digests = {}
        for name, table in tables.items():
            content = _parquet_bytes(table)
            digests[name] = bytes_digest(content)
            write_atomic(self.root / name, _writing(content))
        spec = spec.model_copy(update={"files": digests})
        unsaid = {name for name in ("imported", "until", "forms") if not getattr(spec, name)}
        document = sealed(json.loads(spec.model_dump_json(exclude=unsaid)))
        text = json.dumps(document, indent=2, ensure_ascii=False)
        write_text(self.root / SPEC_NAME, text + "\n")
        return RunRecord(self.root, spec, tables[MANIFEST_NAME], tables[UNITS_NAME])

    def failed(self, failures: Sequence[Failure]) -> None:
        """Record the failed cells, for the board that is built next."""
        text = json.dumps([failure.model_dump() for failure in failures], indent=2)
        write_text(self.root / FAILURES_NAME, text + "\n")

    def left_out(self, bad: Sequence[tuple[str, str]]) -> None:
        """Record (path, reason) of every image that was left out."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(["path", "reason"])
        writer.writerows(bad)
        write_text(self.root / BAD_IMAGES_NAME, buffer.getvalue())

    def clear(self) -> None:
        """Remove everything that tells of a run but its scores, ``run.json`` first."""
        for name in (*_RECORD_NAMES, *BOARD_FILES):
            (self.root / name).unlink(missing_ok=True)

    def check_names(self) -> None:
        """Make sure that nothing stands where a file of the run is to be written.

        Raises:
            OutputError: A folder has such a name.
        """
        for name in (*_RECORD_NAMES, *BOARD_FILES):
            if (self.root / name).is_dir():
                raise OutputError(
                    f"cannot write {self.root / name} (a folder has that name): move it away, or choose "
                    "another place"
                )

    def sweep(self) -> None:
        """Remove unfinished files of a board that a killed run left; the caller holds the folder's lock."""
        for name in BOARD_FILES:
            for path in self.root.glob(f".{name}.*.tmp"):
                with contextlib.suppress(OSError):
                    path.unlink()

    def read(self) -> RunRecord:
        """Read the whole record, and make sure that it is what was written.

        Raises:
            BenchError: This is not a run's folder, another version's, or one of its files is damaged.
        """
        spec = self.spec()
        manifest, units = self._table(MANIFEST_NAME, spec), self._table(UNITS_NAME, spec)
        if len(manifest) != spec.n_images:
            raise self._damaged(MANIFEST_NAME, f"{len(manifest)} images where {spec.n_images} were")
        return RunRecord(self.root, spec, manifest, units, tuple(self._failures(spec)))

    def read_streamed(self, spec: RunSpec) -> tuple[RunRecord, ImageReader]:
        """Read the record but for the images.

        Returns:
            The record, whose table of images has no row; and what reads these, as often as it is called.

        Raises:
            BenchError: As for `read`; for what is found late, as the images are read.
        """
        record = RunRecord(
            self.root, spec, pa.table({"sample_id": pa.array([], pa.string())}),
            self._table(UNITS_NAME, spec), tuple(self._failures(spec)),
        )  # fmt: skip
        return record, lambda columns: self._batches(spec, columns)

    def _batches(self, spec: RunSpec, columns: Collection[str] | None) -> Iterator[pa.RecordBatch]:
        try:
            with open_regular(self.root / MANIFEST_NAME) as stream:
                if (
                    MANIFEST_NAME in spec.files
                    and stream_digest(stream) != spec.files[MANIFEST_NAME]
                ):
                    raise self._damaged(MANIFEST_NAME, "its digest does not fit")
                stream.seek(0)
                with pq.ParquetFile(stream, page_checksum_verification=True) as file:
                    if (n := file.metadata.num_rows) != spec.n_images:
                        raise self._damaged(MANIFEST_NAME, f"{n} images where {spec.n_images} were")
                    names = file.schema_arrow.names
                    chosen = [name for name in names if columns is None or name in columns]
                    yield from file.iter_batches(_BATCH, columns=chosen, use_threads=False)
        except FileNotFoundError:
            raise BenchError(
                f"{self.root / MANIFEST_NAME} is missing, and {SPEC_NAME} tells of it: {_ANEW}"
            ) from None

    def spec(self) -> RunSpec:
        """Read the recorded request.

        Raises:
            BenchError: If this is not a run's folder, another version's, or the record is damaged.
        """
        path = self.root / SPEC_NAME
        try:
            document = json.loads(read_bytes(path, MOST_TABLE))
        except (FileNotFoundError, NotADirectoryError):
            raise no_run(self.root) from None
        except (OSError, ValueError, RecursionError, MemoryError) as error:
            raise self._damaged(SPEC_NAME, why(error)) from error
        if not isinstance(document, dict) or "schema_version" not in document:
            raise self._damaged(SPEC_NAME, "it holds no request")
        version = document["schema_version"]
        if version != SCHEMA_VERSION:
            raise BenchError(
                f"{path} has schema version {version!r}, this bench reads {SCHEMA_VERSION}: read it with "
                "the version that wrote it, or score into another --out"
            )
        # Runs of earlier versions carry no digest, neither of themselves nor of other files.
        if {SEAL, "files"} & document.keys() and not is_intact(document):
            raise self._damaged(SPEC_NAME, "its digest does not fit")
        document.pop(SEAL, None)
        try:
            return RunSpec.model_validate_json(json.dumps(document))
        except ValidationError as error:
            key, says = first_fault(error)
            raise BenchError(f"{path}: {key}: {says}; was it made by another version?") from error
        except BenchError as error:  # a condition whose plug-in is not here, for example
            raise BenchError(f"{path}: {error}") from error
        except Exception as error:  # surrogates, numbers of any length
            raise self._damaged(SPEC_NAME, why(error)) from error

    def manifest(self) -> pa.Table:
        """Read the selected images."""
        return self.read().manifest

    def units(self) -> pa.Table:
        """Read detector, condition, start and stop row, and fingerprint of every unit."""
        return self.read().units

    def store(self, spec: RunSpec) -> Path:
        """Give the folder of the shards; a relative path is relative to the folder of the run."""
        return self.root / spec.store

    def damaged_tables(self, spec: RunSpec) -> list[str]:
        """Name the tables that are not those the recorded request was written with."""
        damaged = []
        for name in spec.files:
            try:
                self._table(name, spec)
            except BenchError:
                damaged.append(name)
        return damaged

    def _table(self, name: str, spec: RunSpec) -> pa.Table:
        try:
            content = read_bytes(self.root / name, MOST_TABLE)
            if name in spec.files and bytes_digest(content) != spec.files[name]:
                raise self._damaged(name, "its digest does not fit")
            return read_table(content)
        except BenchError:
            raise
        except FileNotFoundError:
            raise BenchError(
                f"{self.root / name} is missing, and {SPEC_NAME} tells of it: {_ANEW}"
            ) from None
        except Exception as error:  # whatever a decoder makes of damaged bytes
            raise self._damaged(name, why(error)) from error

    def _failures(self, spec: RunSpec) -> list[Failure]:
        try:
            items = json.loads(read_bytes(self.root / FAILURES_NAME, MOST_TABLE))
            failures = [Failure.model_validate(item) for item in items]
        except FileNotFoundError:
            return []
        except Exception as error:
            raise self._damaged(FAILURES_NAME, f"{type(error).__name__}") from error
        labels = {detector.label for detector in spec.detectors}
        conditions = {condition.spelled for condition in spec.conditions}
        for failure in failures:
            if failure.detector not in labels or failure.condition not in conditions:
                cell = f"{failure.detector} under {failure.condition}"
                raise self._damaged(FAILURES_NAME, f"the run has no cell of {cell}")
        return failures

    def _damaged(self, name: str, reason: str) -> BenchError:
        return BenchError(f"{self.root / name} is damaged ({reason}): {_ANEW}")


def _units_table(plan: Plan) -> pa.Table:
    starts = np.cumsum([0, *(len(chunk.rows) for chunk in plan.chunks)])
    return pa.table(
        {
            "detector": [unit.detector for unit in plan.units],
            "condition": [unit.condition for unit in plan.units],
            "start": [int(starts[unit.chunk]) for unit in plan.units],
            "stop": [int(starts[unit.chunk + 1]) for unit in plan.units],
            "fingerprint": [unit.fingerprint for unit in plan.units],
        }
    )


def _parquet_bytes(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _writing(content: bytes) -> Callable[[BinaryIO], object]:
    return lambda stream: stream.write(content)
