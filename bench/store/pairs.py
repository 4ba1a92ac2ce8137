"""Which clean and attacked pictures were kept of a run, so that a report can show them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from bench.errors import BenchError
from bench.support.files import write_text
from bench.support.toml import first_fault
from bench.support.user_file import read_text, why

PAIRS_NAME: Final = "pairs.json"
PAIRS_FOLDER: Final = "adversarial"  # where a report looks inside a run's folder


class AttackedPair(BaseModel):
    """One image before and after an attack, as files beside the list.

    Attributes:
        detector: Name of the detector that was attacked.
        identity: Digest of all that decides its logits.
        condition: The attack, as spelled.
        sample_id: The image's id in the data set.
        clean: Path of the clean picture, relative to the list.
        adversarial: Path of the attacked picture.
        difference: Path of the change around mid-grey, stretched.
        largest: Largest change of a channel, in levels of 0 to 255.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    detector: str
    identity: str
    condition: str
    sample_id: str
    clean: str
    adversarial: str
    difference: str
    largest: int


class PairList(BaseModel):
    """The pictures kept of one run.

    Attributes:
        manifest_digest: Digest of the images that were scored.
        pairs: One an image, detector and attack.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    manifest_digest: str
    pairs: tuple[AttackedPair, ...]


def write_pairs(folder: Path, pairs: PairList) -> None:
    """Write the list beside its pictures.

    Raises:
        OutputError: The folder cannot be written.
    """
    text = json.dumps(pairs.model_dump(), indent=2, ensure_ascii=False)
    write_text(folder / PAIRS_NAME, text + "\n")


def read_pairs(folder: Path) -> PairList:
    """Read the list of a folder.

    Raises:
        BenchError: There is none, it is damaged, or it names a file outside its folder.
    """
    path = folder / PAIRS_NAME
    try:
        pairs = PairList.model_validate_json(read_text(path))
    except FileNotFoundError:
        raise BenchError(
            f"{folder} holds no {PAIRS_NAME}: give a folder that --save-adversarial has written"
        ) from None
    except OSError as error:
        raise BenchError(f"{path}: {why(error)}") from error
    except ValidationError as error:
        key, reason = first_fault(error)
        raise BenchError(f"{path} is damaged ({key}: {reason}): write it again") from error
    root = folder.resolve()
    for pair in pairs.pairs:
        for name in (pair.clean, pair.adversarial, pair.difference):
            if not (root / name).resolve().is_relative_to(root):
                raise BenchError(
                    f"{path} names {name}, which lies outside its folder: write it again"
                )
    return pairs
