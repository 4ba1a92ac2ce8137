"""The detectors that a weights file may be of: every registered network, by the shapes of its tensors."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from bench import registry
from detectors.network import Architecture
from detectors.weights.leaf import Tree
from detectors.weights.matching import Match, Shapes, matches

# Heads that a detector may have; a file with another number of outputs is not one of its.
OUTPUTS = (1, 2)
_MOST_NEAR = 3


@dataclass(frozen=True, slots=True)
class Candidate:
    """A detector that a file may be of.

    Attributes:
        detector: Its registered name.
        outputs: Outputs of the head that was compared.
        match: How the file stands to it.
        remark: What must be said besides, such as a backbone that the file leaves out.
    """

    detector: str
    outputs: int
    match: Match
    remark: str = ""


def candidates_of(tree: Tree) -> list[Candidate]:
    """Hold a file against every registered network, those that fit first, a few near ones last.

    Networks are built without memory for their numbers.
    """
    best: list[Candidate] = []
    for name, architecture in registry.detectors().items():
        if isinstance(architecture, Architecture):
            best += _best(name, architecture, tree)
    fitting = [each for each in best if each.match.verdict != "near"]
    near = sorted((c for c in best if c.match.verdict == "near"), key=lambda c: -c.match.share)
    order = ("fits", "fits renamed", "another head", "other sizes")
    fitting.sort(key=lambda each: order.index(each.match.verdict))
    return [*fitting, *near[: 0 if fitting else _MOST_NEAR]]


def _best(name: str, architecture: Architecture, tree: Tree) -> list[Candidate]:
    """The candidates of one network: all sets that fit, or the best of those that do not."""
    listed: list[Candidate] = []
    for outputs in OUTPUTS:
        shapes = _registered_shapes(name, outputs)
        if shapes is None:
            continue
        published = _published_shapes(architecture, shapes)
        for network, remark in ((shapes, ""), *published):
            listed += [Candidate(name, outputs, m, remark) for m in matches(tree, network)]
    for verdicts in (("fits",), ("fits renamed",)):
        fitting = [each for each in listed if each.match.verdict in verdicts]
        if fitting:
            return fitting
    return listed[:1]


@functools.cache
def _registered_shapes(name: str, outputs: int) -> Shapes | None:
    architecture = registry.detectors()[name]
    return shapes_of(architecture, outputs) if isinstance(architecture, Architecture) else None


def shapes_of(architecture: Architecture, outputs: int) -> Shapes | None:
    """Give the shapes of a network's tensors by key; ``None`` where it cannot be built for that head."""
    side = architecture.input.size
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                network = architecture.network(outputs, side)
        except Exception:  # a network may compute with its numbers while it is built
            try:
                network = architecture.network(outputs, side)
            except Exception:
                return None
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


def _published_shapes(architecture: Architecture, shapes: Shapes) -> list[tuple[Shapes, str]]:
    """The forms in which a method's own files are published, where these differ from its network."""
    publication: Any = getattr(architecture, "publication", None)
    if publication is None:
        return []
    backbone = getattr(publication, "backbone", None)
    forms: list[tuple[Shapes, str]] = []
    if backbone is not None:
        inside = f"{backbone.module}."
        shapes = {key: shape for key, shape in shapes.items() if not key.startswith(inside)}
        forms.append((shapes, f"pass --backbone FILE, weights of timm's {backbone.model}"))
    beside = getattr(publication, "beside", None)
    if beside is not None:
        inside = f"{beside.module}."
        shapes = {key: shape for key, shape in shapes.items() if not key.startswith(inside)}
        forms.append((shapes, f"put {' and '.join(beside.files.values())} beside it, as published"))
    key_map: Mapping[str, str] = getattr(publication, "key_map", None) or {}
    if key_map:
        published = _before(shapes, key_map)
        forms.append((published, forms[-1][1] if forms else ""))
    return forms


def _before(shapes: Shapes, key_map: Mapping[str, str]) -> Shapes:
    """Name a network's tensors as its published file does, of which the key map makes the network's."""
    before: dict[str, tuple[int, ...]] = {}
    for key, shape in shapes.items():
        new = max((n for n in key_map.values() if key.startswith(n)), key=len, default=None)
        old = next((o for o, n in key_map.items() if n == new), "")
        before[key if new is None else old + key.removeprefix(new)] = shape
    return before
