"""Every image read once, in a pool of threads: its header, size and hash, or why it is bad."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from bench.datasets.policy import BadImageError, DecodePolicy
from bench.datasets.sources.header import Header, read_header
from bench.datasets.sources.image_bytes import is_embedded, open_bytes, parquet_row
from bench.datasets.sources.names import is_image_name, suffix
from bench.datasets.sources.regular_file import open_regular
from bench.support.objects.place import Place, below

Progress = Callable[[int, int], None]

_CHUNK: Final = 64
_AHEAD: Final = 4  # chunks in flight a thread


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What reading one image gave.

    Attributes:
        header: format and size.
        size: size of the encoded image in bytes.
        sha256: 64 hex digits, or "" where only the header was read.
    """

    header: Header
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class BadImage:
    """An image that cannot be used.

    Attributes:
        reason: why, in words, without the path.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads images by locator.

    Attributes:
        root: folder that the locators are relative to.
        policy: which formats and sizes are allowed.
        whole: read every byte, for the hash and to see truncation; else the header only.
        workers: number of threads.
        progress: called with (images read, images in all) in the calling thread.
    """

    root: Place
    policy: DecodePolicy
    whole: bool
    workers: int = 2
    progress: Progress | None = None

    def read(self, locator: str) -> ImageFacts | BadImage:
        """Read one image, or say why it cannot be used."""
        embedded = is_embedded(locator)
        try:
            if self.whole or embedded:
                return self._read_bytes(locator)
            return self._read_header(locator)
        except BadImageError as error:
            reason = str(error)
        if embedded or is_image_name(locator):
            return BadImage(reason)
        return BadImage(f"{reason} (suffix {suffix(locator) or 'none'})")

    def _read_bytes(self, locator: str) -> ImageFacts:
        data = open_bytes(self.root, locator)
        digest = hashlib.sha256(data).hexdigest() if self.whole else ""
        return ImageFacts(read_header(data, self.policy), len(data), digest)

    def _read_header(self, locator: str) -> ImageFacts:
        try:
            with open_regular(below(self.root, locator)) as stream:
                header = read_header(stream, self.policy)
                return ImageFacts(header, stream.seek(0, 2), "")
        except FileNotFoundError:
            raise BadImageError("no such file") from None
        except (OSError, ValueError) as error:
            raise BadImageError(f"cannot be read ({error})") from error

    def read_all(
        self, locators: Sequence[str], before: int = 0, total: int | None = None
    ) -> list[ImageFacts | BadImage]:
        """Read all, in a pool of threads; results in the order of the locators.

        Args:
            locators: where the images are.
            before: number of images read earlier, for the progress.
            total: number of images in all, for the progress; these and those before by default.
        """
        # Rows of a Parquet file in file order, so that each row group is read once.
        order = sorted(range(len(locators)), key=lambda i: _file_and_row(locators[i]))
        chunks = [order[i : i + _CHUNK] for i in range(0, len(order), _CHUNK)]
        results: dict[int, ImageFacts | BadImage] = {}
        workers = max(1, self.workers)
        total = before + len(locators) if total is None else total

        def read_chunk(chunk: list[int]) -> list[ImageFacts | BadImage]:
            return [self.read(locators[i]) for i in chunk]

        with ThreadPoolExecutor(max_workers=workers) as pool:
            for chunk, future in _bounded(pool, read_chunk, chunks, _AHEAD * workers):
                results.update(zip(chunk, future.result(), strict=True))
                if self.progress is not None:
                    self.progress(before + len(results), total)
        return [results[i] for i in range(len(locators))]


def _bounded(
    pool: ThreadPoolExecutor,
    job: Callable[[list[int]], list[ImageFacts | BadImage]],
    chunks: Sequence[list[int]],
    ahead: int,
) -> Iterator[tuple[list[int], Future[list[ImageFacts | BadImage]]]]:
    """Run jobs in order with only a few in flight, so that an interrupt stops soon."""
    waiting = [(chunk, pool.submit(job, chunk)) for chunk in chunks[:ahead]]
    for chunk in chunks[ahead:]:
        yield waiting.pop(0)
        waiting.append((chunk, pool.submit(job, chunk)))
    yield from waiting


def _file_and_row(locator: str) -> tuple[str, int]:
    return parquet_row(locator) or (locator, 0)
