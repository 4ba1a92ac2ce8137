"""``bench weights convert``: any checkpoint's tensors as safetensors, with the card that a detector needs."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors.torch import save
from torch import Tensor

from bench.errors import BenchError, OutputError
from bench.inference.detector import architecture
from bench.support.files import write_atomic, write_text
from bench.weights.inspection import user_errors
from bench.weights.known import OUTPUTS, shapes_of
from detectors.card import (
    DetectorCard,
    FakeLogit,
    InputSpec,
    TrainingData,
    WeightsRef,
    card_beside,
)
from detectors.network import Architecture
from detectors.publication.method import Method
from detectors.weights import file_sha256, load_strict, split_part, state_for
from detectors.weights.leaf import Tree
from detectors.weights.listing.contents import read_contents
from detectors.weights.matching import matches


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What is to become of a weights file.

    Attributes:
        source: The file, or ``FILE::PART`` for one of several sets of weights in it.
        detector: The architecture whose weights it holds.
        out: The new file, ending in ``.safetensors``.
        name: What the card calls the detector; "" takes the new file's name.
        fake_logit: Which output means AI-generated; ``None`` takes what the architecture's paper states.
        input: Fields of the input rule that are not the architecture's, by name, as texts.
        training_data: What the weights were trained on; ``None`` takes what a published method's paper
            states, or else is unknown.
        licence: Licence of the weights; ``unknown`` takes that of a published file.
        reference: Where they come from; "" takes the architecture's paper.
        key_map: Prefixes of the file's keys and what replaces them.
    """

    source: Path
    detector: str
    out: Path
    name: str = ""
    fake_logit: FakeLogit | None = None
    input: Mapping[str, str] = field(default_factory=dict)
    training_data: TrainingData | None = None
    licence: str = "unknown"
    reference: str = ""
    key_map: Mapping[str, str] = field(default_factory=dict)


def convert(request: Conversion) -> DetectorCard:
    """Write the new file and the card beside it; neither is there unless both are whole.

    Only tensors are taken: nothing else in the file is looked up or run.

    Raises:
        BenchError: If the weights do not fit, something must be said first, or a file is in the way.
    """
    _refuse_target(request.out)
    network_of = architecture(request.detector)
    direction = request.fake_logit or network_of.fake_logit
    if direction is None:
        raise BenchError(
            f"nothing says which output of {request.source.name} means AI-generated: pass "
            "--fake-logit z|-z|z1-z0|z0-z1"
        )
    origin = _origin(request.source)
    published = _published(network_of, direction, str(origin["converted_from_sha256"]))
    card = DetectorCard(
        name=request.name or request.out.stem,
        arch=network_of.name,
        reference=request.reference or network_of.reference,
        licence=published.licence
        if published is not None and request.licence == "unknown"
        else request.licence,
        fake_logit=direction,
        input=input_of(network_of.input, request.input),
        training_data=request.training_data or (published and published.training_data),
        training=origin,
    )
    with user_errors():
        state = _state(request, network_of, card)
    data = save({key: value.contiguous() for key, value in state.items()})
    reference = WeightsRef(sha256=hashlib.sha256(data).hexdigest())
    card = card.model_copy(update={"weights": reference})
    write_atomic(request.out, lambda stream: stream.write(data))
    try:
        write_text(card_beside(request.out), card.model_dump_json(indent=2) + "\n")
    except OutputError:
        request.out.unlink(missing_ok=True)
        raise
    return card


def _refuse_target(out: Path) -> None:
    if out.suffix != ".safetensors":
        raise BenchError(f"--out {out}: name a file that ends in .safetensors")
    for path in (out, card_beside(out)):
        if path.exists() or path.is_symlink():
            raise BenchError(f"{path} is there already: name another --out, or move it away")


def _origin(source: Path) -> dict[str, Any]:
    file, part = split_part(source)
    origin = f"{file.name}::{part}" if part else file.name
    with user_errors():
        read_contents(file)  # refuses a pipe, a folder or a page before it is hashed
        return {"converted_from": origin, "converted_from_sha256": file_sha256(file)}


def _published(network_of: Architecture, direction: FakeLogit, sha256: str) -> DetectorCard | None:
    """The card that a published method has for the file; ``None`` for what no paper published."""
    return network_of.card(sha256, direction) if isinstance(network_of, Method) else None


def _state(request: Conversion, network_of: Architecture, card: DetectorCard) -> dict[str, Tensor]:
    file, part = split_part(request.source)
    contents = read_contents(file)
    if contents.acting:
        names = ", ".join(contents.acting[:3])
        raise BenchError(
            f"{file} would run {names} in a program that unpickles it: it is an attack, not weights; "
            "delete it"
        )
    publication: Any = getattr(network_of, "publication", None)
    key_map = dict(request.key_map) or dict(getattr(publication, "key_map", None) or {})
    network = network_of.network(card.outputs, card.input.size)
    if not request.key_map:
        _propose(network_of, contents.tree, file)
    state = state_for(network, contents.tree, file, part=part, key_map=key_map)
    load_strict(network, state, file.name)
    return state


def _propose(network_of: Architecture, tree: Tree, file: Path) -> None:
    """Refuse a file that fits after a renaming only, and say which.

    Raises:
        BenchError: If so.
    """
    shapes = [s for n in OUTPUTS if (s := shapes_of(network_of, n)) is not None]
    listed = [match for each in shapes for match in matches(tree, each)]
    if listed and all(match.verdict == "fits renamed" for match in listed):
        flags = " ".join(f"--rename {old}={new}" for old, new in listed[0].key_map.items())
        raise BenchError(
            f"{file} has {network_of.name}'s shapes under other names: if they are the same layers, pass "
            f"{flags}"
        )


def input_of(usual: InputSpec, fields: Mapping[str, str]) -> InputSpec:
    """Change fields of an input rule as they are typed: ``size`` to ``256``, ``mean`` to ``0.5,0.5,0.5``.

    Raises:
        BenchError: On a field that there is not, or a value that it cannot have.
    """
    known = list(InputSpec.model_fields)
    values: dict[str, Any] = {}
    for name, text in fields.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            raise BenchError(f"--input {name}={text}: the input rule has no {name!r}; {hint}")
        values[name] = _value(text)
    try:
        return InputSpec.model_validate_json(json.dumps(usual.model_dump(mode="json") | values))
    except ValidationError as error:
        first = error.errors()[0]
        where = str(first["loc"][0]) if first["loc"] else next(iter(fields), "")
        raise BenchError(f"--input {where}={fields.get(where, '')}: {first['msg']}") from error


def _value(text: str) -> Any:
    parts: Sequence[str] = text.split(",")
    values = [_number(part.strip()) for part in parts]
    return values[0] if len(values) == 1 else values


def _number(text: str) -> Any:
    words = {"none": None, "null": None, "true": True, "false": False}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
