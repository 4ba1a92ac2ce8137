"""What boards compare of an attack condition, and need to know of a certificate."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from leaderboards.tables.attacks import AttackFacts
from leaderboards.tables.further.certified import CertificateFacts

if TYPE_CHECKING:
    from bench.protocol.condition import Condition


def attack_facts(condition: Condition) -> AttackFacts | None:
    """Describe what boards compare of an attack condition; None for any other condition."""
    attack = condition.attack
    if attack is None:
        return None
    position = len(condition.before)
    spelled = [step.spell(resolved=True) for step in condition.chain]
    budget_series = re.sub(r"\beps=[^,)]+", "eps=*", spelled[position])
    chain = [*spelled[:position], "*", *spelled[position + 1 :]]
    threat = attack.threat
    return AttackFacts(
        name=condition.chain[position].name,
        family="+".join(
            [*spelled[:position], _short(condition, budget_series), *spelled[position + 1 :]]
        ),
        ladder="+".join([*spelled[:position], re.sub(r"\bsteps=\d+", "steps=*", budget_series)]),
        chain="+".join(chain),
        norm=threat.norm,
        eps=threat.eps,
        goal=threat.goal,
        quantize=threat.quantize,
        knowledge=threat.knowledge,
        steps=attack.steps,
        stops_early=attack.stops_early,
        iterative=attack.iterative,
        finds_distance=attack.finds_distance,
        smaller=tuple(other.attack.eps for other in condition.smaller if other.attack is not None),
    )


def certificate_facts(condition: Condition) -> CertificateFacts | None:
    """Describe what boards need to know of a certificate; None for any other condition."""
    given = condition.certificate
    if given is None:
        return None
    return CertificateFacts(sigma=given.sigma, n=given.n, n0=given.n0, alpha=given.alpha)


def _short(condition: Condition, budget_series: str) -> str:
    """Spell a budget series as a reader knows it: only what was not left at its default."""
    step = condition.chain[len(condition.before)]
    short = re.sub(r"\beps=[^,)]+", "eps=*", step.spell())
    return short or budget_series
