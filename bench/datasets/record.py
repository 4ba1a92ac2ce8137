"""One image of a data set, as every later step knows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

REAL: Final = 0
FAKE: Final = 1  # AI-generated: the positive class everywhere


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One row of a manifest.

    Attributes:
        sample_id: POSIX path relative to the root, or the table's own id; unique in a manifest.
        locator: where the bytes are: a path relative to the root, or ``file.parquet#row``.
        label: 1 = AI-generated, 0 = real.
        generator: the generator of a fake; for a real image, the name of its source.
        domain: kind of content or place of delivery; "" where the data set names none.
        split: ``train``, ``val``, ``test`` or "".
        group: source photograph or prompt; the sample_id where the data set names none.
        format: the format the header shows (Pillow's name), whatever the suffix.
        width: width in pixels, as the header says (before any EXIF rotation).
        height: height in pixels, as the header says.
        bytes: size of the encoded image in bytes.
        sha256: SHA-256 of the encoded image, 64 hex digits; "" where it was not hashed.
    """

    sample_id: str
    locator: str
    label: int
    generator: str
    domain: str
    split: str
    group: str
    format: str
    width: int
    height: int
    bytes: int
    sha256: str


SCHEMA: Final = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("locator", pa.string(), nullable=False),
        pa.field("label", pa.int8(), nullable=False),
        pa.field("generator", pa.string(), nullable=False),
        pa.field("domain", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("group", pa.string(), nullable=False),
        pa.field("format", pa.string(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
    ]
)

BAD_SCHEMA: Final = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
    ]
)

# A bad image, and what the layout said of it; label is null and the names are "" where it said nothing.
LOST_SCHEMA: Final = pa.schema(
    [
        *BAD_SCHEMA,
        pa.field("label", pa.int8()),
        pa.field("generator", pa.string()),
        pa.field("domain", pa.string()),
        pa.field("split", pa.string()),
    ]
)
