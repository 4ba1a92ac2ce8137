"""The report's images: which are worth a look, their scores under each condition, and thumbnails of them."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.datasets import FAKE
from bench.results.figures.drawing import Shown
from bench.results.figures.images import RunImages
from leaderboards.plots.evidence import Evidence
from leaderboards.statistics.thresholds import called_fake
from leaderboards.tables.cells import CLEAN

_SIDE: Final = 112  # px of a thumbnail's longer side
_EACH: Final = 12  # images of a kind
NO_IMAGES: Final = "left out (--no-images)"
NO_BUDGET: Final = "left out (the page would grow too large)"
NOT_HERE: Final = "not at hand"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One score of one image.

    Attributes:
        detector: Name of the detector.
        condition: Condition as spelt.
        logit: Score; larger is more surely fake.
        is_fake: Whether the detector calls the image AI-generated.
        is_right: Whether that is so.
    """

    detector: str
    condition: str
    logit: float
    is_fake: bool
    is_right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One image of the report.

    Attributes:
        kind: Why it is shown.
        name: Its id in the data set.
        truth: "real" or "AI-generated".
        generator: Generator of a fake, source of a real.
        thumbnail: Data URL of a JPEG; "" where there is none.
        lacking: Why there is none.
        clean: Verdict of every detector on the clean image.
        others: Verdicts of the best detector under the other conditions.
    """

    kind: str
    name: str
    truth: str
    generator: str
    thumbnail: str
    lacking: str
    clean: tuple[Verdict, ...]
    others: tuple[Verdict, ...]


def pictures(shown: Shown, detector: str, *, budget: int) -> list[Picture]:
    """Choose images worth a look.

    Args:
        shown: A run with its evidence.
        detector: The detector whose sure, wrong and borderline images are shown.
        budget: Characters that thumbnails may take; 0 for none at all.

    Returns:
        At most twelve images of a kind: surest right and wrong, borderline, wrong with all detectors, and
        verdicts that most conditions flip. An image stands under the first kind that it is of.
    """
    evidence = shown.evidence
    picked = _picked(evidence, detector)
    images = RunImages.of(Path(shown.run.scores.name), shown.run.spec.data) if budget else None
    made: list[Picture] = []
    left = budget
    for kind, rows in picked.items():
        for row in rows:
            sample = evidence.samples.iloc[row]
            name = str(sample["sample_id"])
            small, lacking = "", NO_IMAGES
            if images is not None:
                small = thumbnail(images.load(name)) if left > 0 else ""
                lacking = "" if small else NOT_HERE if left > 0 else NO_BUDGET
                if len(small) > left:
                    small, lacking, left = "", NO_BUDGET, 0
                left -= len(small)
            every = list(verdicts(evidence, row))
            made.append(
                Picture(
                    kind=kind,
                    name=name,
                    truth=truth(sample["label"]),
                    generator=str(sample["generator"]),
                    thumbnail=small,
                    lacking=lacking,
                    clean=tuple(v for v in every if v.condition == CLEAN),
                    others=tuple(
                        v for v in every if v.condition != CLEAN and v.detector == detector
                    ),
                )
            )
    return made


def _picked(evidence: Evidence, detector: str) -> dict[str, list[int]]:
    """Choose rows of the samples, by kind; a row is in one kind only."""
    columns = {(c.detector, c.condition): c.logits for c in evidence.columns}
    compared = np.zeros(len(evidence.samples), dtype=bool)
    compared[evidence.pooled().rows] = True
    fake = (evidence.samples["label"] == FAKE).to_numpy()
    kinds: dict[str, list[int]] = {}
    taken: set[int] = set()

    def choose(kind: str, mask: NDArray[np.bool_], order: NDArray[np.float64]) -> None:
        """Take the rows of a mask with the largest order; ties keep their place."""
        rows = np.flatnonzero(mask & compared)
        sorted_rows = rows[np.argsort(-order[rows], kind="stable")].tolist()
        kinds[kind] = [row for row in sorted_rows if row not in taken][:_EACH]
        taken.update(kinds[kind])

    right = {}
    for name in evidence.detectors:
        threshold = evidence.thresholds.get(name, float("nan"))
        logits = columns.get((name, CLEAN))
        if logits is not None and not np.isnan(threshold) and np.isfinite(logits[compared]).all():
            right[name] = called_fake(logits, threshold) == fake
    if len(right) > 1:
        wrong = np.logical_and.reduce([~r for r in right.values()])
        sure = np.mean([np.abs(columns[n, CLEAN] - evidence.thresholds[n]) for n in right], axis=0)
        choose("all detectors wrong", wrong, sure)
    if detector in right:
        margin = np.abs(columns[detector, CLEAN].astype(np.float64) - evidence.thresholds[detector])
        choose("surest wrong", ~right[detector], margin)
        flips = _flips(evidence, detector, columns)
        choose("verdict flips", flips > 0, flips)
        choose("borderline", np.ones_like(fake), -margin)
        choose("surest right, AI-generated", right[detector] & fake, margin)
        choose("surest right, real", right[detector] & ~fake, margin)
    return kinds


def _flips(
    evidence: Evidence, detector: str, columns: Mapping[tuple[str, str], NDArray[np.float32]]
) -> NDArray[np.float64]:
    """Count, for every image, the conditions that change the detector's verdict."""
    threshold = evidence.thresholds[detector]
    clean = called_fake(columns[detector, CLEAN], threshold)
    flips = np.zeros(clean.size)
    for (name, condition), logits in columns.items():
        if name == detector and condition != CLEAN:
            flips += (called_fake(logits, threshold) != clean) & np.isfinite(logits)
    return flips


def truth(label: int) -> str:
    """Name a label in words."""
    return "AI-generated" if label == FAKE else "real"


def verdicts(evidence: Evidence, row: int) -> Sequence[Verdict]:
    """Give every score of one image, by detector and condition; ``row`` is its place in the samples."""
    is_fake = int(evidence.samples["label"].iloc[row]) == FAKE
    made = []
    for column in evidence.columns:
        logit = float(column.logits[row])
        threshold = evidence.thresholds.get(column.detector, float("nan"))
        if not np.isfinite(logit) or np.isnan(threshold):
            continue
        called = logit > threshold
        made.append(
            Verdict(
                detector=column.detector,
                condition=column.condition,
                logit=logit,
                is_fake=called,
                is_right=called == is_fake,
            )
        )
    return made


def thumbnail(pixels: NDArray[np.uint8] | None) -> str:
    """Encode a small copy anew, so that nothing of a file but its look gets in; "" where there is none.

    Args:
        pixels: (H, W, 3) uint8.

    Returns:
        The data URL of a JPEG.
    """
    if pixels is None:
        return ""
    image = Image.fromarray(pixels)
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=80, optimize=True, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
