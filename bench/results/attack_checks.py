"""From conditions and stored scores to the honesty checks of a board; never touches a detector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from leaderboards.tables.attacks import AttackFacts, AttackScores, Check, check_attacks

if TYPE_CHECKING:
    pass


def check_columns(
    labels: NDArray[np.int64],
    columns: Sequence[AttackScores],
    threshold: Mapping[str, float],
) -> tuple[list[Check], dict[tuple[str, str], str]]:
    """The checks, and why (detector, condition) cannot be believed where one failed."""
    checks = check_attacks(labels, columns, threshold)
    reasons: dict[tuple[str, str], list[str]] = {}
    for check in checks:
        if check.passed is False:
            reasons.setdefault((check.detector, check.condition), []).append(
                f"{check.name}: {check.detail}"
            )
    return checks, {key: "; ".join(told) for key, told in reasons.items()}


def black_box_hint(facts: AttackFacts | None, conditions: Mapping[str, AttackFacts]) -> str:
    """Which condition still tells something where there is no gradient."""
    if facts is None:
        return ""
    for spelled, other in conditions.items():
        if other.knowledge == "black-box" and other.eps == facts.eps and other.norm == facts.norm:
            return f"; {spelled} needs none, see there"
    return f"; square(eps={facts.eps:.4g}) needs none, run it"
