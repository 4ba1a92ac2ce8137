"""Which detectors' gradients a condition takes for another: one by its name, each, or all others together."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.protocol.condition import Condition

EACH: Final = "each"
OTHERS: Final = "others"


def each_surrogate(conditions: Sequence[Condition], names: Sequence[str]) -> list[Condition]:
    """Name the surrogates of every condition, and write ``surrogate=each`` out, one condition a detector.

    Args:
        conditions: Conditions in board order.
        names: Labels of the detectors of the run.

    Raises:
        BenchError: ``surrogate=others``, and there is no other detector.
    """
    expanded: list[Condition] = []
    for condition in conditions:
        surrogate = getattr(condition.attack, "surrogate", None)
        if surrogate is None:
            expanded.append(condition)
        elif surrogate == EACH:
            expanded += [_from(condition, name) for name in names]
        elif surrogate == OTHERS:
            if len(names) < 2:
                raise BenchError(
                    f"condition '{condition}': {OTHERS} are the other detectors of the run, and it has "
                    "one: give more with --detector, or name a surrogate"
                )
            expanded.append(dataclasses.replace(condition, surrogates=tuple(names)))
        else:
            expanded.append(dataclasses.replace(condition, surrogates=(surrogate,)))
    return list({str(condition): condition for condition in expanded}.values())


def surrogates_of(condition: Condition, label: str) -> tuple[str, ...]:
    """Name the detectors whose gradient a condition takes where ``label`` is the target.

    Returns:
        () where the target's own gradient is taken. Among several, the target is left out.
    """
    if getattr(condition.attack, "surrogate", None) != OTHERS:
        return condition.surrogates
    return tuple(name for name in condition.surrogates if name != label)


def _from(condition: Condition, name: str) -> Condition:
    steps = [
        dataclasses.replace(step, plugin=_on(step.plugin, name)) if step.is_attack else step
        for step in condition.steps
    ]
    return dataclasses.replace(condition, steps=tuple(steps), surrogates=(name,))


def _on(attack: Any, name: str) -> Any:
    return dataclasses.replace(typing.cast(Any, attack), surrogate=name)
