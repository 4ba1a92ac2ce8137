"""Conditions as text and as objects: ``jpeg(quality=75)``, ``pgd(eps=8/255)+jpeg(quality=75)``.

A condition is a chain of steps read left to right. Corruptions before the attack act on the source
image, before the detector's own resize; corruptions after it act on the detector's canvas. ``clean``
is the empty chain. One condition has one canonical spelling, so that equal conditions are equal
cells.

A chain that begins with ``only(fakes)`` or ``only(reals)`` changes the images of one class; those of the
other are left as under ``clean``.

A protocol may set a chain before every condition, for both classes alike, so that no format, size or
compression is left that only one class has. Conditions are then spelled as they are without it, and
``raw`` names the images as they lie.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench import registry
from bench.errors import BenchError, nearest
from bench.protocol.call import CallSyntaxError, parameters_of, parse_call, split_chain
from bench.support.interruption import is_ctrl_c
from detectors.errors import described

if TYPE_CHECKING:
    from attacks.base import Attack
    from attacks.smoothing import Smoothing
    from corruptions.base import Corruption

CLEAN = "clean"
RAW = "raw"
ONLY = "only"
LABEL_OF_CLASS = {"reals": 0, "fakes": 1}


@dataclass(frozen=True, slots=True)
class Step:
    """One link of the chain: a name and the plug-in built with its parameters."""

    name: str
    plugin: Corruption | Attack | Smoothing

    @property
    def is_attack(self) -> bool:
        """True for an attack, False for a corruption or a certificate."""
        return hasattr(self.plugin, "threat")

    @property
    def is_certificate(self) -> bool:
        """True for a certificate, which neither moves an image nor corrupts it for good."""
        return hasattr(self.plugin, "votes")

    @property
    def is_corruption(self) -> bool:
        """True for a corruption."""
        return not (self.is_attack or self.is_certificate)

    def spell(self, *, resolved: bool = False) -> str:
        """Write the step as text; ``resolved`` writes every parameter, defaults too."""
        shown = [
            f"{field.name}={spell_value(value)}"
            for index, field in enumerate(dataclasses.fields(typing.cast(Any, self.plugin)))
            if (value := getattr(self.plugin, field.name)) is not None
            and (resolved or index == 0 or value != field.default)
        ]
        return f"{self.name}({','.join(shown)})" if shown else self.name


@dataclass(frozen=True, slots=True)
class Condition:
    """A chain of steps with at most one attack, or with a certificate at its end.

    Attributes:
        steps: The chain as it is spelled.
        equaliser: Corruptions that the protocol sets before it, for every image of both classes.
        is_raw: Whether it is the images as they lie, beside conditions that are equalised.
        only: The one class that its steps change, ``fakes`` or ``reals``; "" for both.
        smaller: The run's same attack at smaller budgets, the smallest first, whose worst pictures are kept.
        surrogates: Labels of the run's detectors, or the one name, whose gradients are taken for a target.
    """

    steps: tuple[Step, ...] = ()
    equaliser: tuple[Step, ...] = ()
    is_raw: bool = False
    only: str = ""
    smaller: tuple[Condition, ...] = ()
    surrogates: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.is_raw:
            return RAW
        return "+".join([*self._class(), *(step.spell() for step in self.steps)]) or CLEAN

    @property
    def chain(self) -> tuple[Step, ...]:
        """Every step that an image goes through, the equaliser's first."""
        return (*self.equaliser, *self.steps)

    @property
    def resolved(self) -> str:
        """The whole chain with every parameter written out; what a fingerprint covers."""
        chain = self._spelled(self.steps) or CLEAN
        return f"{chain} and {', '.join(map(str, self.smaller))}" if self.smaller else chain

    def changes(self, label: int) -> bool:
        """Say whether its steps change the images of a class: 1 = AI-generated, 0 = real."""
        return not self.only or LABEL_OF_CLASS[self.only] == label

    def _class(self) -> list[str]:
        return [f"{ONLY}({self.only})"] if self.only else []

    def _spelled(self, steps: Sequence[Step]) -> str:
        """Spell some of its steps in full, behind the equaliser's and the class that they change."""
        first, then = (
            [step.spell(resolved=True) for step in part] for part in (self.equaliser, steps)
        )
        return "+".join([*first, *self._class(), *then])

    @property
    def attack(self) -> Attack | None:
        """The chain's attack, if it has one."""
        return next((typing.cast("Attack", s.plugin) for s in self.steps if s.is_attack), None)

    @property
    def certificate(self) -> Smoothing | None:
        """The chain's certificate, if it has one."""
        return next(
            (typing.cast("Smoothing", s.plugin) for s in self.steps if s.is_certificate), None
        )

    @property
    def climbs(self) -> bool:
        """Whether an attack climbs a gradient within a budget, so that its pictures alone are its claim.

        An attack that looks for the smallest change is none: it claims distances that it finds on its way.
        """
        attack = self.attack
        return attack is not None and attack.needs_gradient and not attack.finds_distance

    @property
    def asks_again(self) -> bool:
        """Whether the detector is asked about other images first: by an attack or a certificate."""
        return self.attack is not None or self.certificate is not None

    @property
    def draws(self) -> bool:
        """Whether any step draws random numbers, so that the seed can change a score."""
        return any(getattr(step.plugin, "draws", True) for step in self.chain)

    @property
    def corruptions(self) -> tuple[Corruption, ...]:
        """The chain's corruptions, those before the attack first."""
        return tuple(typing.cast("Corruption", s.plugin) for s in self.steps if s.is_corruption)

    @property
    def before(self) -> tuple[Step, ...]:
        """Corruptions of the source image, the equaliser's first."""
        return (*self.equaliser, *self.steps[: self._split()])

    @property
    def source_chain(self) -> str:
        """Corruptions of the source image, spelled in full; conditions with equal ones share the images."""
        return self._spelled(self.steps[: self._split()])

    @property
    def after(self) -> tuple[Step, ...]:
        """Corruptions of the attacked canvas."""
        return self.steps[self._split() + 1 :]

    def _split(self) -> int:
        return next((i for i, s in enumerate(self.steps) if not s.is_corruption), len(self.steps))


