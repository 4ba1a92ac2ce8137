"""Who scores the chunks of a run: this process here, or the workers of :mod:`bench.runs.cluster`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from bench.runs.prepare import Prepared
from bench.scoring.decoding import DecodedChunk, decode_chunk
from bench.scoring.engine import Counts, Failed, Scored
from bench.store.units import Chunk, Unit


class Executor(Protocol):
    """Scores chunks, wherever."""

    def outcomes(
        self,
        prepared: Prepared,
        todo: Sequence[tuple[Chunk, Sequence[Unit]]],
        skip: Callable[[Unit], bool],
    ) -> Iterator[Scored | Failed]:
        """One outcome a unit, in any order, for those that ``skip`` does not refuse in their turn."""


@dataclass(frozen=True, slots=True)
class Here:
    """Scores in this process.

    Attributes:
        pool: Threads for decoding, corruptions and geometry.
        counts: Work done so far.
    """

    pool: ThreadPoolExecutor
    counts: Counts

    def outcomes(
        self,
        prepared: Prepared,
        todo: Sequence[tuple[Chunk, Sequence[Unit]]],
        skip: Callable[[Unit], bool],
    ) -> Iterator[Scored | Failed]:
        """One outcome a unit, as it is done."""
        units = {chunk.index: wanted for chunk, wanted in todo}

        def wanted() -> Iterator[tuple[DecodedChunk, list[Unit]]]:
            for chunk, decoded in self._ahead(prepared, [chunk for chunk, _ in todo]):
                yield decoded, [unit for unit in units[chunk.index] if not skip(unit)]

        yield from prepared.engine(self.pool, self.counts).stream(wanted())

    def _ahead(
        self, prepared: Prepared, chunks: Sequence[Chunk]
    ) -> Iterator[tuple[Chunk, DecodedChunk]]:
        """Decode one chunk ahead of those in work: three chunks in memory, never more."""

        def decode(chunk: Chunk) -> DecodedChunk:
            return decode_chunk(
                prepared.manifest, chunk, prepared.policy, self.pool, prepared.watch
            )

        with ThreadPoolExecutor(max_workers=1) as reader:
            pending: Future[DecodedChunk] | None = None
            for position, chunk in enumerate(chunks):
                decoded = pending.result() if pending else decode(chunk)
                following = chunks[position + 1] if position + 1 < len(chunks) else None
                pending = reader.submit(decode, following) if following else None
                yield chunk, decoded
