"""An input rule in one line, as after ``--input``: ``crop(size=256, padding=zero, mean=clip, std=clip)``."""

from __future__ import annotations

import math
from typing import Any

from pydantic import ValidationError

from bench.errors import BenchError, nearest
from bench.protocol.call import CallSyntaxError, parse_call
from detectors.inputs.spec import IMAGENET_MEAN, IMAGENET_STD, InputSpec, sides

_SIZES = ("size", "resize_to", "view_size", "stride")
_WORDS = {
    "imagenet": {"mean": IMAGENET_MEAN, "std": IMAGENET_STD},
    "clip": {
        "mean": (0.48145466, 0.4578275, 0.40821073),
        "std": (0.26862954, 0.26130258, 0.27577711),
    },
    "half": {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)},
    "none": {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)},
}
_EXAMPLE = "crop(size=256, padding=zero, mean=0.48|0.46|0.41, std=clip)"


def parse_input(text: str) -> InputSpec:
    """Read an input rule.

    Args:
        text: A fit rule with the fields of :class:`detectors.InputSpec` that differ from its defaults.
            Sizes are ``256`` or ``HEIGHTxWIDTH``; means and deviations are three numbers with ``|`` between,
            one for all, or ``imagenet``, ``clip``, ``half``, ``none``. ``crop_pct=0.875`` stands for the
            ``resize_to`` that it means.

    Raises:
        BenchError: If it cannot be read, or contradicts itself.

    Examples:
        >>> parse_input("shortest-crop(224, resize_to=256)").describe()
        'short side to 256 px (bicubic), centre crop 224 px'
        >>> parse_input("resize(size=245x255, interpolation=bilinear, mean=half, std=half)").describe()
        'resize to 245 x 255 px (bilinear)'
    """
    try:
        call = parse_call(text)
    except CallSyntaxError as error:
        raise BenchError(f"--input {text}: {error}; for example {_EXAMPLE}") from error
    values = dict(call.keywords)
    if len(call.positional) > 1 or (call.positional and "size" in values):
        raise BenchError(f"--input {text}: give one size, and the rest as name=value")
    if call.positional:
        values["size"] = call.positional[0]
    known = [name for name in InputSpec.model_fields if name != "fit"] + ["crop_pct"]
    for key in values:
        if key not in known:
            raise BenchError(f"--input {text}: no field called {key!r}: {nearest(key, known)}")
    crop_pct = values.pop("crop_pct", None)
    fields: dict[str, Any] = {key: _value(text, key, value) for key, value in values.items()}
    fields["fit"] = call.name
    if call.name == "native":
        fields.setdefault("size", None)
    if crop_pct is not None:
        fields["resize_to"] = _before_crop(text, crop_pct, fields)
    try:
        return InputSpec(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = f"{first['loc'][0]}: " if first["loc"] else ""
        raise BenchError(
            f"--input {text}: {where}{first['msg'].removeprefix('Value error, ')}"
        ) from error


def spell_input(spec: InputSpec) -> str:
    """Spell an input rule so that :func:`parse_input` reads it again.

    Examples:
        >>> spell_input(InputSpec(size=(32, 48), fit="resize"))
        'resize(size=32x48)'
    """
    default = InputSpec()
    parts = []
    for name in InputSpec.model_fields:
        value = getattr(spec, name)
        if name == "fit" or (value == getattr(default, name) and name != "size") or value is None:
            continue
        parts.append(f"{name}={_spelled(name, value)}")
    return f"{spec.fit}({', '.join(parts)})"


def _spelled(name: str, value: Any) -> str:
    if name in ("mean", "std"):
        return "|".join(repr(number) for number in value)
    if name in _SIZES:
        height, width = sides(value)
        return str(value) if isinstance(value, int) else f"{height}x{width}"
    return str(value)


def _value(text: str, key: str, value: str) -> Any:
    if key in ("mean", "std"):
        return _colours(text, key, value)
    if key in _SIZES:
        return _size(text, key, value)
    return value


def _size(text: str, key: str, value: str) -> int | tuple[int, ...]:
    numbers = value.lower().split("x")
    if len(numbers) > 2 or not all(n.strip().isascii() and n.strip().isdigit() for n in numbers):
        raise BenchError(f"--input {text}: {key}={value}: give pixels, as 256 or HEIGHTxWIDTH")
    return int(value) if len(numbers) == 1 else tuple(int(n) for n in numbers)


def _colours(text: str, key: str, value: str) -> tuple[float, ...]:
    if value in _WORDS:
        return _WORDS[value][key]
    try:
        numbers = tuple(float(number) for number in value.split("|"))
    except ValueError:
        numbers = ()
    if len(numbers) not in (1, 3):
        raise BenchError(
            f"--input {text}: {key}={value}: give R|G|B in 0..1, one number for all, or "
            f"{', '.join(_WORDS)}"
        )
    return numbers * 3 if len(numbers) == 1 else numbers


def _before_crop(text: str, crop_pct: str, fields: dict[str, Any]) -> int | tuple[int, ...]:
    """The size before the crop: the canvas divided by ``crop_pct``, rounded down as timm does."""
    try:
        share = float(crop_pct)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1 or "resize_to" in fields:
        raise BenchError(
            f"--input {text}: crop_pct={crop_pct}: give a share in (0, 1], and no resize_to beside it"
        )
    if fields["fit"] not in ("shortest-crop", "resize"):
        raise BenchError(f"--input {text}: crop_pct has no effect on {fields['fit']!r}")
    size: int | tuple[int, int] = fields.get("size", 224)
    scaled = tuple(math.floor(side / share) for side in sides(size))
    return scaled if isinstance(size, tuple) and fields["fit"] == "resize" else min(scaled)
