"""Which of a checkpoint's tensors are the weights: under any wrappers, and never one of two by guess."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from detectors.errors import WeightsError
from detectors.weights.leaf import Leaf, Tree

# Where published checkpoints keep weights, in the order they are looked for when a file holds several sets.
CONTAINERS = ("state_dict", "model_state_dict", "model", "net", "netC")
# Wrappers' prefixes, in any order and number.
WRAPPERS = (
    "module.",
    "_orig_mod.",
    "model.",
    "net.",
    "network.",
    "detector.",
    "_model.",
    "backbone.",
)

# Wrappers around modules inside a network, wherever they stand in a key: compiled, sharded, recomputed.
_INNER_WRAPPERS = frozenset(
    {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module"}
)

_SEPARATOR = "::"
# `exp_avg` is a moment of Adam's, not an average of weights.
_AVERAGED = re.compile(
    r"(?:^|[._])ema|ema(?:$|[._])|(?:^|[._])(?:swa|averaged?|avg_model|model_avg|shadow|polyak)(?:$|[._])",
    re.IGNORECASE,
)
# What a training keeps beside the network in one state dict: losses, metrics, counters.
_BESIDE = re.compile(
    r"(?:\w+_)?(?:criterion|loss|loss_fn|metrics?|acc|auc|auroc)\b|n_averaged$", re.IGNORECASE
)
_OPTIMIZER = re.compile(r"optim|sched|scaler|rng", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """One set of tensors of a checkpoint.

    Attributes:
        name: Where it stands: the mappings and prefixes above it, joined by dots; "" for the top.
        leaves: Its tensors by key, without what stands above them.
    """

    name: str
    leaves: Mapping[str, Leaf]


def split_part(weights: Path) -> tuple[Path, str]:
    """Split ``FILE::PART`` as a user names one of several sets of weights; a file's own name goes first.

    Example:
        >>> split_part(Path("both.pth::state_dict_ema"))
        (PosixPath('both.pth'), 'state_dict_ema')
    """
    if _SEPARATOR not in weights.name or weights.is_file():
        return weights, ""
    file, _, part = weights.name.partition(_SEPARATOR)
    return weights.with_name(file), part


def choose(
    tree: Tree,
    fits: Callable[[Part], bool],
    *,
    size: int,
    part: str,
    path: Path,
) -> Part | None:
    """Choose the one set of tensors that fits a network.

    Args:
        tree: What the file holds.
        fits: Whether the keys of a set are the network's.
        size: How many values the network has.
        part: The set that the user named, or anything above it; "" for none.
        path: The file, for messages.

    Returns:
        The set; ``None`` where none fits.

    Raises:
        WeightsError: If several different ones fit, or averaged weights stand beside.
    """
    fitting = [candidate for candidate in candidates(tree) if fits(candidate)]
    if part:
        named = _named(fitting, part)
        if fitting and not named:
            raise WeightsError(
                f"{path} has no weights for this network under {part!r}: there is "
                f"{_names(c.name for c in fitting)}"
            )
        fitting = named
    fitting = distinct(fitting)
    if len(fitting) > 1:
        raise ask(path, [candidate.name for candidate in fitting])
    if not fitting:
        return None
    chosen = fitting[0]
    averaged = "" if part else _averaged_beside(tree, chosen, size)
    if averaged:
        raise ask(path, [chosen.name, averaged])
    return chosen


def only(tree: Tree, *, part: str, path: Path) -> Part:
    """Take the one set of weights of a file, whatever network they are of.

    Raises:
        WeightsError: If there is none, or raw and averaged weights stand beside each other.
    """
    sets = weight_sets(tree)
    if part:
        sets = _named(sets, part)
    if not sets:
        names = _names([*tree][:8])
        where = f"under {part!r}" if part else f"(there is {names}; looked under {CONTAINERS})"
        raise WeightsError(f"{path} holds no state dict {where}")
    first = sets[0]
    twins = distinct([s for s in sets if s.leaves.keys() == first.leaves.keys()])
    if len(twins) > 1:
        raise ask(path, [twin.name for twin in twins])
    return first


def weight_sets(tree: Tree) -> list[Part]:
    """List every set of weights of a file without its wrappers, the one that is looked for first in front."""
    nodes = [node for node in _nodes(tree) if not _OPTIMIZER.search(node.name)]
    sets = [unwrapped(half) for node in nodes for half in _halves(node)]
    return sorted(sets, key=lambda part: _rank(part.name))


def training_state(tree: Tree) -> list[Part]:
    """List what a training keeps in tensors beside the weights: an optimizer's moments, random states."""
    return [node for node in _nodes(tree) if _OPTIMIZER.search(node.name)]


def is_averaged(name: str) -> bool:
    """Tell whether a set of weights is called an average of others, such as ``model_ema``.

    Example:
        >>> is_averaged("state_dict_ema"), is_averaged("optimizer.exp_avg")
        (True, False)
    """
    return _AVERAGED.search(name) is not None


def _named(parts: Sequence[Part], name: str) -> list[Part]:
    """The parts of this name, or where there is none those below it."""
    exact = [part for part in parts if part.name == name]
    return exact or [part for part in parts if part.name.startswith(f"{name}.")]


def ask(path: Path, names: Sequence[str]) -> WeightsError:
    """Word the question which of several sets of weights is meant, raw ones first."""
    names = sorted(_short(names), key=lambda name: _AVERAGED.search(name) is not None)
    example = next((name for name in names if _AVERAGED.search(name)), names[-1])
    return WeightsError(
        f"{path} holds {len(names)} different sets of weights, {_names(names)}: say which, as in "
        f"{path.name}{_SEPARATOR}{example}, or in its card as weights.part"
    )


