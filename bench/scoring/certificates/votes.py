"""Votes of a smoothed detector: each image by itself, so that neither chunk nor thread shows in a bit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.inference.batches import unit_floats
from bench.inference.replicas import Replicas, scoring
from bench.protocol.seeding import seed_for
from bench.scoring.attack_job import Attacked, Target
from bench.scoring.canvases import Ready
from bench.scoring.chains.chain import purpose
from bench.scoring.unit_table import unit_table

if TYPE_CHECKING:
    from attacks.smoothing import Smoothing
    from bench.datasets import ImageRecord
    from bench.protocol.condition import Condition
    from bench.scoring.decoding import DecodedChunk


@dataclass(frozen=True, slots=True)
class Voter:
    """The detector whose verdicts are counted, and how it is run.

    Attributes:
        logits: (N, 3, h, w) float32 to (N,) logits, in the arithmetic that scores.
        batch_size: Noisy copies in a batch.
        device: Where the detector runs.
        seed: Seed of the run.
        threshold: Logit above which an image is called fake.
        for_each: Calls a function on every item, perhaps in several threads; results in order.
    """

    logits: Callable[[Tensor], Tensor]
    batch_size: int
    device: torch.device
    seed: int
    threshold: float
    for_each: Callable[[Callable[[Any], Any], Iterable[Any]], list[Any]]

    @classmethod
    def of(cls, replicas: Replicas, target: Target, precision: str) -> Self:
        """Ask a detector as it is asked for scores, in the batches of an attack's target."""

        def logits(copies: Tensor) -> Tensor:
            with scoring(target.device, precision):
                return replicas.score(copies)

        return cls(
            logits, target.batch_size, target.device, target.seed, target.threshold, target.for_each
        )


@dataclass(frozen=True, slots=True)
class VoteCounts:
    """Votes for *fake* of the n images of a chunk; nan where there is no image.

    Attributes:
        pilot: (n,) among the copies that choose the verdict.
        main: (n,) among the copies that certify it.
    """

    pilot: NDArray[np.float64]
    main: NDArray[np.float64]

    def logits(self, n: int, threshold: float) -> NDArray[np.float32]:
        """Score the smoothed detector: the log-odds of the share of votes, half a vote added to either side.

        Args:
            n: Copies that certify.
            threshold: The detector's threshold, which is added: above it most votes are for *fake*.

        Returns:
            (n_images,) float32; nan where there is no image.
        """
        odds = np.log((self.main + 0.5) / (n - self.main + 0.5))
        return (odds + threshold).astype(np.float32)


def certified_table(
    condition: Condition,
    voter: Voter,
    chunk: DecodedChunk,
    canvases: Sequence[NDArray[Any] | None],
    ready: Ready,
) -> pa.Table:
    """Make the table of a shard under a condition that ends in a certificate.

    Args:
        condition: Corruptions, and the certificate behind them.
        voter: The detector and how it is run.
        chunk: The images of the shard.
        canvases: The corrupted images as the detector takes them.
        ready: What the corruptions did to the images.
    """
    certificate, last = condition.certificate, len(condition.before)
    assert certificate is not None
    draws_for = purpose(last, condition.chain[last])
    votes = count_votes(certificate, draws_for, canvases, chunk.records, voter)
    logits = votes.logits(certificate.n, voter.threshold)
    untouched = Attacked.none(len(canvases))
    return unit_table(chunk, logits, ready.changed, untouched, ready.likeness, votes=votes)


def count_votes(
    certificate: Smoothing,
    purpose: str,
    canvases: Sequence[NDArray[Any] | None],
    records: Sequence[ImageRecord],
    voter: Voter,
) -> VoteCounts:
    """Count the votes on every canvas of a chunk.

    Args:
        certificate: The noise and the number of copies.
        purpose: Text that the seeds are derived from, one an image.
        canvases: (3, h, w) uint8; ``None`` where an image has none.
        records: Ids of the images.
        voter: The detector and how it is run.

    Raises:
        ValueError: A logit is not finite.
    """
    counts = VoteCounts(np.full(len(canvases), np.nan), np.full(len(canvases), np.nan))
    rows = [row for row, canvas in enumerate(canvases) if canvas is not None]

    def of_image(row: int) -> tuple[int, int]:
        image = unit_floats(torch.from_numpy(canvases[row]).to(voter.device))
        seed = seed_for(voter.seed, purpose, records[row].sample_id)
        return certificate.votes(
            voter.logits, image, seed, batch_size=voter.batch_size, threshold=voter.threshold
        )

    for row, (pilot, main) in zip(rows, voter.for_each(of_image, rows), strict=True):
        counts.pilot[row], counts.main[row] = pilot, main
    return counts
