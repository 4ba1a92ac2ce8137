"""The conditions to attack for some units, smaller budgets first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.protocol.condition import Condition
    from bench.store.units import Unit


def rounds_of(units: Sequence[Unit], conditions: Mapping[str, Condition]) -> list[list[Condition]]:
    """Lay out what is attacked for the units of a sharing group, also at budgets that are stored already.

    Args:
        units: Units of one detector that share work.
        conditions: All conditions of the run, by canonical spelling.

    Returns:
        One round where a gradient is shared; else a round a condition, so that the pictures of one
        budget at a time are held. A smaller budget of a series comes before a larger one.
    """
    needed: dict[str, Condition] = {}
    for unit in units:
        condition = conditions[unit.condition]
        for member in (*condition.smaller, condition):
            needed[str(member)] = conditions.get(str(member), member)
    members = list(needed.values())
    attacks = [member.attack for member in members if member.attack is not None]
    if not attacks or any(attack.shares_gradient for attack in attacks):
        return [members]
    return [[member] for member in members]
