"""One image described: what its file says, and its pixels where they are asked for; runs in any process."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from bench.audit.images.hashes import hashes
from bench.audit.images.jpeg import jpeg_facts
from bench.audit.images.metadata import metadata_blocks
from bench.audit.images.pixels import pixel_facts
from bench.audit.images.software import origin_of
from bench.datasets import BadImageError, decode, open_bytes
from bench.datasets.sources.header import open_image, true_format
from bench.protocol.condition import Condition, parse
from bench.protocol.seeding import generator_for
from bench.support.objects.place import Place

Depth = Literal["file", "pixels"]

# Raise when a fact is computed otherwise: what is kept under another version is not used.
FACTS_VERSION: Final = 1

FILE_FIELDS: Final = (
    pa.field("format", pa.string()),
    pa.field("width", pa.int32()),
    pa.field("height", pa.int32()),
    pa.field("bytes", pa.int64()),
    pa.field("mode", pa.string()),
    pa.field("jpeg_quality", pa.float32()),
    pa.field("jpeg_subsampling", pa.string()),
    pa.field("jpeg_tables", pa.string()),
    pa.field("jpeg_progressive", pa.bool_()),
    pa.field("exif", pa.bool_()),
    pa.field("icc", pa.bool_()),
    pa.field("xmp", pa.bool_()),
    pa.field("text", pa.bool_()),
    pa.field("camera", pa.bool_()),
    pa.field("generator_software", pa.string()),
    pa.field("editing_software", pa.string()),
    pa.field("says_generated", pa.bool_()),
    pa.field("credentials", pa.bool_()),
)
PIXEL_FIELDS: Final = (
    pa.field("red", pa.float32()),
    pa.field("green", pa.float32()),
    pa.field("blue", pa.float32()),
    pa.field("border", pa.int16()),
    pa.field("bordered_sides", pa.int8()),
    pa.field("high_frequencies", pa.float32()),
    pa.field("enlarged", pa.bool_()),
    pa.field("pixel_digest", pa.binary(16)),
    pa.field("hash", pa.uint64()),
    pa.field("mirrored", pa.uint64()),
    pa.field("thumbnail", pa.binary(192)),
)
_REASON: Final = pa.field("reason", pa.string())
SCHEMAS: Final = {
    "file": pa.schema([*FILE_FIELDS, _REASON]),
    "pixels": pa.schema([*FILE_FIELDS, *PIXEL_FIELDS, _REASON]),
}


@dataclass(frozen=True, slots=True)
class Description:
    """How images are described.

    Attributes:
        depth: ``file`` for what the file says, ``pixels`` for that and what its pixels say.
        perceptual: Whether perceptual hashes are made; only with pixels.
        equalise: Chain of corruptions that every image goes through first, spelled in full; "" for none.
            Then the file is no longer what a detector sees: format, size and bytes are those of the
            result as a PNG.
        seed: Seed of the corruptions that draw.
    """

    depth: Depth = "file"
    perceptual: bool = False
    equalise: str = ""
    seed: int = 0

    @property
    def identity(self) -> dict[str, Any]:
        """All that changes what is said of an image."""
        return {
            "version": FACTS_VERSION,
            "depth": self.depth,
            "perceptual": self.perceptual,
            "equalise": self.equalise,
            "seed": self.seed if self.equalise else 0,
        }


def describe_all(
    root: Place, images: Sequence[tuple[str, str]], description: Description
) -> pa.RecordBatch:
    """Describe images in their order; one that cannot be read has a reason and nothing else.

    Args:
        root: Folder that the locators are relative to.
        images: (sample_id, locator) of each.
        description: How.

    Returns:
        (n,) rows of ``SCHEMAS[depth]``.
    """
    chain = parse(description.equalise) if description.equalise else Condition()
    rows = []
    for sample_id, locator in images:
        try:
            rows.append(_described(open_bytes(root, locator), sample_id, chain, description))
        except BadImageError as error:
            rows.append({"reason": str(error)})
    return pa.RecordBatch.from_pylist(rows, schema=SCHEMAS[description.depth])


def _described(
    data: bytes, sample_id: str, chain: Condition, description: Description
) -> dict[str, Any]:
    if not description.equalise and description.depth == "file":
        return describe_file(data)
    pixels = decode(data, checked=True)
    if description.equalise:
        pixels = _corrupted(pixels, sample_id, chain, description.seed)
    row = _equalised_file(pixels) if description.equalise else describe_file(data)
    if description.depth == "pixels":
        row |= _describe_pixels(pixels, perceptual=description.perceptual)
    return row


def _corrupted(
    pixels: NDArray[np.uint8], sample_id: str, chain: Condition, seed: int
) -> NDArray[np.uint8]:
    for position, (step, corruption) in enumerate(zip(chain.steps, chain.corruptions, strict=True)):
        # The same draws as in a run, where the chain stands first in every condition.
        purpose = f"{position}:{step.spell(resolved=True)}"
        pixels = corruption(pixels, generator_for(seed, purpose, sample_id))
    return pixels


def _equalised_file(pixels: NDArray[np.uint8]) -> dict[str, Any]:
    """Describe what a detector sees of an equalised image: its size, and how far it can be packed."""
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, format="PNG", compress_level=1)
    height, width = pixels.shape[:2]
    return {
        "format": "pixels", "width": width, "height": height, "bytes": packed.tell(), "mode": "RGB",
        "jpeg_subsampling": "", "jpeg_tables": "", "jpeg_progressive": False,
        "exif": False, "icc": False, "xmp": False, "text": False, "camera": False,
        "generator_software": "", "editing_software": "", "says_generated": False,
        "credentials": False,
    }  # fmt: skip


def describe_file(data: bytes) -> dict[str, Any]:
    """Describe a file without decoding it; a row of ``FILE_FIELDS`` by name.

    Raises:
        BadImageError: It is no image of an allowed format.
    """
    image = open_image(data)
    blocks = metadata_blocks(data)
    kinds = {block.kind for block in blocks}
    origin = origin_of(blocks)
    jpeg = jpeg_facts(image)
    return {
        "format": true_format(image),
        "width": image.width,
        "height": image.height,
        "bytes": len(data),
        "mode": _mode(image),
        "jpeg_quality": None if jpeg is None else jpeg.quality,
        "jpeg_subsampling": "" if jpeg is None else jpeg.subsampling,
        "jpeg_tables": "" if jpeg is None else jpeg.tables,
        "jpeg_progressive": jpeg is not None and jpeg.progressive,
        "exif": "exif" in kinds,
        "icc": "icc" in kinds,
        "xmp": "xmp" in kinds,
        "text": "text" in kinds,
        "camera": origin.camera,
        "generator_software": "; ".join(origin.generators),
        "editing_software": "; ".join(origin.editors),
        "says_generated": origin.generated,
        "credentials": origin.credentials,
    }


def _mode(image: Image.Image) -> str:
    """Name the colour mode, with transparency that a palette or a key colour adds."""
    transparent = "transparency" in image.info and "A" not in image.mode
    return f"{image.mode}+transparency" if transparent else str(image.mode)


def _describe_pixels(pixels: NDArray[np.uint8], *, perceptual: bool) -> dict[str, Any]:
    facts = pixel_facts(pixels)
    keys = hashes(pixels, perceptual=perceptual)
    return {
        "red": facts.red,
        "green": facts.green,
        "blue": facts.blue,
        "border": facts.border,
        "bordered_sides": facts.bordered_sides,
        "high_frequencies": facts.high_frequencies,
        "enlarged": facts.enlarged,
        "pixel_digest": keys.pixels,
        "hash": keys.hash,
        "mirrored": keys.mirrored,
        "thumbnail": keys.thumbnail,
    }
