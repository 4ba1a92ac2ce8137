"""A shard's columns while a unit is being scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bench import store
from bench.attacking import Attacked

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


def differs(a: NDArray[np.uint8] | None, b: NDArray[np.uint8] | None) -> bool | None:
    """Whether two pictures differ; None where there is none."""
    return None if a is None or b is None else not np.array_equal(a, b)


def both(a: bool | None, b: bool | None) -> bool | None:
    """Whether both hold; None where either is unknown."""
    return None if a is None or b is None else a and b


def to_hwc(canvas: NDArray[Any]) -> NDArray[np.uint8]:
    """A (3, h, w) canvas, uint8 or float32 in [0, 1], as an (h, w, 3) uint8 picture."""
    pixels = canvas if canvas.dtype == np.uint8 else np.round(canvas * 255).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(1, 2, 0))
