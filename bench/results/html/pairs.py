"""The report's adversarial images: clean picture, attacked picture, and their difference made visible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.errors import BenchError
from bench.results.figures.drawing import Shown
from bench.results.html.pictures import Verdict, thumbnail, truth, verdicts
from bench.store.pairs import PAIRS_FOLDER, PAIRS_NAME, AttackedPair, PairList, read_pairs
from leaderboards.tables.cells import CLEAN

_MOST: Final = 60  # pairs of one run


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One attacked image of the report.

    Attributes:
        detector: Name of the detector that was attacked.
        condition: Attack as spelled in the suite.
        name: The image's id in the data set.
        truth: "real" or "AI-generated".
        generator: Generator of a fake, source of a real.
        clean: Data URL of the clean picture.
        adversarial: Data URL of the attacked one.
        difference: Data URL of the change around mid-grey, stretched.
        largest: Largest change of a channel, in levels of 0 to 255.
        before: Verdict on the clean picture; None where it is not scored.
        after: Verdict on the attacked one; None where it is not scored.
    """

    detector: str
    condition: str
    name: str
    truth: str
    generator: str
    clean: str
    adversarial: str
    difference: str
    largest: int
    before: Verdict | None
    after: Verdict | None

    @property
    def amplified(self) -> str:
        """By how much the difference is stretched."""
        return f"{127 / self.largest:.0f} times" if self.largest else "not at all: nothing changed"


def kept_folders(
    runs: Sequence[tuple[Path, Shown]], folders: Sequence[Path]
) -> list[list[tuple[Path, PairList]]]:
    """Give each run the folders of attacked pictures that are its own.

    Args:
        runs: Folders of runs, read.
        folders: Folders that ``--save-adversarial`` has written, beside those inside the runs' own.

    Raises:
        BenchError: A folder holds no list of pictures, or belongs to none of the runs.
    """
    lists = [(folder, read_pairs(folder)) for folder in folders]
    mine = []
    for folder, shown in runs:
        own = folder / PAIRS_FOLDER
        beside = [(own, read_pairs(own))] if (own / PAIRS_NAME).is_file() else []
        mine.append([item for item in (*beside, *lists) if any(_of_run(shown, item[1]))])
    for folder, _ in lists:
        if not any(folder == other for of_one in mine for other, _ in of_one):
            raise BenchError(
                f"--adversarial {folder} belongs to none of the runs: its images, detectors or attacks are "
                "others"
            )
    return mine


def pairs(shown: Shown, folders: Sequence[tuple[Path, PairList]], *, budget: int) -> list[Pair]:
    """Encode the attacked pictures of a run, at most 60 of them, and no more than a budget allows.

    Args:
        shown: A run with its evidence.
        folders: Its folders of attacked pictures, with their lists.
        budget: Characters that they may take; 0 for none.

    Raises:
        BenchError: A picture that is listed cannot be read.
    """
    positions = {str(name): i for i, name in enumerate(shown.evidence.samples["sample_id"])}
    made: list[Pair] = []
    for folder, listed in folders:
        for pair in _of_run(shown, listed):
            if pair.sample_id not in positions or len(made) == _MOST:
                continue
            row = positions[pair.sample_id]
            one = _encoded(folder, pair, shown, row)
            budget -= len(one.clean) + len(one.adversarial) + len(one.difference)
            if budget < 0:
                return made
            made.append(one)
    return made


def _of_run(shown: Shown, listed: PairList) -> list[AttackedPair]:
    """Keep the pairs whose images, detector and attack are the run's."""
    spec = shown.run.spec
    if listed.manifest_digest != spec.manifest_digest:
        return []
    identities = {record.label: record.identity for record in spec.detectors}
    conditions = {record.spelled for record in spec.conditions}
    return [
        pair
        for pair in listed.pairs
        if identities.get(pair.detector) == pair.identity and pair.condition in conditions
    ]


def _encoded(folder: Path, pair: AttackedPair, shown: Shown, row: int) -> Pair:
    of_pair = {
        verdict.condition: verdict
        for verdict in verdicts(shown.evidence, row)
        if verdict.detector == pair.detector
    }
    sample = shown.evidence.samples.iloc[row]
    clean, adversarial, difference = (
        thumbnail(_pixels(folder / name))
        for name in (pair.clean, pair.adversarial, pair.difference)
    )
    return Pair(
        detector=pair.detector,
        condition=pair.condition,
        name=pair.sample_id,
        truth=truth(sample["label"]),
        generator=str(sample["generator"]),
        clean=clean,
        adversarial=adversarial,
        difference=difference,
        largest=pair.largest,
        before=of_pair.get(CLEAN),
        after=of_pair.get(pair.condition),
    )


def _pixels(path: Path) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise BenchError(f"{path} cannot be read: write the pictures again") from error
