"""Peak memory of a board from simulated scores that lie in a store: in a process of its own.

    python -m tests.benchmarks.large_board [--scores 20000000] [--detectors 4] [--folder DIR] [--conditions 5]

A small run gives the record; its images, units and shards are then replaced by simulated ones: up to five
conditions, a photograph for every fake, eight generators. What stands in --folder already is used again.
From ``STREAM_FROM`` scores on the board is made in passes over files; ``--in-memory`` makes it as below.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import bench
from bench.protocol.suite import Suite
from bench.store.provenance import fingerprint
from bench.store.rundir import MANIFEST_NAME, SPEC_NAME, UNITS_NAME, RunDir
from bench.store.seal import bytes_digest, sealed
from bench.store.shards import Store

GENERATORS = 8
QUALITIES = (95, 75, 50, 30)
SHARD = 1 << 16  # rows; runs have 256, and as many more files
# The peak that the kernel reports of a child counts what its parent held when it was made; this one does not.
BOARD = """
import hashlib, re, sys, time
from pathlib import Path
from bench.results.board import report
from bench.results.streamed import scope
if sys.argv[2] == "memory":
    scope.STREAM_FROM = 1 << 62
start = time.monotonic()
board = report(Path(sys.argv[1])).board
digest = hashlib.sha256((board.to_markdown() + board.to_csv()).encode()).hexdigest()[:12]
status = Path("/proc/self/status").read_text()
peak = re.search(r"VmHWM:\\s+(\\d+)", status)[1]
print(peak, time.process_time(), time.monotonic() - start, digest, file=sys.stderr)
"""


def images(count: int) -> pa.Table:
    """A manifest as a run records it, in the order of its images."""
    return pa.concat_tables(
        some_images(start, min(start + SHARD, count)) for start in range(0, count, SHARD)
    )


def some_images(start: int, stop: int) -> pa.Table:
    """The images from one number to another."""
    numbers, n = np.arange(start, stop), stop - start
    labels = (numbers % 2).astype(np.int8)
    names = np.array(["photo", *(f"generator{g}" for g in range(GENERATORS))])
    generators = names[np.where(labels == 1, 1 + numbers // 2 % GENERATORS, 0)]
    ids = pa.array([f"test/ILSVRC2012_{number:09}" for number in numbers])
    digests = pa.array(
        [f"{number * 0x9E3779B97F4A7C15 % 2**64:064x}" for number in numbers.tolist()]
    )
    text = {"generator": generators, "domain": "", "split": "test", "group": "", "format": "JPEG"}
    fixed = {
        name: pa.array(value) if isinstance(value, np.ndarray) else pa.repeat(value, n)
        for name, value in text.items()
    }
    size = pa.array(np.full(n, 64, np.int32))
    return pa.table(
        {"sample_id": ids, "locator": ids, "label": labels, **fixed, "width": size, "height": size,
         "bytes": pa.array(np.full(n, 2048, np.int64)), "sha256": digests}
    )  # fmt: skip


def lay(folder: Path, scores: int, detectors: int, n_conditions: int) -> None:
    """A run's folder whose scores are drawn, not made."""
    conditions = ["clean", *(f"jpeg(quality={quality})" for quality in QUALITIES)][:n_conditions]
    suite = Suite(name="simulated", slices=["generator"], conditions=conditions)
    bench.run("genimage-cnn", suite=suite, limit=64, out=folder, device="cpu")
    run = RunDir(folder)
    spec = run.spec()
    count = scores // (detectors * len(conditions))
    manifest, store, rng = images(count), Store(folder / "store"), np.random.default_rng(0)
    labels, units = manifest["label"].to_numpy(), []
    ids = manifest["sample_id"]
    for detector in range(detectors):
        for number, condition in enumerate(conditions):
            for start in range(0, count, SHARD):
                part = slice(start, min(start + SHARD, count))
                shift = labels[part] * (2 - 0.2 * number)
                logits = (rng.normal(-1, 1, len(shift)) + shift).astype(np.float32)
                name = fingerprint([detector, condition, start])
                table = {"sample_id": ids.slice(start, len(logits)).combine_chunks(),
                         "logit": logits, "bad": pa.nulls(len(logits), pa.string()),
                         "changed": np.ones(len(logits), bool)}  # fmt: skip
                store.write(name, pa.table(table))
                units.append((f"net{detector}", condition, start, part.stop, name))
    columns = dict(
        zip(("detector", "condition", "start", "stop", "fingerprint"), zip(*units, strict=True),
            strict=True)
    )  # fmt: skip
    digests = {}
    for name, table in ((MANIFEST_NAME, manifest), (UNITS_NAME, pa.table(columns))):
        pq.write_table(table, folder / name, compression="zstd")
        digests[name] = bytes_digest((folder / name).read_bytes())
    made = spec.detectors[0]
    networks = [made.model_copy(update={"label": f"net{d}"}) for d in range(detectors)]
    pairing = {f"generator{g}": ("photo",) for g in range(GENERATORS)}
    spec = spec.model_copy(
        update={"files": digests, "detectors": tuple(networks), "limit": None, "n_images": count,
                "n_available": count, "pairing": pairing, "split": "test"}
    )  # fmt: skip
    document = sealed(json.loads(spec.model_dump_json(exclude={"imported", "until"})))
    (folder / SPEC_NAME).write_text(json.dumps(document))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scores", type=int, default=20_000_000)
    parser.add_argument("--detectors", type=int, default=4)
    parser.add_argument("--conditions", type=int, default=5, choices=range(1, 6))
    parser.add_argument("--in-memory", action="store_true")
    parser.add_argument("--folder", type=Path, default=None)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        for scores in (given.scores // 1000, given.scores):
            folder = (given.folder or Path(temporary)) / f"board-{scores}"
            if not (folder / SPEC_NAME).exists():
                lay(folder, scores, given.detectors, given.conditions)
            outcome = subprocess.run(
                [sys.executable, "-c", BOARD, str(folder), "memory" if given.in_memory else "as is"],
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True,
            )  # fmt: skip
            peak, cpu, wall, digest = outcome.stderr.split()[-4:]
            print(
                f"{scores:,} scores: {int(peak) / 1e3:,.0f} MB, {float(cpu):.1f} s CPU, "
                f"{float(wall):.1f} s, board {digest}",
                flush=True,
            )


if __name__ == "__main__":
    main()
