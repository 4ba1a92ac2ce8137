"""The scores of a unit, as the table that its shard holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bench.scoring.attack_job import Attacked
from bench.store.shards import (
    ATTACK_COLUMNS,
    LIKENESS_COLUMNS,
    PROBE_COLUMNS,
    SCHEMA,
    VOTE_COLUMNS,
)

if TYPE_CHECKING:
    from bench.scoring.certificates.votes import VoteCounts
    from bench.scoring.decoding import DecodedChunk
    from corruptions.likeness import Likeness


def unit_table(
    chunk: DecodedChunk,
    logits: NDArray[np.float32],
    changed: Sequence[bool | None],
    attacked: Attacked,
    likeness: Sequence[Likeness | None],
    *,
    votes: VoteCounts | None = None,
) -> pa.Table:
    """Make the table of a shard.

    Args:
        chunk: The n images that were scored, and why some could not be decoded.
        logits: (n,) float32, nan where there is no image.
        changed: Whether the corruptions changed each image; ``None`` where there are none.
        attacked: Adversarial images with their distances, and the probes.
        likeness: How like itself each image still is; ``None`` where that is not asked, or undefined.
        votes: Votes of a certificate; ``None`` where there is none.

    Raises:
        RuntimeError: An image that decodes has no finite logit.
    """
    unscored = [
        record.sample_id
        for record, reason, logit in zip(chunk.records, chunk.bad, logits, strict=True)
        if reason is None and not np.isfinite(logit)
    ]
    if unscored:
        raise RuntimeError(f"{len(unscored)} images were not scored, first {unscored[0]!r}")
    columns = {
        "sample_id": [record.sample_id for record in chunk.records],
        "logit": pa.array(logits, from_pandas=True),
        "bad": list(chunk.bad),
        "changed": list(changed),
    }
    for name in ATTACK_COLUMNS:
        columns[name] = pa.array(getattr(attacked, name), from_pandas=True)
    for name in LIKENESS_COLUMNS:
        values = [None if each is None else getattr(each, name) for each in likeness]
        # Of a picture too narrow for a measure nothing is known, which is no number.
        columns[name] = pa.array(values, pa.float32(), from_pandas=True)
    counted = (None, None) if votes is None else (votes.pilot, votes.main)
    for name, counts in zip(VOTE_COLUMNS, counted, strict=True):
        columns[name] = (
            pa.nulls(len(logits)) if counts is None else pa.array(counts, from_pandas=True)
        )
    return pa.table(columns).cast(SCHEMA)


def probe_table(chunk: DecodedChunk, attacked: Attacked) -> pa.Table:
    """Make the part of a shard's table that the probes give: ids of the images and the probes' columns."""
    ids = pa.array([record.sample_id for record in chunk.records], pa.string())
    columns = {
        name: pa.array(getattr(attacked, name), from_pandas=True).cast(SCHEMA.field(name).type)
        for name in PROBE_COLUMNS
    }
    return pa.table({"sample_id": ids, **columns})
