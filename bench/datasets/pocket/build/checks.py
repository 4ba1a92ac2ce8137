"""Measure what a cheat could use: the file alone, or the colours alone.

Each check trains a small classifier on the train split (real against one generator) and scores the
test split. Chance is an AUC of 0.5.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

SPLITS = ("train", "val", "test")
Features = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Shortcut:
    """Test AUC of the shortcut classifiers for one generator.

    Attributes:
        generator: Generator's name.
        metadata: From size in bytes, format, mode, width and height of the file.
        colour: From the mean of each colour channel.
        payload: From the size of the compressed stream inside the padding; not a property of the file,
            shown to say what the padding is for.
    """

    generator: str
    metadata: float
    colour: float
    payload: float


def read(folder: Path, split: str) -> list[dict[str, object]]:
    """Read one split as rows; `bytes` replaces the `image` struct."""
    rows: list[dict[str, object]] = pq.read_table(folder / f"pocket-{split}.parquet").to_pylist()
    for row in rows:
        image = row.pop("image")
        assert isinstance(image, dict)
        row["bytes"], row["path"] = image["bytes"], image["path"]
    return rows


def _metadata(data: bytes) -> list[float]:
    with Image.open(io.BytesIO(data)) as image:
        kinds = [float(sum(map(ord, str(word)))) for word in (image.format, image.mode)]
        return [
            float(len(data)),
            *kinds,
            float(image.width),
            float(image.height),
            float(len(image.info)),
        ]


def _colour(data: bytes) -> list[float]:
    with Image.open(io.BytesIO(data)) as image:
        means = np.asarray(image.convert("RGB"), dtype=np.float64).mean(axis=(0, 1))
    return [float(mean) for mean in means]


def _payload(data: bytes) -> list[float]:
    return [float(struct.unpack("<I", data[16:20])[0])]


def _auc(train: tuple[Features, Features], test: tuple[Features, Features]) -> float:
    classifier = HistGradientBoostingClassifier(max_depth=3, max_iter=60, random_state=0)
    classifier.fit(*train)
    return float(roc_auc_score(test[1], classifier.predict_proba(test[0])[:, 1]))


def measure(folder: Path) -> list[Shortcut]:
    """Measure the shortcuts of every generator.

    Args:
        folder: Where the three Parquet files are.

    Returns:
        One entry a generator, sorted by name.
    """
    rows = {split: read(folder, split) for split in ("train", "test")}
    names = sorted({str(row["generator"]) for row in rows["test"] if row["label"] == 1})
    found = []
    for name in names:
        aucs = []
        for extract in (_metadata, _colour, _payload):
            sets = {}
            for split, all_rows in rows.items():
                some = [row for row in all_rows if row["generator"] in ("photo", name)]
                features = np.array([extract(row["bytes"]) for row in some])  # type: ignore[arg-type]
                sets[split] = (features, np.array([row["label"] for row in some], dtype=np.float64))
            aucs.append(_auc(sets["train"], sets["test"]))
        found.append(Shortcut(name, *aucs))
    return found


def verify(folder: Path) -> None:
    """Check what the set promises.

    Args:
        folder: Where the three Parquet files are.

    Raises:
        ValueError: Ids repeat, a photograph or pair is in two splits, files differ in size, a fake
            lacks its real tile, or a tile is not 64x64 RGB.
    """
    rows = [row for split in SPLITS for row in read(folder, split)]
    if len({row["sample_id"] for row in rows}) != len(rows):
        raise ValueError("sample ids repeat")
    for key in ("group", "pair"):
        if len({(row[key], row["split"]) for row in rows}) != len({row[key] for row in rows}):
            raise ValueError(f"a {key} is in two splits")
    if len({len(row["bytes"]) for row in rows}) != 1:  # type: ignore[arg-type]
        raise ValueError("files differ in size")
    reals = {row["pair"] for row in rows if row["generator"] == "photo"}
    if orphans := sorted(str(row["sample_id"]) for row in rows if row["pair"] not in reals):
        raise ValueError(f"fakes without their real tile: {orphans[:3]}")
    for row in rows:
        with Image.open(io.BytesIO(row["bytes"])) as image:  # type: ignore[arg-type]
            if image.size != (64, 64) or image.mode != "RGB":
                raise ValueError(f"{row['sample_id']} is {image.size} {image.mode}")
