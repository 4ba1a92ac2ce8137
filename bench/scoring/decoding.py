"""From a chunk of the plan to pixels: each image is read and decoded once, for everything that follows."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.datasets import BadImageError, DecodePolicy, ImageRecord, Manifest, load
from bench.inference.networks import Forwards
from bench.inference.profiling import Stopwatch
from bench.inference.threads import slices
from bench.store.units import Chunk

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class DecodedChunk:
    """The images of one chunk, decoded.

    Attributes:
        records: One record an image.
        images: (H, W, 3) uint8 each; ``None`` where it could not be decoded.
        bad: Why an image could not be decoded; ``None`` where it could.
        whole: Whether these are all images of the chunk: which of them attacks are probed on is chosen
            among all.
        memo: By rows: what corruptions have computed of the images as they were decoded, for those of other
            strengths.
        forwards: Forward passes over the images that a condition leaves as they are.
    """

    records: tuple[ImageRecord, ...]
    images: tuple[Image | None, ...]
    bad: tuple[str | None, ...]
    whole: bool = True
    memo: dict[tuple[int, ...], dict[Hashable, Any]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    forwards: Forwards = field(default_factory=Forwards, init=False, repr=False, compare=False)

    def memo_of(self, rows: Sequence[int]) -> dict[Hashable, Any]:
        """Give the place for what corruptions compute of some images, as they were decoded."""
        return self.memo.setdefault(tuple(rows), {})


def decode_chunk(
    manifest: Manifest,
    chunk: Chunk,
    policy: DecodePolicy,
    pool: Executor,
    watch: Stopwatch | None = None,
) -> DecodedChunk:
    """Read and decode every image of a chunk, in threads.

    Args:
        manifest: The data set that the images belong to.
        chunk: Rows of the manifest to decode.
        policy: Rules of decoding, as orientation and colour.
        pool: Threads that read and decode.
        watch: Stopwatch that decoding is timed with.

    Raises:
        DataError: If a file changed since it was indexed: the scores would carry the wrong digest.
    """
    records = tuple(manifest.records(chunk.rows))
    watch = watch or Stopwatch()

    def read(record: ImageRecord) -> tuple[Image | None, str | None]:
        try:
            return load(manifest.root, record, policy), None
        except BadImageError as error:
            return None, str(error)

    def read_part(part: range) -> list[tuple[Image | None, str | None]]:
        with watch.time("decode"):
            return [read(records[i]) for i in part]

    parts = pool.map(read_part, slices(len(records)))
    decoded = [image_or_reason for part in parts for image_or_reason in part]
    images, reasons = tuple(image for image, _ in decoded), tuple(bad for _, bad in decoded)
    return DecodedChunk(records, images, reasons)
