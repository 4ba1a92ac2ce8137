"""Encode tiles and write them as Parquet, the same way for both classes.

Every file has the same number of bytes: lossless WebP, then one `JUNK` chunk of zeros that decoders
skip. So the size of a file says nothing about its class, and zstd makes the zeros free.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

FILE_BYTES = 13_312
ROW_GROUP = 256
SCHEMA = pa.schema(
    [
        ("sample_id", pa.string()),
        ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("label", pa.int8()),
        ("generator", pa.string()),
        ("domain", pa.string()),
        ("split", pa.string()),
        ("group", pa.string()),
        ("pair", pa.string()),
        ("control", pa.int8()),
    ]
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of the set.

    Attributes:
        tile: Id of the real tile that the sample is or varies (`pair`).
        photo: Source photograph (`group`).
        split: `train`, `val` or `test`.
        domain: Kind of scene.
        generator: Name of the generator or control, or None for a real tile.
        pixels: uint8, shape (64, 64, 3).
        control: Whether it is a real tile that no generator is compared with.
    """

    tile: str
    photo: str
    split: str
    domain: str
    generator: str | None
    pixels: NDArray[np.uint8]
    control: bool = False

    @property
    def id(self) -> str:
        """Name of the sample, unique in the set."""
        return f"{self.split}/{self.generator or 'real'}/{self.tile}"


def encode(pixels: NDArray[np.uint8]) -> bytes:
    """Encode a tile as lossless WebP, padded to `FILE_BYTES`.

    Args:
        pixels: uint8, shape (64, 64, 3).

    Returns:
        A WebP file of exactly `FILE_BYTES` bytes.

    Raises:
        ValueError: The tile does not fit, or does not decode to the same pixels.
    """
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, quality=80, method=4)
    body = buffer.getvalue()
    room = FILE_BYTES - len(body) - 8
    if room < 0:
        raise ValueError(f"a tile takes {len(body)} bytes, more than {FILE_BYTES - 8}")
    padded = body + b"JUNK" + struct.pack("<I", room) + bytes(room)
    padded = padded[:4] + struct.pack("<I", len(padded) - 8) + padded[8:]
    if not np.array_equal(decode(padded), pixels):
        raise ValueError("a padded tile does not decode to its own pixels")
    return padded


def decode(data: bytes) -> NDArray[np.uint8]:
    """Decode an encoded tile to uint8 (64, 64, 3)."""
    with Image.open(io.BytesIO(data), formats=["WEBP"]) as image:
        return np.asarray(image.convert("RGB"), dtype=np.uint8)


def write(samples: Iterable[Sample], target: Path) -> None:
    """Write one split, sorted by sample id, without anything that depends on the time or the machine.

    Args:
        samples: Rows of one split.
        target: Parquet file to write; appears only when whole.
    """
    rows = [
        {
            "sample_id": s.id,
            "image": {"bytes": encode(s.pixels), "path": f"{s.id}.webp"},
            "label": int(s.generator is not None and not s.control),
            "generator": s.generator or "photo",
            "domain": s.domain,
            "split": s.split,
            "group": s.photo,
            "pair": s.tile,
            "control": int(s.control),
        }
        for s in sorted(samples, key=lambda s: s.id)
    ]
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    partial = target.with_suffix(".partial")
    pq.write_table(
        table,
        partial,
        row_group_size=ROW_GROUP,
        compression="zstd",
        compression_level=9,
        use_dictionary=["generator", "domain", "split", "group"],
        write_statistics=["sample_id", "label", "generator", "domain", "split", "group"],
    )
    partial.replace(target)
