"""Whether a card that somebody's own code made can stand on a board."""

from __future__ import annotations

import json

from pydantic import ValidationError

from detectors.card import DetectorCard
from detectors.errors import DetectorError


def check_card(card: object, source: str) -> DetectorCard:
    """Refuse what is no card, or what no board could be written with.

    Args:
        card: What a detector has as its card.
        source: Names the detector in messages.

    Returns:
        The card itself.

    Raises:
        DetectorError: Says which fact is at fault.
    """
    if not isinstance(card, DetectorCard):
        raise DetectorError(
            f"{source} is not a detector: its `card` is {type(card).__name__}, set it to a DetectorCard"
        )
    try:
        facts = DetectorCard.model_dump(card, mode="json", warnings=False)
        DetectorCard.model_validate(facts)
        json.dumps(facts, ensure_ascii=False, allow_nan=False).encode()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise DetectorError(f"the card of {source}: {where}: {first['msg']}") from error
    except Exception as error:  # a card that was put together by hand may hold anything
        text = " ".join(str(error).split())[:200]
        raise DetectorError(f"the card of {source} cannot be written down ({text})") from error
    return card
