"""The card beside a weights file whose network needs other files too: it holds, and so must they."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from detectors.card import DetectorCard, WeightsRef, card_beside, read_card
from detectors.errors import WeightsError
from detectors.publication.method import Method
from detectors.weights import file_sha256

if TYPE_CHECKING:
    from detectors.adapters.base import LoadOptions


def stated_card(
    method: Method, file: Path, part: str, options: LoadOptions, backbone_sha256: str
) -> DetectorCard | None:
    """Read the card beside a weights file, and hold it against the files and what was said.

    Args:
        method: The method that the file is of.
        file: The weights file.
        part: Which of several sets of weights is meant; empty where nothing was said.
        options: What was said beside the name.
        backbone_sha256: Hash of the backbone's file; empty where there is none.

    Returns:
        The card with the hashes of both files; ``None`` where there is none beside the file.

    Raises:
        WeightsError: If it is the card of other files, or contradicts what was said.
    """
    path = card_beside(file)
    if not path.is_file():
        return None
    card = read_card(path)
    weights = card.weights or WeightsRef()
    said = (
        ("--fake-logit", options.fake_logit, card.fake_logit),
        ("--input", options.input, card.input),
        ("the part behind ::", part or None, weights.part or part),
    )
    for flag, value, theirs in said:
        if value is not None and value != theirs:
            raise WeightsError(
                f"{flag} contradicts the card {path}: leave it out, or mend the card"
            )
    if card.output == "probability" or card.fake_outputs:
        raise WeightsError(
            f"{path} says that the head gives probabilities or more than two classes: of {method.name} "
            "that is not so; give fake_logit alone"
        )
    hashes = {"sha256": file_sha256(file), "backbone_sha256": backbone_sha256}
    for name, digest in hashes.items():
        if getattr(weights, name) not in ("", digest):
            which = file.name if name == "sha256" else "that backbone"
            raise WeightsError(
                f"{path} is the card of another file than {which}: its {name} differs"
            )
    update = {**hashes, "part": part or weights.part}
    return card.model_copy(update={"weights": weights.model_copy(update=update)})
