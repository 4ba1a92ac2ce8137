"""Every image read once, in a pool of threads: its header, size and hash, or why it is bad."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.datasets.policy import BadImageError, DecodePolicy
from bench.datasets.sources.header import Header, read_header
from bench.datasets.sources.image_bytes import open_bytes, parquet_row
from bench.datasets.sources.tree import is_image_name, suffix

Progress = Callable[[int, int], None]

_CHUNK: Final = 64
_AHEAD: Final = 4  # chunks in flight a thread


@dataclass(frozen=True, slots=True)
class Found:
    """What reading one image gave.

    Attributes:
        header: format and size.
        size: of the encoded image, bytes.
        sha256: 64 hex digits, or "" where only the header was read.
    """

    header: Header
    size: int
    sha256: str


Outcome = Found | str  # the string is the reason why the image is bad


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads images by locator.

    Attributes:
        root: folder that the locators are relative to.
        policy: which formats and sizes are allowed.
        whole: read every byte, for the hash and to see truncation; else the header only.
        workers: threads.
        progress: called with (images done, images in all) in the calling thread.
    """

    root: Path
    policy: DecodePolicy
    whole: bool
    workers: int = 2
    progress: Progress | None = None

    def read(self, locator: str) -> Outcome:
        """What one image is, or in words why it cannot be used."""
        in_table = parquet_row(locator) is not None
        try:
            if not self.whole and not in_table:
                return self._header_only(locator)
            data = open_bytes(self.root, locator)
            digest = hashlib.sha256(data).hexdigest() if self.whole else ""
            return Found(read_header(data, self.policy), len(data), digest)
        except BadImageError as error:
            reason = str(error)
        if in_table or is_image_name(locator):
            return reason
        return f"{reason} (suffix {suffix(locator) or 'none'})"

    def _header_only(self, locator: str) -> Found:
        try:
            with (self.root / locator).open("rb") as stream:
                header = read_header(stream, self.policy)
                return Found(header, stream.seek(0, 2), "")
        except FileNotFoundError:
            raise BadImageError("no such file") from None
        except (OSError, ValueError) as error:
            raise BadImageError(f"cannot be read ({error})") from error

    def read_all(
        self, locators: Sequence[str], before: int = 0, total: int | None = None
    ) -> list[Outcome]:
        """Read all, in a pool of threads; outcomes in the order of the locators.

        Args:
            locators: What to read.
            before: Images that were done earlier, for the progress.
            total: Images in all, for the progress; these and those before by default.
        """
        # Rows of a Parquet file in file order, so that each row group is read once.
        order = sorted(range(len(locators)), key=lambda i: _where(locators[i]))
        chunks = [order[i : i + _CHUNK] for i in range(0, len(order), _CHUNK)]
        outcomes: list[Outcome] = [""] * len(locators)
        workers = max(1, self.workers)
        done, total = before, before + len(locators) if total is None else total

        def job(chunk: list[int]) -> list[Outcome]:
            return [self.read(locators[i]) for i in chunk]

        with ThreadPoolExecutor(max_workers=workers) as pool:
            for chunk, future in _bounded(pool, job, chunks, _AHEAD * workers):
                for i, outcome in zip(chunk, future.result(), strict=True):
                    outcomes[i] = outcome
                done += len(chunk)
                if self.progress is not None:
                    self.progress(done, total)
        return outcomes


def _bounded(
    pool: ThreadPoolExecutor,
    job: Callable[[list[int]], list[Outcome]],
    chunks: Sequence[list[int]],
    ahead: int,
) -> Iterator[tuple[list[int], Future[list[Outcome]]]]:
    """Run jobs in order with only a few in flight, so that an interrupt stops soon."""
    waiting = [(chunk, pool.submit(job, chunk)) for chunk in chunks[:ahead]]
    for chunk in chunks[ahead:]:
        yield waiting.pop(0)
        waiting.append((chunk, pool.submit(job, chunk)))
    yield from waiting


def _where(locator: str) -> tuple[str, int]:
    return parquet_row(locator) or (locator, 0)
