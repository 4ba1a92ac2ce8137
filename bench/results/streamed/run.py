"""The tables of a run that is put together in passes, and what its notes need to know of the scores."""

from __future__ import annotations

import errno
import itertools
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from bench.errors import OutputError
from bench.protocol.cuts import cut_samples
from bench.results.checks import (
    detector_cautions,
    like_probabilities,
    probability_caution,
    saturating,
    seen_by,
    tie_cautions,
)
from bench.results.confounds import count_run, run_cautions
from bench.results.scores import (
    ScoreTable,
    as_written,
    chosen_thresholds,
    failure_status,
    table_head,
    with_remedy,
)
from bench.results.stored.conditions import stored_status
from bench.results.streamed.dependence import NAMES, Dependence, repeated
from bench.results.streamed.load import LaidColumn, LaidRun, lay_out
from bench.results.streamed.scope import disk_bytes, is_streamed, n_scores
from bench.store.run_spec import RunSpec
from bench.store.rundir import ImageReader, RunDir, RunRecord
from bench.support.files import scratch_folder
from bench.support.progress import Progress
from leaderboards import CLEAN
from leaderboards.streamed.board import BoardProtocol, StreamedTables, steps, stream_tables
from leaderboards.streamed.columns import ColumnFile, ColumnPass
from leaderboards.tables.further.periods import TIME_COLUMNS
from leaderboards.tables.notes import Caution


@dataclass(frozen=True, slots=True, eq=False)
class StreamedRun:
    """What a board is made of where memory does not hold the scores.

    Attributes:
        spec: The request as it was resolved.
        scores: What is known of the run; its samples have a row a kind of image, and there are no columns.
        tables: Cells, and the tables beside them.
    """

    spec: RunSpec
    scores: ScoreTable
    tables: StreamedTables


def stream_folder(folder: Path, progress: Progress) -> StreamedRun | None:
    """Make the tables of a run's folder in passes; None where they are to be made in memory.

    Nothing in the folder or its store is changed.

    Raises:
        BenchError: The folder is no run, or what it records is damaged.
        ShardDamagedError: Scores are damaged; says how they are scored anew.
        NothingSelectedError: If its slices are empty.
        OutputError: There is no room for its files.
    """
    spec = RunDir(folder).spec()
    if not is_streamed(spec):
        return None
    record, images = RunDir(folder).read_streamed(spec)
    with with_remedy(folder), as_written(folder):
        return _stream(record, images, progress, set_aside=False)


def stream_record(record: RunRecord, progress: Progress) -> StreamedRun | None:
    """Make the tables of what a run recorded in passes; None where they are to be made in memory.

    Damaged shards are renamed, so that their units count as not scored.
    """
    if not is_streamed(record.spec):
        return None

    def images(columns: Collection[str] | None) -> Iterator[pa.RecordBatch]:
        names = record.manifest.column_names
        chosen = [name for name in names if columns is None or name in columns]
        yield from record.manifest.select(chosen).to_batches()

    return _stream(record, images, progress, set_aside=True)


def _stream(
    record: RunRecord, images: ImageReader, progress: Progress, *, set_aside: bool
) -> StreamedRun | None:
    spec = record.spec
    with _room(spec) as folder:
        batches = images(None)
        first = next(batches, None)
        if first is None or not TIME_COLUMNS.isdisjoint(first.schema.names):
            return None
        dependence = Dependence(repeated(images(NAMES), folder), folder / "clusters")
        progress.start("board, reading scores", n_scores(spec))
        laid = lay_out(
            record, itertools.chain([first], batches), dependence, folder,
            set_aside=set_aside, advance=progress.advance,
        )  # fmt: skip
        clusters = dependence.finished()
        if dependence.has_collision:
            return None
        kinds = laid.counts.kinds()
        thresholds, seen = chosen_thresholds(spec), seen_by(spec.detectors, spec.pairing)
        cuts = cut_samples(
            kinds, spec.suite.slices, spec.pairing, dataset=spec.dataset, split=spec.split
        )
        protocol = BoardProtocol(
            kinds=kinds, cuts=cuts, seen=seen, dataset=spec.dataset, thresholds=thresholds,
            policy=spec.suite.threshold, clusters=clusters,
        )  # fmt: skip
        fake = (kinds["label"] == 1).to_numpy()
        columns = [_column(column, laid, record, fake, thresholds) for column in laid.columns]
        progress.start("board, measuring cells", steps(columns, protocol))
        tables = stream_tables(columns, protocol, folder, progress.advance)
        scores = _score_table(record, laid, columns, folder)
    return StreamedRun(spec, scores, tables)