def parse(text: str) -> Condition:
    """Read a condition from text.

    Raises:
        BenchError: On bad syntax, an unknown name or parameter (suggesting the nearest), a value that
            does not fit, or a chain that makes no sense.

    Examples:
        >>> str(parse("pgd(eps=0.03137254901960784) + jpeg(quality=75)"))
        'pgd(eps=8/255)+jpeg(quality=75)'
        >>> parse("blur(sigma=1)+fgsm(eps=2/255)").attack.name
        'fgsm'
    """
    if text.strip() == CLEAN:
        return Condition()
    if text.strip() == RAW:
        raise BenchError(
            "condition 'raw' is there by itself beside conditions that are equalised: leave it out"
        )
    parts = list(split_chain(text))
    only = _parse_class(parts[0], text)
    steps = tuple(_parse_step(part, text) for part in parts[bool(only) :])
    if sum(step.is_attack for step in steps) > 1:
        raise BenchError(f"condition {text!r} has two attacks: a chain may hold one")
    condition = Condition(steps, only=only)
    if only and (condition.asks_again or not steps):
        raise BenchError(
            f"condition {text!r}: {ONLY}({only}) stands before corruptions, as in "
            f"{ONLY}({only})+jpeg(quality=75); an attack has goal=evade for fakes and goal=frame for reals"
        )
    if condition.certificate is not None and not all(s.is_corruption for s in steps[:-1]):
        raise BenchError(
            f"condition {text!r}: a certificate holds for the detector as it is and ends the chain; before "
            "it only corruptions may stand"
        )
    if getattr(condition.attack, "aware", False) and not condition.after:
        raise BenchError(
            f"condition {text!r}: aware=true, and no corruption follows: add one, as in "
            "pgd(aware=true)+jpeg(quality=75)"
        )
    for step in condition.after:
        if not typing.cast("Corruption", step.plugin).keeps_size:
            raise BenchError(
                f"condition {text!r}: {step.name} after an attack changes the canvas's size; "
                "put it before the attack, or bring it back to size"
            )
    return condition


def _parse_class(part: str, text: str) -> str:
    """Read ``only(fakes)`` or ``only(reals)``; "" where the part is another step."""
    try:
        call = parse_call(part)
    except CallSyntaxError:
        return ""  # said where steps are read
    if call.name != ONLY:
        return ""
    values = [argument.value for argument in call.arguments]
    if len(values) != 1 or call.keywords or values[0] not in LABEL_OF_CLASS:
        raise BenchError(f"condition {text!r}: write {ONLY}(fakes) or {ONLY}(reals)")
    return values[0]


def _parse_step(part: str, text: str) -> Step:
    try:
        call = parse_call(part)
    except CallSyntaxError as error:
        raise BenchError(f"condition {text!r}: {error}, steps joined by +") from error
    if call.name == ONLY:
        raise BenchError(f"condition {text!r}: {ONLY}(...) stands first in a chain, once")
    if call.name == CLEAN:
        raise BenchError(f"condition {text!r}: 'clean' is the empty chain and joins nothing")
    plugin = _plugin(call.name, text)
    parameters = parameters_of(call, plugin)
    try:
        return Step(call.name, plugin(**parameters))
    except (ValueError, TypeError) as error:
        raise BenchError(f"condition {text!r}: {error}") from error
    except BaseException as error:  # a plug-in's own code may raise anything
        if is_ctrl_c(error):
            raise
        raise BenchError(f"condition {text!r}: {call.name} fails ({described(error)})") from error


def _plugin(name: str, text: str) -> type[Any]:
    """Look up the corruption or attack called ``name``."""
    # In this order: listing attacks imports torch, which a chain of corruptions does without.
    listings = (
        registry.corruptions, registry.attacks, registry.launderings, registry.certificates,
    )  # fmt: skip
    for table in listings:
        plugin: type[Any] | None = table().get(name)
        if plugin is not None:
            return plugin
    if reason := registry.refused_attack(name):
        raise BenchError(f"condition {text!r}: {name} is not offered: {reason}")
    names = [name for table in listings for name in table()]
    raise BenchError(
        f"no corruption, attack or certificate called {name!r}: {nearest(name, names)}"
    )


def spell_value(value: Any) -> str:
    """Write a parameter's value as it stands in a condition: ``8/255``, ``true``, ``2``."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        levels = round(value * 255)
        if levels and value == levels / 255 and not float(value * 100).is_integer():
            return f"{levels}/255"
        return repr(int(value)) if value.is_integer() else repr(value)
    return str(value)
