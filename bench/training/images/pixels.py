"""Decoded pixels for many epochs: kept in a mapped file, or decoded anew where that is too large."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from bench.datasets import DEFAULT, ImageRecord, Manifest, default_cache_dir, load
from bench.errors import OutputError
from bench.store.provenance import fingerprint
from bench.support.files import write_atomic
from bench.support.objects.place import Place
from bench.support.progress import Progress
from detectors.card import InputSpec
from detectors.fit import fit_image

_log = logging.getLogger(__name__)
RULES = 1  # raised when what a kept file holds changes
MOST_KEPT = 8 << 30  # bytes of one set
KEPT_TOGETHER = 32 << 30  # bytes of all sets
# A training may still read what was opened within a week, on another machine even.
_SPARED_S = 7 * 86_400
_BLOCK = 512  # images decoded at once
Image = NDArray[np.uint8]


class Pixels(Protocol):
    """The images of a training or a validation set, by position."""

    def image(self, position: int) -> Image:
        """Give the (H, W, 3) uint8 image before it is fitted; the caller must not write to it."""

    def canvases(self, positions: NDArray[np.int64]) -> Image:
        """Give the (N, 3, h, w) uint8 canvases at N positions as a copy that the caller may change."""


class Decoded:
    """Images that are decoded anew at every request: for data too large to keep."""

    def __init__(self, root: Place, records: list[ImageRecord], spec: InputSpec) -> None:
        self._root, self._records, self._spec = root, records, spec

    def image(self, position: int) -> Image:
        """Decode the (H, W, 3) uint8 image at a position."""
        return load(self._root, self._records[position], DEFAULT)

    def canvases(self, positions: NDArray[np.int64]) -> Image:
        """Decode and fit the images at N positions: (N, 3, h, w) uint8."""
        return np.stack([fit_image(self.image(int(i)), self._spec) for i in positions])


class Kept:
    """Images as decoded, one after the other in a mapped file."""

    def __init__(self, path: Path, shapes: NDArray[np.int64], spec: InputSpec) -> None:
        self._flat = np.memmap(path, dtype=np.uint8, mode="r")
        self._shapes, self._spec = shapes, spec
        self._ends = np.cumsum(shapes.prod(axis=1) * 3)

    def image(self, position: int) -> Image:
        """Read the (H, W, 3) uint8 image at a position."""
        height, width = self._shapes[position]
        end = self._ends[position]
        image: Image = self._flat[end - height * width * 3 : end].reshape(height, width, 3)
        return image

    def canvases(self, positions: NDArray[np.int64]) -> Image:
        """Read and fit the images at N positions: (N, 3, h, w) uint8."""
        return np.stack([fit_image(np.asarray(self.image(int(i))), self._spec) for i in positions])


class Fitted:
    """Canvases in a mapped file: for trainings whose augmentations need no source image."""

    def __init__(self, path: Path, spec: InputSpec) -> None:
        canvas = spec.canvas
        assert canvas is not None
        self._all = np.memmap(path, dtype=np.uint8, mode="r").reshape(-1, 3, *canvas)

    def image(self, position: int) -> Image:
        """Read the canvas at a position as (h, w, 3) uint8, since the source is not kept."""
        return np.ascontiguousarray(self._all[position].transpose(1, 2, 0))

    def canvases(self, positions: NDArray[np.int64]) -> Image:
        """Read the canvases at N positions: (N, 3, h, w) uint8."""
        canvases: Image = np.asarray(self._all[positions])
        return canvases


def open_pixels(
    manifest: Manifest,
    rows: NDArray[np.int64],
    spec: InputSpec,
    progress: Progress,
    *,
    fitted: bool,
    cache: Path | None = None,
    most: int = MOST_KEPT,
) -> Pixels:
    """Decode the images at ``rows`` once and keep them, or arrange for decoding them at each use.

    Args:
        manifest: Every image of the data.
        rows: Rows of the manifest, in the order of positions.
        spec: Canvas that images are fitted to.
        progress: Told how far decoding is.
        fitted: Whether canvases are enough; otherwise images are kept as decoded.
        cache: Folder of kept files; ``None`` is the user's cache.
        most: Bytes beyond which nothing is kept.

    Raises:
        StaleIndexError: An image changed since it was indexed.
        BadImageError: An image cannot be decoded.
    """
    records = list(manifest.records(rows.tolist()))
    decoded = Decoded(manifest.root, records, spec)
    size = _bytes(records, spec, fitted=fitted)
    if size > most:
        progress.note(
            f"{size / 2**30:.1f} GiB of pixels are not kept: images are decoded "
            "anew each epoch (--workers helps)"
        )
        return decoded
    key = {
        "rules": RULES,
        "images": [r.sha256 or f"{manifest.digest} {r.sample_id}" for r in records],
        "policy": DEFAULT.digest(),
        "canvas": spec.model_dump(exclude={"mean", "std"}) if fitted else None,
    }
    path = (cache or default_cache_dir()) / "pixels" / f"{fingerprint(key)[:32]}.u8"
    # The shapes are written last: where they are, all is there.
    if not path.with_suffix(".npy").is_file():
        try:
            progress.start("decoding once", len(rows))
            shapes = _keep(path, decoded, len(rows), progress, fitted=fitted)
            write_atomic(path.with_suffix(".npy"), lambda stream: np.save(stream, shapes))
        except OutputError as error:
            _log.warning("pixels are not kept, every epoch decodes anew: %s", error)
            return decoded
    prune(path)
    return Fitted(path, spec) if fitted else Kept(path, np.load(path.with_suffix(".npy")), spec)


def _bytes(records: list[ImageRecord], spec: InputSpec, *, fitted: bool) -> int:
    """Bytes of all pixels, fitted or as decoded."""
    if fitted:
        height, width = spec.canvas or (0, 0)
        return len(records) * 3 * height * width
    return sum(3 * record.height * record.width for record in records)


def prune(used: Path, most: int = KEPT_TOGETHER) -> None:
    """Note that a kept file is used, and remove those longest unused until all together fit.

    What was used within a week stays, however much it is; so does what cannot be removed.
    """
    now = time.time()
    with contextlib.suppress(OSError):
        os.utime(used, (now, now))
    files = {}
    for path in used.parent.glob("*.u8"):  # a kill while writing leaves one too, as .tmp-*.u8
        with contextlib.suppress(OSError):
            files[path] = path.stat()
    total = sum(state.st_size for state in files.values())
    for path in sorted(files, key=lambda path: files[path].st_mtime):
        if total <= most or now - files[path].st_mtime < _SPARED_S:
            return
        with contextlib.suppress(OSError):
            # The shapes first: without them nobody takes the rest for whole.
            path.with_suffix(".npy").unlink(missing_ok=True)
            path.unlink()
            total -= files[path].st_size


def _keep(
    path: Path, decoded: Decoded, count: int, progress: Progress, *, fitted: bool
) -> NDArray[np.int64]:
    """Write all pixels to a file; return the heights and widths, which EXIF may have turned."""
    shapes = np.zeros((count, 2), dtype=np.int64)

    def decode(position: int) -> Image:
        if not fitted:
            return decoded.image(position)
        canvas: Image = decoded.canvases(np.array([position]))[0]
        return canvas

    def fill(stream: BinaryIO) -> None:
        with ThreadPoolExecutor() as pool:
            for start in range(0, count, _BLOCK):
                block = range(start, min(start + _BLOCK, count))
                for position, pixels in zip(block, pool.map(decode, block), strict=True):
                    shapes[position] = pixels.shape[1:] if fitted else pixels.shape[:2]
                    stream.write(np.ascontiguousarray(pixels).tobytes())
                progress.advance(len(block))

    write_atomic(path, fill)
    return shapes
