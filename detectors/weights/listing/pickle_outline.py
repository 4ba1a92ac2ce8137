"""What a pickle would build, told without building it: no name in it is looked up and none is called.

A checkpoint is a pickle, and a pickle is a program. Here the program is read, not run: numbers, texts and
containers are themselves, everything else is a :class:`Made` that says what would have been called. So a
checkpoint beside whose weights stand a trainer's own objects can be looked into.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

# A program of more is no checkpoint's: its tensors lie beside it, not in it.
_MOST_BYTES = 64 << 20
_MOST_STEPS = 20_000_000


class OutlineError(ValueError):
    """Bytes that are no pickle, or one that no checkpoint holds."""


@dataclass(slots=True, eq=False)
class Made:
    """A value that only code could make.

    Attributes:
        name: Dotted name of the class or function.
        arguments: What it would be called with; ``None`` where it is named only.
        state: What it would be filled with afterwards.
        items: What would be put into it by key.
    """

    name: str
    arguments: tuple[Any, ...] | None = None
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outside:
    """A value that lies outside the pickle, such as the numbers of a tensor.

    Attributes:
        key: What the pickle calls it.
    """

    key: Any


@dataclass(frozen=True, slots=True)
class Outline:
    """One pickle, read and not run.

    Attributes:
        value: What it would build.
        names: Dotted names of everything that unpickling would look up.
        outside: Everything that it says lies outside itself.
    """

    value: Any
    names: frozenset[str]
    outside: tuple[Outside, ...]


class _Bounded:
    """A stream that ends in an error where it would hand out more than a checkpoint's pickle has."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._left = _MOST_BYTES

    def read(self, size: int = -1) -> bytes:
        return self._counted(self._stream.read(self._allowed(size)))

    def readline(self) -> bytes:
        return self._counted(self._stream.readline(self._left + 1))

    def _allowed(self, size: int) -> int:
        if size > self._left:
            raise OutlineError(f"a value of {size} bytes")
        return self._left + 1 if size < 0 else size

    def _counted(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            raise OutlineError(f"more than {_MOST_BYTES} bytes")
        return data


def read_outline(stream: BinaryIO) -> Outline:
    """Read one pickle, up to and with its end.

    Args:
        stream: At the first byte of the pickle; left behind its last.

    Raises:
        OutlineError: If it is none, is damaged, or is larger than a checkpoint's.
    """
    reader = _Reader()
    try:
        for count, (opcode, argument, _) in enumerate(
            pickletools.genops(cast(Any, _Bounded(stream)))
        ):
            if count > _MOST_STEPS:
                raise OutlineError("more steps than a checkpoint has")
            reader.step(opcode.name, argument)
        return Outline(reader.stack[-1], frozenset(reader.names), tuple(reader.outside))
    except OutlineError:
        raise
    except Exception as error:  # a damaged program fails wherever it happens to
        raise OutlineError(f"{type(error).__name__}: {error}") from error


class _Reader:
    """The stack, the marks and the memo of a pickle, without anything that acts."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.names: set[str] = set()
        self.outside: list[Outside] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """Follow one opcode of the program."""
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name in _STEPS:
            _STEPS[name](self, argument)
        elif name not in _IGNORED:
            raise OutlineError(f"the opcode {name}")

    def pop(self, count: int) -> list[Any]:
        """Take the topmost values, in the order they were put."""
        if len(self.stack) < count:
            raise OutlineError("a stack that runs dry")
        taken = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return taken

    def pop_mark(self) -> list[Any]:
        """Take the values above the last mark."""
        start = self._marks.pop()
        taken = self.stack[start:]
        del self.stack[start:]
        return taken

    def mark(self, _: Any) -> None:
        """Remember the height of the stack."""
        self._marks.append(len(self.stack))

    def memoize(self, index: Any) -> None:
        """Remember the topmost value, under the next number where none is given."""
        self._memo[len(self._memo) if index is None else index] = self.stack[-1]

    def recall(self, index: Any) -> None:
        """Put a remembered value."""
        self.stack.append(self._memo[index])

    def extend(self, values: list[Any]) -> None:
        """Add values to the list or set that is topmost."""
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(values)
        elif isinstance(target, Made):
            target.items |= dict(enumerate(values, start=len(target.items)))

    def put_items(self, flat: list[Any]) -> None:
        """Add keys and values to the mapping that is topmost."""
        target = self.stack[-1]
        into = target.items if isinstance(target, Made) else target
        for key, value in zip(flat[::2], flat[1::2], strict=True):
            into[_hashable(key)] = value

    def name_global(self, module: str, attribute: str) -> None:
        """Put a name in place of what it stands for."""
        dotted = f"{module}.{attribute}"
        self.names.add(dotted)
        self.stack.append(Made(dotted))

    def call(self, function: Any, arguments: Any) -> None:
        """Put what a call would give."""
        name = function.name if isinstance(function, Made) else type(function).__name__
        given = tuple(arguments) if isinstance(arguments, list | tuple) else (arguments,)
        if name in ("collections.OrderedDict", "builtins.dict", "__builtin__.dict"):
            self.stack.append(_ordered(given))
        else:
            self.stack.append(Made(name, given))

    def refer(self, key: Any) -> None:
        """Put a reference to what lies outside."""
        self.outside.append(Outside(key))
        self.stack.append(self.outside[-1])

    def build(self, _: Any) -> None:
        """Fill the value below with the topmost."""
        (state,) = self.pop(1)
        if isinstance(self.stack[-1], Made):
            self.stack[-1].state = state


def _ordered(given: tuple[Any, ...]) -> dict[Any, Any]:
    pairs = given[0] if given and isinstance(given[0], list | tuple) else ()
    if given and isinstance(given[0], dict):
        return dict(given[0])
    return {_hashable(pair[0]): pair[1] for pair in pairs if len(pair) == 2}


def _hashable(key: Any) -> Any:
    return key if isinstance(key, str | int | float | bytes | bool | None) else repr(type(key))


def _global(reader: _Reader, argument: Any) -> None:
    module, _, attribute = str(argument).partition(" ")
    reader.name_global(module, attribute)


def _stack_global(reader: _Reader, _: Any) -> None:
    module, attribute = reader.pop(2)
    reader.name_global(str(module), str(attribute))


def _instance(reader: _Reader, argument: Any) -> None:
    given = reader.pop_mark()
    _global(reader, argument)
    reader.call(reader.pop(1)[0], given)


def _object(reader: _Reader, _: Any) -> None:
    function, *given = reader.pop_mark()
    reader.call(function, given)


def _new_with_names(reader: _Reader, _: Any) -> None:
    function, given, _names = reader.pop(3)
    reader.call(function, given)


def _pop(reader: _Reader, _: Any) -> None:
    reader.pop(1)


def _pop_mark(reader: _Reader, _: Any) -> None:
    reader.pop_mark()


_VALUES = frozenset({
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING",
    "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
})  # fmt: skip
_CONSTANTS: Mapping[str, Callable[[], Any]] = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False, "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple, "EMPTY_DICT": dict, "EMPTY_SET": list,
}  # fmt: skip
_IGNORED = frozenset({"PROTO", "FRAME", "STOP"})
_STEPS: Mapping[str, Callable[[_Reader, Any], None]] = {
    "MARK": _Reader.mark,
    "POP": _pop,
    "POP_MARK": _pop_mark,
    "DUP": lambda reader, _: reader.stack.append(reader.stack[-1]),
    "PUT": _Reader.memoize, "BINPUT": _Reader.memoize, "LONG_BINPUT": _Reader.memoize,
    "MEMOIZE": _Reader.memoize,
    "GET": _Reader.recall, "BINGET": _Reader.recall, "LONG_BINGET": _Reader.recall,
    "APPEND": lambda reader, _: reader.extend(reader.pop(1)),
    "APPENDS": lambda reader, _: reader.extend(reader.pop_mark()),
    "ADDITEMS": lambda reader, _: reader.extend(reader.pop_mark()),
    "SETITEM": lambda reader, _: reader.put_items(reader.pop(2)),
    "SETITEMS": lambda reader, _: reader.put_items(reader.pop_mark()),
    "LIST": lambda reader, _: reader.stack.append(reader.pop_mark()),
    "FROZENSET": lambda reader, _: reader.stack.append(reader.pop_mark()),
    "TUPLE": lambda reader, _: reader.stack.append(tuple(reader.pop_mark())),
    "TUPLE1": lambda reader, _: reader.stack.append(tuple(reader.pop(1))),
    "TUPLE2": lambda reader, _: reader.stack.append(tuple(reader.pop(2))),
    "TUPLE3": lambda reader, _: reader.stack.append(tuple(reader.pop(3))),
    "DICT": lambda reader, _: reader.stack.append(_ordered((_pairs(reader.pop_mark()),))),
    "GLOBAL": _global, "STACK_GLOBAL": _stack_global, "INST": _instance, "OBJ": _object,
    "NEWOBJ": lambda reader, _: reader.call(*reader.pop(2)),
    "NEWOBJ_EX": _new_with_names,
    "REDUCE": lambda reader, _: reader.call(*reader.pop(2)),
    "BUILD": _Reader.build,
    "PERSID": _Reader.refer,
    "BINPERSID": lambda reader, _: reader.refer(reader.pop(1)[0]),
}  # fmt: skip


def _pairs(flat: list[Any]) -> list[tuple[Any, Any]]:
    return list(zip(flat[::2], flat[1::2], strict=True))
