"""All images of a manifest described, in a pool, in parts that are kept: a second audit reads no image."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import PIL
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.audit.images.description import SCHEMAS, Description, describe_all
from bench.datasets import Manifest, default_cache_dir
from bench.datasets.sources.image_bytes import parquet_row
from bench.errors import OutputError
from bench.support.files import write_atomic
from bench.support.progress import Progress
from bench.support.tables import read_table
from bench.version import __version__

_log = logging.getLogger(__name__)

# Images a part: a kill loses the reading of at most so many.
PART: Final = 4096
_TASK: Final = 128
# From so many decoded images on, processes earn their start: Python's share of the work is large.
_PROCESSES_FROM: Final = 2048

_Job = Callable[[Sequence[tuple[str, str]]], pa.RecordBatch]


@dataclass(frozen=True, slots=True)
class Pool:
    """Where images are described.

    Attributes:
        progress: Shows how many images have been described.
        cache: Folder of the cache; the user's by default.
        workers: Number of threads or processes; all cores by default.
    """

    progress: Progress
    cache: Path | None = None
    workers: int | None = None

    @property
    def size(self) -> int:
        """Number of workers at work at once."""
        return max(1, self.workers or os.cpu_count() or 1)


def gather(
    manifest: Manifest, rows: NDArray[np.int64], description: Description, pool: Pool
) -> pa.Table:
    """Describe images, from parts kept earlier where there are any.

    Nothing is kept of a data set that was indexed without hashes: another image under the same name
    would pass for the one described.

    Args:
        manifest: The data set.
        rows: (n,) rows of the manifest.
        description: What is said of each image.
        pool: Where the work is done.

    Returns:
        (n,) rows of the description's schema, in the order of ``rows``.
    """
    table = manifest.table.select(["sample_id", "locator", "sha256"]).take(rows)
    ids, locators = table["sample_id"].to_pylist(), table["locator"].to_pylist()
    # Rows of Parquet files in file order, so that each row group is read once.
    order = sorted(range(len(ids)), key=lambda i: parquet_row(locators[i]) or (locators[i], 0))
    keep = len(ids) > 0 and not pc.any(pc.equal(table["sha256"], "")).as_py()
    folder = _folder(manifest, rows, description, pool) if keep else None
    job = partial(describe_all, manifest.root, description=description)
    pool.progress.start("auditing", len(ids))
    parts = []
    with contextlib.ExitStack() as stack:
        workers: list[Executor] = []
        for number, start in enumerate(range(0, len(order), PART)):
            part = order[start : start + PART]
            described = _kept(folder, number, len(part), description)
            if described is None:
                if not workers:
                    workers.append(stack.enter_context(_executor(len(order), description, pool)))
                images = [(ids[i], locators[i]) for i in part]
                described = _described(images, job, workers, pool)
                folder = folder if _keep(folder, number, described) else None
            else:
                pool.progress.advance(len(part))
            parts.append(described)
    facts = pa.concat_tables(parts) if parts else SCHEMAS[description.depth].empty_table()
    return facts.take(np.argsort(np.array(order, dtype=np.int64), kind="stable"))


def _folder(
    manifest: Manifest, rows: NDArray[np.int64], description: Description, pool: Pool
) -> Path:
    identity = {
        "bench": __version__,
        "pillow": PIL.__version__,
        "manifest": manifest.digest,
        "rows": hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest(),
        # The digest does not say where images lie, and parts are in the order of their places.
        "root": str(manifest.root),
        **description.identity,
    }
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return (pool.cache or default_cache_dir()) / "audits" / digest[:32]


def _kept(
    folder: Path | None, number: int, length: int, description: Description
) -> pa.Table | None:
    if folder is None:
        return None
    schema = SCHEMAS[description.depth]
    with contextlib.suppress(OSError, pa.ArrowException, KeyError):
        table = read_table(folder / f"{number:06d}.parquet").select(schema.names).cast(schema)
        return table if len(table) == length else None
    return None


def _keep(folder: Path | None, number: int, table: pa.Table) -> bool:
    """Keep one part; a place that cannot be written is a warning, once."""
    if folder is None:
        return False
    path = folder / f"{number:06d}.parquet"
    try:
        write_atomic(path, lambda stream: pq.write_table(table, stream, compression="zstd"))
    except OutputError as error:
        _log.warning("what the audit read is not kept: %s", error)
        return False
    return True


def _executor(images: int, description: Description, pool: Pool) -> Executor:
    if description.depth == "file" and not description.equalise:
        return ThreadPoolExecutor(pool.size)
    if images < _PROCESSES_FROM or pool.size < 2:
        return ThreadPoolExecutor(pool.size)
    # Not forked: torch, where it is loaded, has threads that a fork would not have.
    return ProcessPoolExecutor(pool.size, mp_context=multiprocessing.get_context("spawn"))


def _described(
    images: Sequence[tuple[str, str]], job: _Job, workers: list[Executor], pool: Pool
) -> pa.Table:
    """Describe the images of one part, in this process where a worker's process dies."""
    try:
        return _in_order(images, job, workers[0], pool)
    except BrokenProcessPool:
        _log.warning("a process that reads images died: going on in this one")
        workers[0].shutdown(wait=False)
        workers[0] = ThreadPoolExecutor(pool.size)
        return _in_order(images, job, workers[0], pool)


def _in_order(
    images: Sequence[tuple[str, str]], job: _Job, executor: Executor, pool: Pool
) -> pa.Table:
    batches = []
    for batch in _bounded(images, job, executor, 4 * pool.size):
        batches.append(batch)
        pool.progress.advance(batch.num_rows)
    return pa.Table.from_batches(batches)


def _bounded(
    images: Sequence[tuple[str, str]], job: _Job, executor: Executor, ahead: int
) -> Iterator[pa.RecordBatch]:
    """Run tasks in order with only a few in flight, so that an interrupt stops soon."""
    waiting: deque[Future[pa.RecordBatch]] = deque()
    for start in range(0, len(images), _TASK):
        waiting.append(executor.submit(job, images[start : start + _TASK]))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
