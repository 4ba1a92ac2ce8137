"""Whose weights these are: a file's tensors held against a network's, by name and shape, strictly."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from detectors.weights.leaf import Leaf, Tree
from detectors.weights.load import renamed
from detectors.weights.parts import Part, candidates, distinct, weight_sets

Verdict = Literal["fits", "fits renamed", "another head", "other sizes", "near"]
# Shapes of a network's tensors by key, in its order.
Shapes: TypeAlias = Mapping[str, tuple[int, ...]]

_VERDICTS: tuple[Verdict, ...] = ("fits", "fits renamed", "another head", "other sizes", "near")
# A key map of more prefixes is no renaming but another network.
_MOST_RENAMES = 6
# Below this share of equal tensors two networks have nothing to do with each other.
_NEAR = 0.5
# Fewer tensors, as those of a linear layer alone, are in every network: only their exact sizes tell.
_TELLING = 4


@dataclass(frozen=True, slots=True)
class Match:
    """How one set of weights stands to one network.

    Attributes:
        verdict: ``fits`` as it is; ``fits renamed`` with ``key_map``; ``another head``, whose number of
            outputs is another; ``other sizes`` under the same names; ``near`` where most tensors agree.
        part: The set, as it is said behind ``FILE::``; "" for the top.
        key_map: Prefixes of the file's keys and what would replace them.
        share: Share of tensors with the same name and shape, in [0, 1].
        detail: What differs, in words; "" where nothing does.
    """

    verdict: Verdict
    part: str
    key_map: Mapping[str, str] = field(default_factory=dict)
    share: float = 1.0
    detail: str = ""


def matches(tree: Tree, network: Shapes) -> list[Match]:
    """List how the sets of a file stand to a network, the best first; sets that are far off are left out.

    Args:
        tree: What the file holds.
        network: Shapes of the network's tensors.
    """
    by_name = [part for part in candidates(tree) if part.leaves.keys() == network.keys()]
    listed = [_same_names(part, network) for part in distinct(by_name)]
    if len(network) < _TELLING:
        return [match for match in listed if match.verdict == "fits"]
    if not listed:
        listed = [m for part in weight_sets(tree) if (m := _other_names(part, network)) is not None]
    return sorted(listed, key=lambda match: (_VERDICTS.index(match.verdict), -match.share))


def _same_names(part: Part, network: Shapes) -> Match:
    wrong = {
        key: leaf.shape for key, leaf in part.leaves.items() if leaf.shape != tuple(network[key])
    }
    if not wrong:
        return Match("fits", part.name)
    share = 1 - len(wrong) / len(network)
    outputs = _outputs(wrong, network)
    if outputs is not None:
        key = next(iter(wrong))
        detail = f"its head ({key.rpartition('.')[0]}) has {outputs} outputs"
        return Match("another head", part.name, share=share, detail=detail)
    key, shape = next(iter(wrong.items()))
    detail = f"{len(wrong)} tensors of other sizes, {key} {shape} for {tuple(network[key])}"
    return Match("other sizes", part.name, share=share, detail=detail)


def _outputs(wrong: Shapes, network: Shapes) -> int | None:
    """The number of outputs of a head that is all that differs; None where more does."""
    modules = {key.rpartition(".")[0] for key in wrong}
    counts = {shape[0] if shape else 0 for shape in wrong.values()}
    rest_equal = all(shape[1:] == tuple(network[key])[1:] for key, shape in wrong.items())
    return counts.pop() if len(modules) == len(counts) == 1 and rest_equal else None


def _other_names(part: Part, network: Shapes) -> Match | None:
    key_map = renames(part.leaves, network)
    if key_map is not None:
        return Match("fits renamed", part.name, key_map)
    shapes = {key: leaf.shape for key, leaf in part.leaves.items()}
    same = sum(shapes.get(key) == tuple(shape) for key, shape in network.items())
    share = same / max(len(shapes), len(network), 1)
    if share < _NEAR:
        return None
    lacking = [key for key in network if key not in shapes]
    extra = [key for key in shapes if key not in network]
    words = [
        f"{len(keys)} {word} ({keys[0]}{', ...' if len(keys) > 1 else ''})"
        for keys, word in ((lacking, "missing"), (extra, "unexpected"))
        if keys
    ]
    return Match("near", part.name, share=share, detail=" and ".join(words) or "other sizes")


def renames(leaves: Mapping[str, Leaf], network: Shapes) -> dict[str, str] | None:
    """Find the prefixes to replace so that a set has a network's names and shapes; None where there are none.

    It is a proposal: several layers of one shape leave open which is which, and are paired by the ends of
    their names.

    Example:
        >>> leaf = Leaf((1, 8), lambda: None)
        >>> renames({"fc.weight": leaf}, {"head.weight": (1, 8)})
        {'fc.': 'head.'}
    """
    if len(leaves) != len(network):
        return None
    shapes = {key: leaf.shape for key, leaf in leaves.items()}
    wanted = {key: tuple(shape) for key, shape in network.items()}
    if sorted(shapes.values()) != sorted(wanted.values()):
        return None
    for prefix in _first_steps(wanted):
        if all(wanted.get(prefix + key) == shape for key, shape in shapes.items()):
            return {"": prefix}
    left = {key: shape for key, shape in shapes.items() if wanted.get(key) != shape}
    free = {key: shape for key, shape in wanted.items() if shapes.get(key) != shape}
    key_map: dict[str, str] = {}
    while left:
        step = _next_rename(left, free) if len(key_map) < _MOST_RENAMES else None
        if step is None:
            return None
        old, new = step
        key_map[old] = new
        for key in [key for key in left if key.startswith(old)]:
            del left[key], free[new + key.removeprefix(old)]
    agree = {renamed(key, key_map): shape for key, shape in shapes.items()} == wanted
    return key_map if agree else None


def _first_steps(keys: Iterable[str]) -> Iterator[str]:
    """Prefixes that all keys share, the longest first."""
    shared = None
    for key in keys:
        steps = key.split(".")[:-1]
        if shared is None:
            shared = steps
        count = next(
            (i for i, (a, b) in enumerate(zip(shared, steps, strict=False)) if a != b), None
        )
        shared = shared[: min(len(shared), len(steps)) if count is None else count]
    for depth in range(len(shared or []), 0, -1):
        yield "".join(f"{step}." for step in (shared or [])[:depth])


def _next_rename(left: Shapes, free: Shapes) -> tuple[str, str] | None:
    """A prefix of the first key and what to put for it, so that all keys under it have a free partner."""
    key, shape = next(iter(left.items()))
    steps = key.split(".")
    partners = [other for other, size in free.items() if size == shape]
    partners.sort(key=lambda other: -_common_end(steps, other.split(".")))
    for other in partners:
        common = _common_end(steps, other.split("."))
        if common == 0:
            continue
        # The shortest prefix first: it says most with one entry.
        for end in range(common, 0, -1):
            old = "".join(f"{step}." for step in steps[:-end])
            new = "".join(f"{step}." for step in other.split(".")[:-end])
            under = [k for k in left if k.startswith(old)]
            if old and all(free.get(new + k.removeprefix(old)) == left[k] for k in under):
                return old, new
    return None


def _common_end(one: list[str], other: list[str]) -> int:
    """How many steps two dotted names share at their ends, their first steps left out."""
    most = min(len(one), len(other)) - 1
    pairs = zip(reversed(one), reversed(other), strict=False)
    count = next((i for i, (a, b) in enumerate(pairs) if a != b), math.inf)
    return int(min(count, most))
