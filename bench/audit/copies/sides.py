"""The images that are compared, and where each of them lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bench.datasets import Manifest


class Place(NamedTuple):
    """Where an image lies, as far as a copy of it matters.

    Attributes:
        other: Whether it is of the other data set, that this one is held against.
        split: Name of the split, or "".
        label: 1 = AI-generated, 0 = real.
        generator: Generator of a fake, source of a real image.
        domain: Domain, or "".
    """

    other: bool
    split: str
    label: int
    generator: str
    domain: str

    @property
    def name(self) -> str:
        """Name for a person: ``test / fake / sdxl``."""
        parts = ["other set" if self.other else "", self.split, "fake" if self.label else "real"]
        return " / ".join(part for part in (*parts, self.generator, self.domain) if part)


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """A data set, or some rows of it, with what its images are compared by.

    Attributes:
        manifest: Columns of the manifest, one row an image.
        facts: Facts of the same images, in the same order; without pixels, bytes alone are compared.
        other: Whether it is the other data set.
    """

    manifest: pa.Table
    facts: pa.Table
    other: bool = False

    @classmethod
    def of(cls, manifest: Manifest, rows: NDArray[np.int64], facts: pa.Table) -> Side:
        """Take some rows of a manifest."""
        return cls(manifest.table.take(rows), facts)

    @property
    def names(self) -> list[str]:
        """Ids of the images, marked where they are of the other set."""
        ids: list[str] = self.manifest["sample_id"].to_pylist()
        return [f"other set: {name}" for name in ids] if self.other else ids

    @property
    def places(self) -> list[Place]:
        """Place of each image."""
        names = ("split", "label", "generator", "domain")
        columns = [self.manifest[name].to_pylist() for name in names]
        return [Place(self.other, *values) for values in zip(*columns, strict=True)]

    @property
    def groups(self) -> list[str]:
        """Group of each image; "" where the data name none."""
        ids, groups = (self.manifest[name].to_pylist() for name in ("sample_id", "group"))
        return ["" if a == b else b for a, b in zip(ids, groups, strict=True)]
