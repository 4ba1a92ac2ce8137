"""Whether a detector was trained on a slice, as far as its card and the names of the data tell."""

from __future__ import annotations

from dataclasses import dataclass

from leaderboards.tables.generator_names import is_among, is_same_domain, parse_name
from leaderboards.tables.slicing import NO_DOMAIN, POOLED, Slice


@dataclass(frozen=True, slots=True)
class SeenBy:
    """What a detector was trained on, as far as its card says.

    Attributes:
        generators: Names of generators in the training data, in any spelling. A name that says
            nothing, such as "unknown", leaves every other generator open: it is seen or "unknown".
        domains: Names of domains in the training data.
        known: False where the card does not say; every cell is then "unknown".
        strangers: Generators of the data set that nobody knows, in the data set's spelling: none of them
            is "unseen". See ``generator_names.strangers``.
    """

    generators: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()
    known: bool = True
    strangers: frozenset[str] = frozenset()


def seen_state(cut: Slice, seen: SeenBy) -> str:
    """Tell whether a detector was trained on a slice: "seen", "unseen", "mixed" or "unknown".

    Names are compared as ``generator_names`` does. Where a name says nothing, or nobody knows it, the slice
    is "unknown", and neither seen nor unseen. A cut by a free column is judged by its generators.
    """
    if not seen.known:
        return "unknown"
    if cut.column or cut.generator == POOLED == cut.domain:
        return _pooled_state(cut, seen)
    answers = []
    if cut.generator != POOLED:
        answers.append(_is_generator_seen(cut.generator, seen))
    if cut.domain != POOLED:
        answers.append(_is_domain_seen(cut.domain, seen))
    if any(answers):
        return "seen"
    return "unknown" if None in answers else "unseen"


def _pooled_state(cut: Slice, seen: SeenBy) -> str:
    answers = [_is_generator_seen(name, seen) for name in cut.generators]
    if answers and all(answers):
        return "seen"
    if any(answers) or any(_is_domain_seen(name, seen) for name in cut.domains):
        return "mixed"
    return "unknown" if None in answers else "unseen"


def _is_generator_seen(name: str, seen: SeenBy) -> bool | None:
    answer = is_among(name, seen.generators)
    return None if answer is False and name in seen.strangers else answer


def _is_domain_seen(domain: str, seen: SeenBy) -> bool | None:
    if domain == NO_DOMAIN or parse_name(domain) is None:
        return None
    return any(is_same_domain(domain, trained) for trained in seen.domains)
