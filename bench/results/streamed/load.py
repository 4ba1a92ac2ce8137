"""A run's images and shards, read once from first to last and laid into files, a column of scores each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bench.results.streamed.dependence import Dependence
from bench.results.streamed.images import KIND_COLUMNS, ImageCounts, Parts
from bench.store.run_shards import RunShards, StoredScores
from bench.store.rundir import RunRecord
from leaderboards.streamed.columns import Advance

WINDOW: Final = 1 << 16  # images that are read at once, or a chunk where that is larger


@dataclass(slots=True, eq=False)
class LaidColumn:
    """One detector under one condition, as its shards are laid into a file.

    Attributes:
        detector: The detector's label.
        condition: The condition as spelled.
        path: File of float32, one an image in the order of the manifest, nan where no shard holds it.
        missing: Units without a readable shard.
        changed: Whether the condition changed a pixel of any image.
        n_finite: Finite scores of images that are kept.
        least: The least of them.
        most: The greatest of them.
    """

    detector: str
    condition: str
    path: Path
    missing: int = 0
    changed: bool = False
    n_finite: int = 0
    least: float = np.inf
    most: float = -np.inf

    def stored(self) -> StoredScores:
        """Give what the status of the column follows from; it holds no scores."""
        nothing = np.zeros(0, dtype=np.float32)
        return StoredScores(nothing, {}, {}, {}, self.changed, self.missing, {})

    def look(self, scores: NDArray[np.float32]) -> None:
        """Note the range of some scores."""
        finite = scores[np.isfinite(scores)]
        if finite.size:
            self.n_finite += finite.size
            self.least = min(self.least, float(finite.min()))
            self.most = max(self.most, float(finite.max()))


@dataclass(slots=True, eq=False)
class LaidRun:
    """A run in files.

    Attributes:
        counts: What is known of the images that are kept.
        columns: One a detector and condition, in the order of the plan.
        bad: Path of each image left out, to the reason.
        left_out: Label, generator and domain of these, a row each.
    """

    counts: ImageCounts
    columns: list[LaidColumn]
    bad: dict[str, str] = field(default_factory=dict)
    left_out: list[pd.DataFrame] = field(default_factory=list)


def lay_out(
    record: RunRecord,
    batches: Iterator[pa.RecordBatch],
    dependence: Dependence,
    folder: Path,
    *,
    set_aside: bool,
    advance: Advance = lambda _: None,
) -> LaidRun:
    """Read a run from first to last, every shard held against its digest and the images it is about.

    Args:
        record: The run; its table of images is not looked at.
        batches: The images in their order.
        dependence: Which of the images depend on others, as far as the index tells.
        folder: Where files are made: 4 bytes a score, 8 an image.
        set_aside: Rename damaged shards, so that their units count as not scored.
        advance: Hears of every score that is read.

    Raises:
        ShardDamagedError: Scores are damaged; names all the units.
    """
    units = _Units.of(record.units)
    columns = [
        LaidColumn(detector, condition, folder / f"scores-{number}")
        for number, (detector, condition) in enumerate(units.names)
    ]
    run, parts = LaidRun(ImageCounts(folder, dependence), columns), Parts(batches)
    shards = RunShards(record, set_aside=set_aside)
    with ExitStack() as stack:
        files = [stack.enter_context(column.path.open("wb")) for column in columns]
        kinds = stack.enter_context(run.counts.kinds_path.open("wb"))
        for start, stop, chosen in units.windows(record.spec.n_images):
            images = parts.take(stop - start)
            ids = images["sample_id"].combine_chunks()
            scores, kept = _read(run, shards, ids, units.of_window(chosen, start))
            for file, column, of_column in zip(files, columns, scores, strict=True):
                file.write(of_column.tobytes())
                column.look(of_column[kept])
            if not kept.all():
                run.left_out.append(images.select(KIND_COLUMNS).filter(pa.array(~kept)).to_pandas())
            run.counts.add(images, kept, kinds)
            advance(len(images) * len(columns))
    shards.check()
    return run


@dataclass(frozen=True, slots=True, eq=False)
class _Units:
    """The units of a run, sorted by the images that they are about."""

    names: list[tuple[str, str]]
    column: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    fingerprint: pa.Array

    @classmethod
    def of(cls, units: pa.Table) -> _Units:
        keys = [
            units[name].combine_chunks().dictionary_encode() for name in ("detector", "condition")
        ]
        codes = [key.indices.to_numpy() for key in keys]
        width = max(1, len(keys[1].dictionary))
        column, uniques = pd.factorize(codes[0].astype(np.int64) * width + codes[1])
        detectors, conditions = (key.dictionary.to_pylist() for key in keys)
        names = [(detectors[code // width], conditions[code % width]) for code in uniques.tolist()]
        starts = units["start"].to_numpy()
        order = np.argsort(starts, kind="stable")
        return cls(
            names, column[order], starts[order], units["stop"].to_numpy()[order],
            units["fingerprint"].combine_chunks().take(pa.array(order)),
        )  # fmt: skip

    def windows(self, n_images: int) -> Iterator[tuple[int, int, slice]]:
        """Part the images so that no unit is cut: first image, image behind the last, and the units."""
        start, first = 0, 0
        while start < n_images:
            stop, last = start, first
            while last < self.start.size and (stop < start + WINDOW or self.start[last] < stop):
                stop = max(stop, int(self.stop[last]))
                last += 1
            if last == self.start.size:
                stop = max(stop, n_images)
            yield start, stop, slice(first, last)
            start, first = stop, last

    def of_window(self, chosen: slice, start: int) -> Iterator[tuple[int, int, int, str]]:
        """Give column, first row, row behind the last, and fingerprint of some units."""
        yield from zip(
            self.column[chosen].tolist(),
            (self.start[chosen] - start).tolist(),
            (self.stop[chosen] - start).tolist(),
            self.fingerprint[chosen].to_pylist(),
            strict=True,
        )


def _read(
    run: LaidRun, shards: RunShards, ids: pa.Array, units: Iterator[tuple[int, int, int, str]]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Read the shards of some images: (columns, images) scores, nan where there is none; and who is kept."""
    kept = np.ones(len(ids), dtype=bool)
    scores = np.full((len(run.columns), len(ids)), np.nan, dtype=np.float32)
    for number, start, stop, fingerprint in units:
        column, shard = (
            run.columns[number],
            shards.read(fingerprint, ids.slice(start, stop - start)),
        )
        if shard is None:
            column.missing += 1
            continue
        scores[number, start:stop] = shard["logit"].to_numpy()
        column.changed |= bool(pc.any(shard["changed"]).as_py())
        if shard["bad"].null_count < len(shard):
            is_bad = pc.is_valid(shard["bad"])
            kept[start:stop] &= ~is_bad.to_numpy()
            table = shard.filter(is_bad)
            names, reasons = (table[name].to_pylist() for name in ("sample_id", "bad"))
            run.bad |= dict(zip(names, reasons, strict=True))
    return scores, kept
