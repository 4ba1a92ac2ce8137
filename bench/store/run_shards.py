"""The shards of one run, held against its manifest and put together by detector and condition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bench.store.rundir import RunRecord
from bench.store.shards import (
    ATTACK_COLUMNS,
    LIKENESS_COLUMNS,
    VOTE_COLUMNS,
    ShardDamagedError,
    Store,
)


@dataclass(frozen=True, slots=True, eq=False)
class StoredScores:
    """The shards of one detector under one condition, put together.

    Attributes:
        logits: (n,) float32 in manifest order; nan where no shard holds the image.
        attack: Attack column to (n,) float32, likewise.
        likeness: ``psnr`` and ``ssim`` to (n,) float32, likewise; nan where nobody asked.
        votes: Vote column to (n,) float32, likewise.
        changed: Whether the condition changed a pixel of any image.
        missing: Number of units without a readable shard.
        bad: Path of each image that could not be decoded, to the reason.
    """

    logits: NDArray[np.float32]
    attack: Mapping[str, NDArray[np.float32]]
    likeness: Mapping[str, NDArray[np.float32]]
    votes: Mapping[str, NDArray[np.float32]]
    changed: bool
    missing: int
    bad: Mapping[str, str]

    @property
    def has_sizes(self) -> bool:
        """Whether the size of the change is stored for any image."""
        return not bool(np.isnan(self.attack["linf"]).all())


class RunShards:
    """Reads the shards of one run; damaged ones are noted, so that one error can name them all.

    Args:
        record: The run's folder, images, units and failures.
        set_aside: Rename damaged shards, so that their units count as not scored.
    """

    def __init__(self, record: RunRecord, *, set_aside: bool) -> None:
        self._store, self._set_aside = Store(record.store), set_aside
        self._sample_ids = record.manifest["sample_id"]
        self._damaged: list[ShardDamagedError] = []

    def put_together(self, units: pd.DataFrame) -> StoredScores:
        """Read the shards of one detector under one condition.

        Args:
            units: Columns fingerprint, start and stop: which shard holds which rows of the manifest.
        """
        logits = np.full(len(self._sample_ids), np.nan, dtype=np.float32)
        # One value for all rows takes no memory; most columns of most runs stay so.
        nothing = np.broadcast_to(np.float32(np.nan), len(logits))
        attack = dict.fromkeys(ATTACK_COLUMNS, nothing)
        likeness = dict.fromkeys(LIKENESS_COLUMNS, nothing)
        votes = dict.fromkeys(VOTE_COLUMNS, nothing)
        bad: dict[str, str] = {}
        changed, missing = False, 0
        for unit, start, stop in zip(
            units["fingerprint"].tolist(),
            units["start"].tolist(),
            units["stop"].tolist(),
            strict=True,
        ):
            ids = self._sample_ids.slice(start, stop - start).combine_chunks()
            shard = self.read(unit, ids)
            if shard is None:
                missing += 1
                continue
            rows = slice(start, stop)
            logits[rows] = shard["logit"].to_numpy()
            for columns in (attack, likeness, votes):
                for name, values in columns.items():
                    if shard[name].null_count < len(shard):
                        if values is nothing:
                            columns[name] = nothing.copy()
                        columns[name][rows] = shard[name].to_numpy()
            changed |= bool(pc.any(shard["changed"]).as_py())
            if shard["bad"].null_count < len(shard):
                reasons = zip(shard["sample_id"].to_pylist(), shard["bad"].to_pylist(), strict=True)
                bad |= {sample: reason for sample, reason in reasons if reason is not None}
        return StoredScores(logits, attack, likeness, votes, changed, missing, bad)

    def check(self) -> None:
        """Refuse to go on where a shard was damaged.

        Raises:
            ShardDamagedError: Some were; names all the units.
        """
        if not self._damaged:
            return
        others = len(self._damaged) - 1
        more = f" (and {others} more)" if others else ""
        units = tuple(unit for error in self._damaged for unit in error.fingerprints)
        raise ShardDamagedError(f"{self._damaged[0]}{more}", units)

    def read(self, fingerprint: str, ids: pa.Array) -> pa.Table | None:
        """Read one shard, which must be about the images of these ids.

        Returns:
            None where there is none, or where it is damaged, which is noted.
        """
        try:
            return self._store.read(fingerprint, ids, set_aside=self._set_aside)
        except FileNotFoundError:
            return None
        except ShardDamagedError as error:
            self._damaged.append(error)
            return None
