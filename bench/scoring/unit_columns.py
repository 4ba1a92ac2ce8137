"""A shard's columns while a unit is being scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bench.scoring.attack_job import Attacked
from bench.store import shards as store

if TYPE_CHECKING:
    from bench.datasets import ImageRecord


@dataclass(slots=True)
class Columns:
    """A shard's columns while they are being filled; nan or None is null."""

    logit: NDArray[np.float32]
    changed: list[bool | None]
    attack: Attacked

    @classmethod
    def empty(cls, n: int) -> Columns:
        """Nothing scored yet."""
        return cls(np.full(n, np.nan, dtype=np.float32), [None] * n, Attacked.nothing(n))

    def fill(self, done: Attacked) -> None:
        """Take over what an attack did."""
        self.attack = done

    def table(self, records: Sequence[ImageRecord], bad: Sequence[str | None]) -> pa.Table:
        """The shard's table; ``bad`` says why an image could not be decoded.

        Raises:
            RuntimeError: An image that decodes has no finite logit.
        """
        missing = [
            record.sample_id
            for record, reason, logit in zip(records, bad, self.logit, strict=True)
            if reason is None and not np.isfinite(logit)
        ]
        if missing:
            raise RuntimeError(f"{len(missing)} images were not scored, first {missing[0]!r}")
        return pa.table(
            {
                "sample_id": [record.sample_id for record in records],
                "logit": pa.array(self.logit, from_pandas=True),
                "bad": list(bad),
                "changed": self.changed,
                **{
                    name: pa.array(getattr(self.attack, name), from_pandas=True)
                    for name in store.ATTACK_COLUMNS
                },
            },
            schema=None,
        ).cast(store.SCHEMA)
