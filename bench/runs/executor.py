"""Who scores the chunks of a run: this process here, or the workers of :mod:`bench.runs.cluster`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from bench.runs.prepare import Prepared
from bench.runs.settled import Settled
from bench.scoring.decoding import DecodedChunk, decode_chunk
from bench.scoring.engine import Counts
from bench.scoring.outcomes import Failed, Scored
from bench.store.units import Chunk, Unit


class Executor(Protocol):
    """What scores chunks, in this process or elsewhere."""

    def outcomes(
        self,
        prepared: Prepared,
        settled: Settled,
        work: Sequence[tuple[Chunk, Sequence[Unit]]],
        skip: Callable[[Unit], bool],
    ) -> Iterator[Scored | Failed]:
        """Score the units of the chunks.

        Args:
            prepared: The run that is scored.
            settled: Batch sizes and thresholds that the run has settled.
            work: Chunks with the units of theirs that are to be scored.
            skip: Whether a unit is no longer needed; called when its turn comes.

        Yields:
            One outcome a unit, in any order.
        """


@dataclass(frozen=True, slots=True)
class Here:
    """Scoring in this process, a chunk at a time.

    Attributes:
        pool: Threads for decoding, corruptions and geometry.
        counts: Work done so far.
    """

    pool: ThreadPoolExecutor
    counts: Counts

    def outcomes(
        self,
        prepared: Prepared,
        settled: Settled,
        work: Sequence[tuple[Chunk, Sequence[Unit]]],
        skip: Callable[[Unit], bool],
    ) -> Iterator[Scored | Failed]:
        """Score the units of the chunks in turn; see :class:`Executor`."""
        units = {chunk.index: of_chunk for chunk, of_chunk in work}

        def decoded() -> Iterator[tuple[DecodedChunk, list[Unit]]]:
            for chunk, images in self._decoded_ahead(prepared, [chunk for chunk, _ in work]):
                yield images, [unit for unit in units[chunk.index] if not skip(unit)]

        yield from prepared.engine(self.pool, settled, self.counts).stream(decoded())

    def _decoded_ahead(
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
                images = pending.result() if pending else decode(chunk)
                following = chunks[position + 1] if position + 1 < len(chunks) else None
                pending = reader.submit(decode, following) if following else None
                yield chunk, images
