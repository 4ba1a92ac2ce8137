"""The facts of images as columns of numbers that a classifier can learn from, by feature and by baseline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Columns = NDArray[np.float64]

# Categories that get a column of their own; rarer ones share "none of these".
_MOST_CATEGORIES: Final = 12


@dataclass(frozen=True, slots=True, eq=False)
class Feature:
    """One fact of images, as columns.

    Attributes:
        name: Name for a person.
        columns: (n, k) float64, finite; -1 where an image has no such fact.
    """

    name: str
    columns: Columns

    @property
    def varies(self) -> bool:
        """Whether two images differ in it."""
        return not bool((self.columns == self.columns[:1]).all())


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """Facts that are learnt from together.

    Attributes:
        name: ``metadata``, ``bytes per pixel``, ``colour`` or ``border``.
        features: The features that it is made of.
    """

    name: str
    features: tuple[Feature, ...]

    @property
    def columns(self) -> Columns:
        """Columns of all features side by side, (n, k) float64."""
        return np.concatenate([feature.columns for feature in self.features], axis=1)


def baselines(facts: pa.Table) -> list[Baseline]:
    """Make the columns of every baseline that the facts allow.

    Args:
        facts: (n,) rows as ``gather`` gives them; colours and borders only where pixels were decoded.
    """
    made = [
        Baseline("metadata", tuple(_of(facts, _METADATA))),
        Baseline("bytes per pixel", tuple(_of(facts, {"bytes per pixel": _bytes_per_pixel}))),
    ]
    if "red" in facts.column_names:
        made += [
            Baseline(
                "colour", tuple(_of(facts, {"colour means": _numbers("red", "green", "blue")}))
            ),
            Baseline("border", tuple(_of(facts, {"border": _numbers("border", "bordered_sides")}))),
        ]
    return made


_Maker = Callable[[pa.Table], Columns]


def _of(facts: pa.Table, makers: Mapping[str, _Maker]) -> list[Feature]:
    return [Feature(name, make(facts)) for name, make in makers.items()]


def number(facts: pa.Table, name: str) -> NDArray[np.float64]:
    """Give a column of facts as (n,) float64, -1 where it is not known."""
    values = np.asarray(facts[name].cast(pa.float64()).to_numpy(), dtype=np.float64)
    return np.nan_to_num(values, nan=-1.0)


def _numbers(*names: str) -> _Maker:
    return lambda facts: np.stack([number(facts, name) for name in names], axis=1)


def _flags(*names: str) -> _Maker:
    def make(facts: pa.Table) -> Columns:
        return np.stack(
            [np.asarray(facts[name].to_pylist(), dtype=np.float64) for name in names], axis=1
        )

    return make


def _categories(name: str) -> _Maker:
    return lambda facts: one_hot(facts[name].to_pylist())


def one_hot(values: Sequence[str]) -> Columns:
    """Give each of the most frequent categories a column of ones and zeros.

    Example:
        >>> one_hot(["PNG", "JPEG", "PNG"]).tolist()
        [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
    """
    counts = Counter(values)
    names = sorted(counts, key=lambda name: (-counts[name], str(name)))[:_MOST_CATEGORIES]
    array = np.array([names.index(value) if value in names else -1 for value in values])
    columns: Columns = (array[:, None] == np.arange(len(names))[None, :]).astype(np.float64)
    return columns


def _size(facts: pa.Table) -> Columns:
    width, height = number(facts, "width"), number(facts, "height")
    sides = [width, height, width * height]
    return np.stack([*sides, np.minimum(width, height), np.maximum(width, height)], axis=1)


def _aspect(facts: pa.Table) -> Columns:
    return (number(facts, "width") / number(facts, "height"))[:, None]


def _bytes_per_pixel(facts: pa.Table) -> Columns:
    pixels = number(facts, "width") * number(facts, "height")
    return (number(facts, "bytes") / pixels)[:, None]


_METADATA: Final[dict[str, _Maker]] = {
    "format": _categories("format"),
    "size": _size,
    "aspect": _aspect,
    "colour mode": _categories("mode"),
    "JPEG quality": _numbers("jpeg_quality"),
    "JPEG subsampling": _categories("jpeg_subsampling"),
    "JPEG tables": _categories("jpeg_tables"),
    "progressive JPEG": _flags("jpeg_progressive"),
    "EXIF, ICC, XMP, text": _flags("exif", "icc", "xmp", "text"),
    "camera": _flags("camera"),
    "generator software": _categories("generator_software"),
    "editing software": _categories("editing_software"),
    "content credentials": _flags("credentials", "says_generated"),
}
