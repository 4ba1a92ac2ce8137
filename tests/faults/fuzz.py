"""Readers of foreign bytes under a fuzzer: each gives a value or a refusal, and never anything else.

``python -m tests.faults.fuzz TARGET [libFuzzer options, such as -max_total_time=60 CORPUS]`` needs atheris
(`pip install -e '.[fuzz]'`). The campaign tries the same targets with mutations of its own.
"""

from __future__ import annotations

import contextlib
import gc
import io
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType

import numpy as np
import pyarrow as pa
from PIL import Image

from bench.datasets import BadImageError, decode
from bench.datasets.manifest import Manifest
from bench.datasets.record import SCHEMA
from bench.errors import BenchError
from bench.protocol.suite import load_suite
from bench.store.rundir import RunDir
from detectors.errors import DetectorError
from detectors.weights.load import read_state

Target = Callable[[Path], object]


def _decoder(path: Path) -> object:
    return decode(path.read_bytes())


def _run_folder(path: Path) -> object:
    (path.parent / "run.json").write_bytes(path.read_bytes())
    return RunDir(path.parent).read()


# Suffix of the file, and its reader.
TARGETS: dict[str, tuple[str, Target]] = {
    "decoder": ("png", _decoder),
    "manifest": ("parquet", Manifest.load),
    "suite": ("toml", lambda path: load_suite(str(path))),
    "checkpoint": ("pth", read_state),
    "safetensors": ("safetensors", read_state),
    "run folder": ("json", _run_folder),
}


def feed(target: str, data: bytes, folder: Path) -> bool:
    """Give bytes to a reader; says whether it took them.

    Raises:
        Exception: The reader let something out that is no refusal.
    """
    suffix, read = TARGETS[target]
    path = folder / f"fed.{suffix}"
    path.write_bytes(data)
    try:
        read(path)
    except (BenchError, BadImageError, DetectorError):
        return False
    return True


def seeds(target: str, folder: Path) -> list[bytes]:
    """A few sound files for a reader, from which mutations start."""
    if target == "decoder":
        image = Image.fromarray(np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3))
        return [_saved(image, fmt) for fmt in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")]
    if target == "suite":
        return [b'name = "x"\nslices = ["generator"]\nconditions = ["clean", "jpeg(quality=75)"]\n']
    if target == "run folder":
        return [b'{"schema_version": 1, "detectors": [], "files": {}, "suite": {"name": "x"}}']
    if target == "manifest":
        row = {
            name: 1 if pa.types.is_integer(t) else "x"
            for name, t in zip(SCHEMA.names, SCHEMA.types, strict=True)
        }
        Manifest.build(
            name="n", layout="l", recognised="r", root=folder, pairing={"x": ["y"]},
            table=pa.Table.from_pylist([row], schema=SCHEMA),
        ).save(folder / "seed.parquet")  # fmt: skip
        return [(folder / "seed.parquet").read_bytes()]
    import torch
    from safetensors.torch import save

    state = {"a.weight": torch.ones(3, 2), "a.bias": torch.zeros(3)}
    if target == "safetensors":
        return [save(state)]
    buffer = io.BytesIO()
    torch.save({"state_dict": state, "epoch": 3}, buffer)
    return [buffer.getvalue()]


def _saved(image: Image.Image, fmt: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, fmt)
    return buffer.getvalue()


def mutations(seeds: list[bytes], seed: int, count: int) -> Iterator[bytes]:
    """Flip, cut, repeat, splice and overwrite; the same ones for the same seed."""
    rng = random.Random(seed)
    for _ in range(count):
        data = bytearray(rng.choice(seeds))
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(data) or 1)
            match rng.randrange(5):
                case 0 if data:
                    data[at] ^= 1 << rng.randrange(8)
                case 1:
                    del data[at:]
                case 2:
                    data[at:at] = data[at : at + rng.randrange(1, 64)] * rng.randint(1, 50)
                case 3:
                    data[at : at + 4] = rng.choice((b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"))
                case _:
                    other = rng.choice(seeds)
                    data[at:] = other[rng.randrange(len(other)) :]
        yield bytes(data)


def _reads(function: FunctionType) -> bool:
    return (function.__module__ or "").partition(".")[0] in (
        "bench",
        "detectors",
        "PIL",
        "safetensors",
    )


def main(arguments: list[str]) -> None:
    """Fuzz one target with atheris, until it is stopped or something comes out."""
    if not arguments or arguments[0] not in TARGETS:
        raise SystemExit(f"give one of {', '.join(TARGETS)}")
    try:
        import atheris
    except ModuleNotFoundError:
        raise SystemExit("fuzzing needs atheris: pip install -e '.[fuzz]'") from None
    folder = Path(tempfile.mkdtemp())
    target = arguments[0]

    def once(data: bytes) -> None:
        with contextlib.redirect_stderr(io.StringIO()):
            feed(target, data, folder)

    # What is looked at for new paths is what reads; instrumenting all of torch takes minutes.
    for thing in gc.get_objects():
        if isinstance(thing, FunctionType) and _reads(thing):
            atheris.instrument_func(thing)
    atheris.Setup([sys.argv[0], *arguments[1:]], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
