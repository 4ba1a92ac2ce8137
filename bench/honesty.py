"""From conditions and stored scores to the honesty checks of a board; never touches a detector."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from leaderboards.robustness import AttackFacts, AttackScores, Check, check_attacks

if TYPE_CHECKING:
    from bench.condition import Condition


def attack_facts(condition: Condition) -> AttackFacts | None:
    """What boards compare of an attack condition; None for any other."""
    attack = condition.attack
    if attack is None:
        return None
    at = len(condition.before)
    spelled = [step.spell(resolved=True) for step in condition.steps]
    family = re.sub(r"\beps=[^,)]+", "eps=*", spelled[at])
    chain = [*spelled[:at], "*", *spelled[at + 1 :]]
    threat = attack.threat
    return AttackFacts(
        name=condition.steps[at].name,
        family="+".join([*spelled[:at], _short(condition, family), *spelled[at + 1 :]]),
        ladder="+".join([*spelled[:at], re.sub(r"\bsteps=\d+", "steps=*", family)]),
        chain="+".join(chain),
        norm=threat.norm,
        eps=threat.eps,
        goal=threat.goal,
        quantize=threat.quantize,
        knowledge=threat.knowledge,
        steps=int(getattr(attack, "steps", 0)),
        stops_early=attack.stops_early,
    )


def _short(condition: Condition, family: str) -> str:
    """The family as a reader knows it: only what was not left at its default."""
    step = condition.steps[len(condition.before)]
    short = re.sub(r"\beps=[^,)]+", "eps=*", step.spell())
    return short if short else family


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
