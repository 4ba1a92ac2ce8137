"""What an ONNX file says of itself, read from its bytes: files beside it, operators. Runs nothing.

The few fields of the format's protobuf messages that matter here are walked directly (onnx.proto3 of the
ONNX project, field numbers as there), so that no further library is needed to hash all that a model is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from detectors.errors import DetectorError

# Message -> field number -> the message that stands there.
_FIELDS: Final = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 12: "result", 15: "sparse"},
    "function": {7: "node", 10: "function domain"},
    "node": {1: "takes", 2: "gives", 4: "operator", 5: "attribute", 7: "domain"},
    "result": {1: "name"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external"},
    "external": {1: "key", 2: "value"},
}
_OWN_DOMAINS: Final = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
# Operators that change no number, and those whose result is a weighted sum.
_MOVES: Final = ("Cast", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Transpose",
                 "Unsqueeze")  # fmt: skip
_AFFINE: Final = ("Add", "Conv", "Gemm", "MatMul", "Sub")
_DEEPEST: Final = 64  # graphs inside graphs, beyond which nobody exports


@dataclass(frozen=True, slots=True)
class GraphFacts:
    """What decides an ONNX model beside its own bytes.

    Attributes:
        external: Files that hold weights of it, inside its folder.
        foreign: An operator that no onnxruntime has by itself, as ``domain:operator``; "" where none is.
        last: The operator that makes the output's numbers, those that only move them about left out.
    """

    external: tuple[Path, ...]
    foreign: str
    last: str = ""

    @property
    def ends_affine(self) -> bool:
        """Whether the output is a sum with any sign, as that of a last layer: a logit, by its making."""
        return self.last in _AFFINE


def read_facts(path: Path) -> GraphFacts:
    """Look through an ONNX file.

    Raises:
        DetectorError: It is none, is damaged, or names a file outside its folder or one that is not there.
    """
    locations: dict[str, None] = {}
    operators: dict[tuple[str, str], None] = {}
    functions: set[str] = set()
    try:
        content = memoryview(path.read_bytes())
        last, graphs = "", 0
        for kind, value in _walk(content, "model", 0):
            if kind == "graph":
                last = last if graphs else _last_operator(value)
                graphs += 1
            elif kind == "external":
                entry = dict(_shallow(value, "external"))
                if bytes(entry.get("key", b"")) == b"location":
                    locations[bytes(entry.get("value", b"")).decode()] = None
            elif kind == "node":
                texts = {
                    name: bytes(text).decode()
                    for name, text in _shallow(value, "node")
                    if name in ("operator", "domain")
                }
                operators[texts.get("domain", ""), texts.get("operator", "")] = None
            elif kind == "function domain":
                functions.add(bytes(value).decode())
    except (ValueError, IndexError) as error:
        raise DetectorError(f"{path} is no ONNX file, or is damaged: export it again") from error
    except OSError as error:
        raise DetectorError(f"{path} cannot be read ({error.strerror})") from error
    if not graphs:
        raise DetectorError(f"{path} is no ONNX file, or is damaged: it holds no graph")
    foreign = [o for o in operators if o[0] not in _OWN_DOMAINS and o[0] not in functions]
    return GraphFacts(
        tuple(_beside(path, location) for location in locations),
        ":".join(foreign[0]) if foreign else "",
        last,
    )


def _last_operator(graph: memoryview) -> str:
    """The operator behind the first output, followed through those that only move numbers about."""
    makers: dict[str, tuple[str, str]] = {}
    wanted = ""
    for kind, value in _shallow(graph, "graph"):
        if kind == "node":
            fields = list(_shallow(value, "node"))
            takes = [bytes(text).decode() for name, text in fields if name == "takes"]
            operator = next((bytes(text).decode() for n, text in fields if n == "operator"), "")
            for name, text in fields:
                if name == "gives":
                    makers[bytes(text).decode()] = (operator, takes[0] if takes else "")
        elif kind == "result" and not wanted:
            wanted = bytes(dict(_shallow(value, "result")).get("name", b"")).decode()
    for _ in range(len(makers)):
        operator, before = makers.get(wanted, ("", ""))
        if operator not in _MOVES:
            return operator
        wanted = before
    return ""


def _beside(path: Path, location: str) -> Path:
    """The file of external data, which must lie in the folder of the model."""
    parts = PurePosixPath(location.replace("\\", "/")).parts
    inside = bool(parts) and ".." not in parts and not PurePosixPath(location).is_absolute()
    file = path.parent / location
    if not inside or path.parent.resolve() not in file.resolve().parents:
        raise DetectorError(
            f"{path} keeps weights in {location!r}, outside its folder: put both into one folder"
        )
    if not file.is_file():
        raise DetectorError(
            f"{path} keeps weights in {location!r}, which is not beside it: put it there"
        )
    return file


def _walk(content: memoryview, kind: str, depth: int) -> Iterator[tuple[str, memoryview]]:
    """Every message of interest at any depth, with its kind."""
    if depth > _DEEPEST:
        raise ValueError("graphs are nested too deeply")
    for name, value in _shallow(content, kind):
        yield name, value
        if name in _FIELDS and name != "external":
            yield from _walk(value, name, depth + 1)


def _shallow(content: memoryview, kind: str) -> Iterator[tuple[str, memoryview]]:
    """The fields of interest of one message."""
    names, position = _FIELDS[kind], 0
    while position < len(content):
        tag, position = _varint(content, position)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            _, position = _varint(content, position)
        elif wire in (1, 5):
            position += 8 if wire == 1 else 4
        elif wire == 2:
            length, position = _varint(content, position)
            if position + length > len(content):
                raise ValueError("a field runs over the end")
            if number in names:
                yield names[number], content[position : position + length]
            position += length
        else:
            raise ValueError(f"wire type {wire}")
    if position != len(content):
        raise ValueError("a field runs over the end")


def _varint(content: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("a number is too long")
