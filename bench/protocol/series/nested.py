"""Series over eps with one budget inside the next: what fools at 1/255 fools at 8/255.

A search at a larger budget may miss what a smaller one hits. Where budgets are nested, each picture is the
worst of its own budget and of all smaller ones, so that curves over eps cannot rise again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.protocol.attack_facts import attack_facts
from bench.protocol.surrogates import each_surrogate

if TYPE_CHECKING:
    from bench.protocol.condition import Condition


def written_out(conditions: Sequence[Condition], names: Sequence[str]) -> list[Condition]:
    """Write out what a run makes of its suite's conditions: every surrogate, and budgets that nest.

    Args:
        conditions: Conditions of the suite, in board order.
        names: Labels of the detectors of the run.
    """
    return nested(each_surrogate(conditions, names))


def nested(conditions: Sequence[Condition]) -> list[Condition]:
    """Tell every condition which smaller budgets of its own attack are among the others.

    Examples:
        >>> from bench.protocol.condition import parse
        >>> series = [parse(f"pgd(eps={k}/255)") for k in (8, 1, 2)]
        >>> [[str(c) for c in condition.smaller] for condition in nested(series)]
        [['pgd(eps=1/255)', 'pgd(eps=2/255)'], [], ['pgd(eps=1/255)']]
        >>> nested([parse("pgd(eps=1/255,nested=false)"), parse("pgd(eps=2/255,nested=false)")])[1].smaller
        ()
    """
    series: dict[str, list[tuple[float, Condition]]] = {}
    for condition in conditions:
        facts = attack_facts(condition)
        if facts is not None and condition.attack is not None and condition.attack.nests:
            series.setdefault(facts.family, []).append((facts.eps, condition))
    smaller: dict[str, tuple[Condition, ...]] = {}
    for members in series.values():
        ascending = [condition for _, condition in sorted(members, key=lambda member: member[0])]
        smaller |= {str(c): tuple(ascending[:place]) for place, c in enumerate(ascending)}
    return [
        dataclasses.replace(condition, smaller=smaller.get(str(condition), ()))
        for condition in conditions
    ]
