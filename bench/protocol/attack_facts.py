"""What boards compare of an attack condition."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from leaderboards.tables.attacks import AttackFacts

if TYPE_CHECKING:
    from bench.protocol.condition import Condition


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
        steps=attack.steps,
        stops_early=attack.stops_early,
    )


def _short(condition: Condition, family: str) -> str:
    """The family as a reader knows it: only what was not left at its default."""
    step = condition.steps[len(condition.before)]
    short = re.sub(r"\beps=[^,)]+", "eps=*", step.spell())
    return short if short else family
