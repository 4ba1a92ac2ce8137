"""``bench weights inspect``: what is in a file, whose weights it may hold, and how to use it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.inference.detector import architecture
from bench.weights.known import Candidate, candidates_of
from detectors.errors import DetectorError
from detectors.weights import file_sha256, split_part
from detectors.weights.leaf import Leaf
from detectors.weights.listing.contents import Contents, read_contents
from detectors.weights.listing.file_kind import file_kind, not_weights, regular_size
from detectors.weights.parts import Part, is_averaged, training_state, weight_sets

_DIRECTIONS = {1: "z|-z", 2: "z1-z0|z0-z1"}


@contextmanager
def user_errors() -> Iterator[None]:
    """Turn what is wrong with a file into an error of the user's, with its sentence.

    Raises:
        BenchError: In place of the detectors' own error.
    """
    try:
        yield
    except DetectorError as error:
        raise BenchError(str(error)) from error


def inspect_file(path: Path) -> dict[str, Any]:
    """Say what a file is and holds, as plain values for a listing or JSON.

    Returns:
        ``file``, ``format``, ``bytes``; for a file that is no form of weights ``advice``, else ``sha256``,
        ``sets`` (each with its tensors' keys, shapes and dtypes), ``not weights``, ``code``, ``fits``,
        ``nearly`` and ``advice``.

    Raises:
        BenchError: If it is no regular file, is empty or damaged.
    """
    path, _ = split_part(path)
    with user_errors():
        size, kind = regular_size(path), file_kind(path)
        facts: dict[str, Any] = {"file": str(path), "format": kind.name, "bytes": size}
        if kind.form == "other":
            return {**facts, "readable": False, "advice": str(not_weights(path, kind))}
        contents = read_contents(path)
        candidates = candidates_of(contents.tree)
        facts |= {"readable": True, "sha256": file_sha256(path)}
    sets = weight_sets(contents.tree)
    fits = [each for each in candidates if each.match.verdict == "fits"]
    return facts | {
        "sets": [_set_facts(part) for part in sets],
        "not weights": _remainder(contents),
        "code": _code(contents),
        "fits": [_fit(path, each, alone=len(sets) == 1) for each in fits],
        "nearly": [_nearly(each) for each in candidates if each not in fits],
        "advice": _advice(contents, sets, fits),
    }


def _set_facts(part: Part) -> dict[str, Any]:
    values = sum(leaf.size for leaf in part.leaves.values())
    return {
        "name": part.name,
        "averaged": is_averaged(part.name),
        "tensors": len(part.leaves),
        "values": values,
        "dtypes": dict(Counter(leaf.dtype for leaf in part.leaves.values())),
        "keys": {key: _tensor(leaf) for key, leaf in part.leaves.items()},
    }


def _tensor(leaf: Leaf) -> dict[str, Any]:
    return {"shape": list(leaf.shape), "dtype": leaf.dtype}


def _remainder(contents: Contents) -> dict[str, str]:
    """What is no weight: texts and numbers as they are, a training's tensors by their number."""
    state: dict[str, list[int]] = {}
    for part in training_state(contents.tree):
        top = part.name.partition(".")[0]
        count = state.setdefault(top, [0, 0])
        count[0] += len(part.leaves)
        count[1] += sum(leaf.size for leaf in part.leaves.values())
    words = {
        top: f"{n} tensors of a training, {values} values" for top, (n, values) in state.items()
    }
    return words | {
        name: text
        for name, text in contents.remainder.items()
        if name.partition(".")[0] not in words
    }


def _code(contents: Contents) -> dict[str, Any]:
    verdict = "none"
    if contents.foreign:
        verdict = "records of a training; none is run"
    if contents.unknown:
        verdict = "objects that only their own code could restore; none is run"
    if contents.acting:
        verdict = "HOSTILE: another program that loads the file would run this"
    return {"verdict": verdict, "names": list(contents.acting or contents.foreign)}


def _fit(path: Path, candidate: Candidate, *, alone: bool) -> dict[str, Any]:
    part = "" if alone else candidate.match.part
    file = f"{path}::{part}" if part else str(path)
    return {
        "detector": candidate.detector,
        "outputs": candidate.outputs,
        "weights": file,
        "fake_logit": _direction(candidate),
    } | ({"remark": candidate.remark} if candidate.remark else {})


def _direction(candidate: Candidate) -> str:
    """The direction that the detector's paper states, where it is of such a head; else all there are."""
    possible = _DIRECTIONS[candidate.outputs]
    stated = architecture(candidate.detector).fake_logit
    return stated if stated is not None and stated in possible.split("|") else possible


def _nearly(candidate: Candidate) -> dict[str, Any]:
    match = candidate.match
    facts: dict[str, Any] = {
        "detector": candidate.detector,
        "outputs": candidate.outputs,
        "verdict": match.verdict,
        "set": match.part,
    }
    if match.key_map:
        facts["renames"] = dict(match.key_map)
    return facts | {"detail": match.detail or candidate.remark, "share": round(match.share, 4)}


def _advice(contents: Contents, sets: list[Part], fits: list[Candidate]) -> str:
    """What to do next, in one sentence."""
    if contents.acting:
        return f"do not load it anywhere: it names {', '.join(contents.acting[:3])}"
    if not sets:
        return "it holds no weights: save the network's state dict"
    parts = sorted({each.match.part for each in fits}, key=is_averaged)
    if len(parts) > 1 and _same_network(fits):
        return (
            f"it holds {len(parts)} sets of weights of one network ({', '.join(parts)}): say which, as "
            f"{contents.path.name}::{parts[-1]}"
        )
    if contents.foreign:
        return "objects stand beside its weights: `bench weights convert` takes its tensors alone"
    if fits:
        return "score it with --detector, --weights and, without a card, --fake-logit as listed"
    return "no known detector has these names and shapes: see what is near, or bring your own code"


def _same_network(fits: list[Candidate]) -> bool:
    by_detector: Mapping[str, int] = Counter(each.detector for each in fits)
    return any(count > 1 for count in by_detector.values())
