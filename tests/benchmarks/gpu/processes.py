"""Do two processes on one device, or one worker of Dask's a device, get more out of it than one process?"""

from __future__ import annotations

import importlib.util
import multiprocessing
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bench
from bench.protocol.suite import load_suite
from tests.benchmarks.gpu.setting import (
    NETWORKS,
    Figures,
    NotInstalledError,
    Setting,
    data_set,
    folder,
)
from tests.benchmarks.gpu.whole_run import prepared_run, score


def ask(setting: Setting) -> Iterator[Figures]:
    """One process, two at once, then Dask."""
    images = 4 if setting.small else 256
    name = "genimage-cnn" if setting.small else NETWORKS[0]
    with folder() as root:
        data = data_set(root / "data", images)
        for count in (2,) if setting.brief else (1, 2):
            rate = at_once(setting, name, data, root / str(count), count)
            yield {"scores a second, by processes": {str(count): round(rate, 1)}}
        if importlib.util.find_spec("dask_cuda") is None:
            raise NotInstalledError("dask-cuda")
        yield {"a worker of Dask's gives the same board": same_board(setting, name, data, root)}


def at_once(setting: Setting, name: str, data: Path, out: Path, count: int) -> float:
    """Scores a second of all processes together, each over all images, from a common start."""
    context: Any = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(count), context.Queue()
    started = [
        context.Process(target=_process, args=(setting, name, data, out / str(i), barrier, results))
        for i in range(count)
    ]
    for process in started:
        process.start()
    done = [results.get(timeout=setting.limit) for _ in started]
    for process in started:
        process.join()
    return sum(scores for scores, _, _ in done) / (
        max(end for _, _, end in done) - min(begin for _, begin, _ in done)
    )


def _process(
    setting: Setting, name: str, data: Path, out: Path, barrier: Any, results: Any
) -> None:
    prepared = prepared_run(setting, name, data, out)
    if not setting.small:
        score(prepared, chunks=1)
    barrier.wait(timeout=setting.limit)
    begin = time.time()
    figures = score(prepared)
    results.put((figures["scores a second"] * figures["seconds"], begin, time.time()))


def same_board(setting: Setting, name: str, data: Path, root: Path) -> bool:
    """Whether ``--cluster local:1`` gives the bytes that a run without it gives."""
    boards = []
    for cluster in (None, "local:1"):
        done = bench.run(
            name, suite=load_suite("corruptions"), data=data, out=root / f"dask {cluster}",
            device=setting.device, cluster=cluster, allow_untrained=True, cache=root / "cache",
        )  # fmt: skip
        boards.append((done.folder / "leaderboard.csv").read_bytes())
    return boards[0] == boards[1]