def _short(names: Sequence[str]) -> list[str]:
    """Leave out what wrappers add to a name, where the rest still names one set alone."""
    shortened = []
    for name in names:
        short = name
        while "." in short and short.rpartition(".")[2] in {"module", "_orig_mod"}:
            short = short.rpartition(".")[0]
        alone = sum(other == short or other.startswith(f"{short}.") for other in names) == 1
        shortened.append(short if alone else name)
    return shortened


def unwrapped(part: Part) -> Part:
    """Strip wrappers' prefixes that every key carries."""
    name, leaves = part.name, part.leaves
    while prefix := next((w for w in WRAPPERS if all(key.startswith(w) for key in leaves)), ""):
        leaves = {key.removeprefix(prefix): leaf for key, leaf in leaves.items()}
        name = _join(name, prefix)
    return Part(name, leaves)


def _names(names: Iterable[str]) -> str:
    return " and ".join(repr(name or "the top of the file") for name in names) or "nothing"


def _join(*parts: str) -> str:
    return ".".join(stripped for part in parts if (stripped := part.strip(".")))


def _rank(name: str) -> int:
    top = name.split(".", maxsplit=1)[0]
    return CONTAINERS.index(top) if top in CONTAINERS else -1 if not name else len(CONTAINERS)


def _nodes(tree: Tree, name: str = "") -> Iterator[Part]:
    """Every mapping that holds tensors itself, from the top down."""
    leaves = {key: value for key, value in tree.items() if isinstance(value, Leaf)}
    if leaves:
        yield Part(name, leaves)
    for key, value in tree.items():
        if not isinstance(value, Leaf):
            yield from _nodes(value, _join(name, key))


def _halves(node: Part) -> list[Part]:
    """Split a mapping whose first prefixes lead to the same keys, such as ``model.`` and ``ema.``."""
    groups: dict[str, dict[str, Leaf]] = defaultdict(dict)
    for key, leaf in node.leaves.items():
        prefix, _, rest = key.partition(".")
        if rest:
            groups[prefix][rest] = leaf
    twins = [
        Part(_join(node.name, prefix), leaves)
        for prefix, leaves in groups.items()
        if sum(other.keys() == leaves.keys() for other in groups.values()) > 1
    ]
    held = sum(len(twin.leaves) for twin in twins)
    return twins if held == len(node.leaves) else [node]


def candidates(tree: Tree) -> Iterator[Part]:
    """Every set of tensors that share a mapping and a prefix, if nothing of a network stands beside it."""
    nodes = [node for each in _nodes(tree) for node in (each, *_without_inner_wrappers(each))]
    for node in nodes:
        groups: dict[str, dict[str, Leaf]] = defaultdict(dict)
        for key, leaf in node.leaves.items():
            steps = key.split(".")
            for depth in range(len(steps)):
                prefix = "".join(f"{step}." for step in steps[:depth])
                groups[prefix][key.removeprefix(prefix)] = leaf
        key_sets = {prefix: frozenset(leaves) for prefix, leaves in groups.items()}
        for prefix, leaves in groups.items():
            twins = tuple(p for p, keys in key_sets.items() if keys == key_sets[prefix])
            others = (key for key in node.leaves if not key.startswith(twins))
            if all(_BESIDE.match(key) or _AVERAGED.search(key) for key in others):
                yield Part(_join(node.name, prefix), leaves)


def _without_inner_wrappers(node: Part) -> list[Part]:
    """The same tensors without the names of wrappers inside the network; none where there are no such."""
    stripped = {
        ".".join(step for step in key.split(".") if step not in _INNER_WRAPPERS): leaf
        for key, leaf in node.leaves.items()
    }
    is_other = stripped.keys() != node.leaves.keys() and len(stripped) == len(node.leaves)
    return [Part(node.name, stripped)] if is_other else []


def distinct(parts: Sequence[Part]) -> list[Part]:
    """Keep the first of all parts that hold the same values."""
    distinct: list[Part] = []
    for part in parts:
        if not any(_same(part, other) for other in distinct):
            distinct.append(part)
    return distinct


def _same(one: Part, other: Part) -> bool:
    # Keys may differ by a prefix that a key map renames: then it is the same tensors.
    if {id(leaf) for leaf in one.leaves.values()} == {id(leaf) for leaf in other.leaves.values()}:
        return True
    if one.leaves.keys() != other.leaves.keys():
        return False
    return all(_equal(leaf, other.leaves[key]) for key, leaf in one.leaves.items())


def _equal(one: Leaf, other: Leaf) -> bool:
    if one.shape != other.shape:
        return False
    try:
        return bool(torch.equal(one.read(), other.read()))
    except (RuntimeError, WeightsError):  # no plain values: they are refused when loaded
        return False


def _averaged_beside(tree: Tree, chosen: Part, size: int) -> str:
    """Name averaged weights, in whatever form, that stand beside the chosen ones; "" for none."""
    taken = {id(leaf) for leaf in chosen.leaves.values()}
    sizes: dict[str, int] = defaultdict(int)
    for node in _nodes(tree):
        if _OPTIMIZER.search(node.name):
            continue
        for key, leaf in node.leaves.items():
            match = _AVERAGED.search(f"{node.name}.{key}")
            if match and id(leaf) not in taken:
                sizes[_join(f"{node.name}.{key}"[: match.end()])] += leaf.size
    # A counter or a decay is no set of weights.
    return next((name for name, values in sizes.items() if 2 * values >= size), "")
