"""What the honesty checks of attacks mean for a board: which columns to mark, where to look instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from leaderboards.tables.attack_checks import Check
from leaderboards.tables.attacks import AttackFacts


def failed_checks(checks: Iterable[Check]) -> dict[tuple[str, str], str]:
    """Map (detector, condition) to the checks it fails, in words; those that only inform do not count."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for check in checks:
        if check.passed is False:
            key = check.detector, check.condition
            reasons.setdefault(key, []).append(f"{check.name}: {check.detail}")
    return {key: "; ".join(details) for key, details in reasons.items()}


def black_box_hint(facts: AttackFacts | None, attacks: Mapping[str, AttackFacts]) -> str:
    """Name a condition that still tells something where there is no gradient.

    Args:
        facts: The attack that found no gradient.
        attacks: Condition, as spelled, to its attack, for all attacks of the run.

    Returns:
        The end of a sentence, with its semicolon; empty where there is no attack.
    """
    if facts is None:
        return ""
    for spelled, other in attacks.items():
        if other.knowledge == "black-box" and other.eps == facts.eps and other.norm == facts.norm:
            return f"; {spelled} needs none, see there"
    return f"; square(eps={facts.eps:.4g}) needs none, run it"
