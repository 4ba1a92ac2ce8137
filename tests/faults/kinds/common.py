"""Data, a detector with an answer in closed form, and a finished run: what most kinds start from."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from tests.conftest import TOY, picture
from tests.faults.child import command
from tests.faults.outcome import Seen

SUITE = """name = "mini"
slices = ["generator"]
conditions = ["clean", "jpeg(quality=50)", "noise(sigma=0.05)"]
split = ""
"""


def pixels(seed: int = 0, side: int = 32) -> np.ndarray:
    """A smooth and grainy (side, side, 3) uint8 picture."""
    return picture(seed, fake=bool(seed % 2), size=(side, side))


def make(base: Path, images: int = 4) -> None:
    """Write two generators' images, a suite and the toy detectors."""
    for number, name in enumerate(("alpha", "beta")):
        for kind in ("real", "fake"):
            folder = base / "images" / name / kind
            folder.mkdir(parents=True)
            for i in range(images):
                seed = 100 * number + 2 * i + (kind == "fake")
                Image.fromarray(pixels(seed)).save(folder / f"{i}.png")
    (base / "suite.toml").write_text(SUITE)
    (base / "toy.py").write_text(TOY)


def run(base: Path, out: Path, *more: object) -> Seen:
    """Score the images with the toy detector."""
    return command(
        "run", "-q", "-d", f"{base}/toy.py:Toy", "--suite", base / "suite.toml",
        "--data", base / "images", "--out", out, *more,
    )[0]  # fmt: skip


def finished(base: Path) -> None:
    """Write data, and a run of it at ``base/run``."""
    make(base)
    seen = run(base, base / "run")
    assert seen.code == 0, seen


def board_of(folder: Path) -> bytes:
    """The table that a run left."""
    return (folder / "leaderboard.csv").read_bytes()


def copied(base: Path, place: Path) -> Path:
    """A copy of the finished run, to be damaged."""
    return Path(shutil.copytree(base / "run", place / "run"))


def held(seen: Seen, folder: Path, expected: bytes) -> Seen:
    """Hold the table of a run that went on against that of one that nothing happened to."""
    if seen.code != 0:
        return seen
    if not (folder / "leaderboard.csv").is_file():
        return Seen(seen.code, seen.said, lost="no table")
    if board_of(folder) != expected:
        return Seen(seen.code, seen.said, wrong="another table than that of an undisturbed run")
    return seen
