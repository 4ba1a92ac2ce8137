"""What images are like, summed up by class, generator, real source, domain and split."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from bench.datasets import FAKE

_MOST_NAMED: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What the images of one kind are like.

    Attributes:
        by: What they have in common: ``class``, ``generator``, ``real source``, ``domain`` or ``split``.
        name: Name of the kind.
        images: Number of images described.
        formats: Format to number of images.
        sizes: Width x height to number of images, the most frequent ones.
        megapixels: Median in megapixels.
        aspect: Median of width over height.
        modes: Colour mode to number of images.
        bytes_per_pixel: Median size of the encoded image in bytes a pixel.
        jpeg_quality: Median quality of the JPEGs; nan without any.
        jpeg_subsamplings: Chroma subsampling to number of JPEGs.
        exif: Share with an EXIF block, 0 to 1.
        icc: Share with a colour profile.
        text: Share with text or XMP.
        camera: Share that names a camera.
        credentials: Share with content credentials (C2PA).
        says_generated: Share whose metadata say that they are generated.
        software: Generator software named in the metadata, to number of images.
        bordered: Share with a constant border on all sides; nan where pixels were not looked at.
        enlarged: Share with empty high frequencies, as an enlarged image has them; nan likewise.
    """

    by: str
    name: str
    images: int
    formats: dict[str, int]
    sizes: dict[str, int]
    megapixels: float
    aspect: float
    modes: dict[str, int]
    bytes_per_pixel: float
    jpeg_quality: float
    jpeg_subsamplings: dict[str, int]
    exif: float
    icc: float
    text: float
    camera: float
    credentials: float
    says_generated: float
    software: dict[str, int]
    bordered: float = math.nan
    enlarged: float = math.nan


def summaries(manifest: pa.Table, facts: pa.Table) -> list[Summary]:
    """Sum up described images.

    Args:
        manifest: (n,) rows of a manifest.
        facts: (n,) facts of the same images.
    """
    names = [
        n for n in facts.column_names if n not in ("pixel_digest", "thumbnail", "hash", "mirrored")
    ]
    frame = facts.select(names).to_pandas()
    keys = manifest.select(["label", "generator", "domain", "split"]).to_pandas()
    fake = (keys["label"] == FAKE).to_numpy()
    groups: list[tuple[str, pd.Series]] = [
        ("class", pd.Series(np.where(fake, "fake", "real"))),
        ("generator", keys["generator"].where(fake)),
        ("real source", keys["generator"].where(~fake)),
        ("domain", _several(keys["domain"], fake)),
        ("split", _several(keys["split"], fake)),
    ]
    return [
        _summary(by, str(name), frame.loc[rows.index])
        for by, values in groups
        for name, rows in values.dropna().groupby(values.dropna())
    ]


def _several(values: pd.Series, fake: Any) -> pd.Series:
    """Name domain or split and class; nothing where there is only one."""
    if values.nunique() < 2:
        return values.where(np.zeros(len(values), dtype=bool))
    return values + np.where(fake, " / fake", " / real")


def _summary(by: str, name: str, frame: pd.DataFrame) -> Summary:
    pixels = frame["width"].astype(float) * frame["height"].astype(float)
    sizes = frame["width"].astype(str) + "x" + frame["height"].astype(str)
    software = [part for text in frame["generator_software"] for part in text.split("; ") if part]
    is_jpeg = frame["jpeg_subsampling"] != ""

    def share(column: str) -> float:
        return float(frame[column].astype(bool).mean())

    looked_at = "border" in frame.columns
    return Summary(
        by=by,
        name=name,
        images=len(frame),
        formats=_counts(frame["format"]),
        sizes=dict(Counter(sizes).most_common(_MOST_NAMED)),
        megapixels=float(pixels.median() / 1e6),
        aspect=float((frame["width"] / frame["height"]).median()),
        modes=_counts(frame["mode"]),
        bytes_per_pixel=float((frame["bytes"] / pixels).median()),
        jpeg_quality=float(frame["jpeg_quality"].median()) if is_jpeg.any() else math.nan,
        jpeg_subsamplings=_counts(frame.loc[is_jpeg, "jpeg_subsampling"]),
        exif=share("exif"),
        icc=share("icc"),
        text=float((frame["text"] | frame["xmp"]).astype(bool).mean()),
        camera=share("camera"),
        credentials=share("credentials"),
        says_generated=share("says_generated"),
        software=_counts(software),
        bordered=float((frame["border"] > 0).mean()) if looked_at else math.nan,
        enlarged=share("enlarged") if looked_at else math.nan,
    )


def _counts(values: Sequence[str] | pd.Series) -> dict[str, int]:
    return {str(name): n for name, n in sorted(Counter(values).items())}
