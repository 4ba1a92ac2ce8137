"""Runs of ``bench`` to compare: logits by detector and condition, and the board's own bytes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import bench
from bench.protocol.suite import Suite
from bench.results.scores import load_run

Cell = tuple[str, str]
CORRUPTED = ("jpeg(quality=50)", "blur(sigma=1)", "noise(sigma=0.02)")
ATTACKED = (
    "fgsm(eps=2/255)",
    "pgd(eps=2/255)",  # as a run spells it: 10 steps are its default
    "jpeg(quality=75)+pgd(eps=2/255,steps=3)+jpeg(quality=75)",
)


@dataclass(frozen=True)
class Scores:
    """What a run left.

    Attributes:
        labels: (n,) 1 = AI-generated.
        logits: By detector and condition, (n,) float32.
        statuses: By detector and condition.
        board: The bytes of ``leaderboard.csv``.
        auc: By detector and condition, of all images together.
    """

    labels: np.ndarray
    logits: dict[Cell, np.ndarray]
    statuses: dict[Cell, str]
    board: bytes
    auc: dict[Cell, float]


def scored(names: list[str], conditions: list[str], out: Path, **options: Any) -> Scores:
    """Run detectors over the embedded images, untrained ones too."""
    suite = Suite(name="gpu", slices=["pooled"], conditions=["clean", *conditions])
    done = bench.run(
        names, suite=suite, data="pocket", out=out, allow_untrained=True, **options
    )  # fmt: skip
    _, found = load_run(done.folder)
    rows = done.board.rows
    return Scores(
        labels=found.samples["label"].to_numpy(),
        logits={(c.detector, c.condition): c.logits for c in found.columns},
        statuses={(c.detector, c.condition): c.status for c in found.columns},
        board=(done.folder / "leaderboard.csv").read_bytes(),
        auc={(row["detector"], row["condition"]): float(row["auc"]) for _, row in rows.iterrows()},
    )


def fooled(scores: Scores, detector: str, condition: str) -> np.ndarray:
    """(n,) bool: right on the clean image, wrong under the condition."""
    fake = scores.labels == 1
    right = (scores.logits[detector, "clean"] > 0) == fake
    return right & ((scores.logits[detector, condition] > 0) != fake)