@contextmanager
def _room(spec: RunSpec) -> Iterator[Path]:
    """Give a folder for the files of a board, removed at the end.

    Raises:
        OutputError: There is no room for them.
    """
    try:
        with scratch_folder("bench-board") as folder:
            yield folder
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        need = disk_bytes(spec.n_images, len(spec.detectors), len(spec.conditions)) / 1e9
        raise OutputError(
            f"no room in {tempfile.gettempdir()} for the files of a board of {n_scores(spec):,} scores, some "
            f"{need:.0f} GB: set TMPDIR to a folder with more"
        ) from error


def _column(
    column: LaidColumn,
    laid: LaidRun,
    record: RunRecord,
    fake: NDArray[np.bool_],
    thresholds: dict[str, float],
) -> ColumnFile:
    """Judge one column, as ``scores.read_scores`` does."""
    conditions = {condition.spelled: condition for condition in record.spec.conditions}
    failures = {(failure.detector, failure.condition): failure for failure in record.failures}
    failure = failures.get((column.detector, column.condition))
    condition = conditions[column.condition]
    if failure is None and not np.isnan(thresholds[column.detector]):
        status, reason = stored_status(column.stored(), condition)
    else:
        status, reason = failure_status(failure, condition, record.spec)
    return ColumnFile(
        detector=column.detector, condition=column.condition, kinds=laid.counts.kinds_path,
        logits=column.path, fake=fake, status=status, reason=reason,
    )  # fmt: skip


def _score_table(
    record: RunRecord, laid: LaidRun, columns: list[ColumnFile], folder: Path
) -> ScoreTable:
    """Say of the run what a board's notes tell."""
    spec, samples = record.spec, laid.counts.facts()
    left_out = count_run(spec, pd.concat([samples.iloc[:0], *laid.left_out]))
    repeats = laid.counts.dependence.repeats()
    return ScoreTable(
        **table_head(record),
        samples=samples,
        columns=(),
        thresholds=chosen_thresholds(spec),
        bad=laid.bad,
        training=seen_by(spec.detectors, spec.pairing),
        left_out=left_out,
        cautions=(
            *_score_cautions(spec, laid, columns, folder),
            *detector_cautions(spec.detectors),
            *run_cautions(spec, samples, left_out, repeats),
        ),
        counted_repeats=repeats,
    )


def _score_cautions(
    spec: RunSpec, laid: LaidRun, columns: list[ColumnFile], folder: Path
) -> Iterator[Caution]:
    """Warn of what clean scores themselves show, as ``checks.score_cautions`` does."""
    clean = [pair for pair in zip(laid.columns, columns, strict=True) if pair[0].condition == CLEAN]
    thresholds = chosen_thresholds(spec)
    for seen, column in clean:
        if like_probabilities(seen.n_finite, seen.least, seen.most):
            limit = thresholds.get(column.detector, 0.0)
            n_called = sum(
                int(np.count_nonzero(logits[np.isfinite(logits)] > limit))
                for logits in column.of(np.arange(column.fake.size))
            )
            yield probability_caution(column.detector, n_called / seen.n_finite)
    for _, column in clean:
        if column.detector in saturating(spec):
            with tempfile.TemporaryDirectory(dir=folder) as place:
                measured = ColumnPass(column, 0.0, Path(place))
                reals, fakes = (np.flatnonzero(column.fake == label) for label in (False, True))
                count = measured.pairs(reals, fakes)
            pairs = count.n_real * count.n_fake
            yield from tie_cautions(column.detector, count.ties / pairs if pairs else 0.0)
