"""Odd and hostile weights: loaded with the score they must have, or refused; nothing in them ever runs."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from tests.faults.child import Kind, command
from tests.faults.kinds.common import pixels
from tests.faults.outcome import Seen

State = dict[str, Any]
NAME = "genimage-cnn"


def _prepare(base: Path) -> None:
    import detectors.zoo

    source = Path(str(detectors.zoo.__file__)).parent / f"{NAME}.vae.safetensors"
    (base / "good.safetensors").write_bytes(source.read_bytes())
    Image.fromarray(pixels(3, side=224)).save(base / "x.png")
    seen, out = _predict(base, base / "good.safetensors")
    assert seen.code == 0, seen
    (base / "logit").write_text(str(json.loads(out)[0]["logit"]))


def _predict(base: Path, weights: Path) -> tuple[Seen, str]:
    return command(
        "predict", base / "x.png", "-d", NAME, "--weights", weights, "--fake-logit", "z1-z0",
        "--json", "-q",
    )  # fmt: skip


class Payload:
    """Runs a program as it is unpickled; it must never be."""

    def __init__(self, call: str) -> None:
        self.call = call

    def __reduce__(self) -> tuple[Any, ...]:
        import builtins

        return {
            "system": (os.system, ("touch ran",)),
            "exec": (builtins.exec, ("open('ran', 'w')",)),
            "eval": (builtins.eval, ("open('ran', 'w')",)),
            "open": (builtins.open, ("ran", "w")),
            "exit": (os._exit, (0,)),
        }[self.call]


def _with(value: Callable[[Any], Any]) -> Callable[[State], State]:
    def change(state: State) -> State:
        key = next(k for k, v in state.items() if v.ndim == 4)
        return {**state, key: value(state[key])}

    return change


def _torch() -> Any:
    import torch

    return torch


def _filled(number: float) -> Callable[[State], State]:
    def value(tensor: Any) -> Any:
        tensor = tensor.clone()
        tensor.view(-1)[0] = number
        return tensor

    return _with(value)


def _deep(state: State) -> Any:
    nested: Any = state
    for _ in range(300):
        nested = {"state_dict": nested}
    return nested


def _itself(state: State) -> State:
    loop: State = {}
    loop["state_dict"] = loop
    return loop


SAME: dict[str, Callable[[State], Any]] = {
    "plain": lambda s: s,
    "state_dict": lambda s: {"state_dict": s},
    "model, epoch": lambda s: {"model": s, "epoch": 7},
    "module.": lambda s: {f"module.{k}": v for k, v in s.items()},
    "model, optimizer": lambda s: {
        "model": s, "optimizer": {"state": {0: {"step": 3}}, "param_groups": [{"lr": 0.1}]},
    },
    "double": lambda s: {k: v.double() if v.is_floating_point() else v for k, v in s.items()},
    "another order": lambda s: dict(reversed(s.items())),
    "parameters": lambda s: {
        k: _torch().nn.Parameter(v, requires_grad=False) for k, v in s.items()
    },
    "views of one storage": lambda s: {k: _torch().stack([v, v])[1] for k, v in s.items()},
    "not contiguous": _with(lambda t: t.transpose(0, -1).contiguous().transpose(0, -1)),
}  # fmt: skip
OTHER: dict[str, Callable[[State], Any]] = {
    "a key less": lambda s: dict(list(s.items())[1:]),
    "a key more": lambda s: {**s, "another.weight": _torch().zeros(3)},
    "empty": lambda s: {},
    "a list": lambda s: list(s.values()),
    "a tensor": lambda s: next(iter(s.values())),
    "a number": lambda s: 7,
    "nothing": lambda s: None,
    "text": lambda s: "weights",
    "half the rows": _with(lambda t: t[: len(t) // 2]),
    "no rows": _with(lambda t: t[:0]),
    "a dimension more": _with(lambda t: t[None]),
    "not a number": _filled(float("nan")),
    "infinite": _filled(float("inf")),
    "all not a number": _with(lambda t: t * float("nan")),
    "too large for float32": _with(lambda t: t.double() * 1e300),
    "complex": _with(lambda t: t.to(_torch().complex64)),
    "bool": _with(lambda t: t > 0),
    "integers": _with(lambda t: t.to(_torch().int32)),
    "float8": _with(lambda t: t.to(_torch().float8_e4m3fn)),
    "sparse": _with(lambda t: t.to_sparse()),
    "meta": _with(lambda t: t.to("meta")),
    "quantised": _with(
        lambda t: _torch().quantize_per_tensor(t.float(), 0.1, 0, _torch().qint8)
    ),
    "numbers for names": lambda s: dict(enumerate(s.values())),
    "nested deep": _deep,
    "itself": _itself,
    "two networks": lambda s: {"a": s, "b": _filled(1.0)(s)},
    **{
        f"payload {call}{where}": (lambda s, c=call, w=where: _poisoned(s, c, w))
        for call in ("system", "exec", "eval", "open", "exit")
        for where in ("", " beside the weights")
    },
}  # fmt: skip


def _poisoned(state: State, call: str, where: str) -> Any:
    return {"model": state, "extra": Payload(call)} if where else Payload(call)


def _cut(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


def _directory(data: bytes) -> bytes:
    changed = bytearray(data)
    changed[changed.rindex(b"PK\x01\x02") + 6] = 200
    return bytes(changed)


def _one_byte(data: bytes) -> bytes:
    changed = bytearray(data)
    changed[len(changed) // 2] ^= 0xFF
    return bytes(changed)


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "cut": _cut,
    "a broken directory": _directory,
    "one byte": _one_byte,
    "no bytes": lambda data: b"",
    "zeros": lambda data: bytes(5000),
    "a web page": lambda data: b"<!DOCTYPE html><html>not found</html>",
    "a pointer of Git LFS": lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    "a bare pickle": lambda data: pickle.dumps(Payload("open")),
    "an old pickle": lambda data: pickle.dumps({"x": [1.0]}, protocol=0),
    "a zip of nothing": lambda data: _archive({}),
    "a zip of something": lambda data: _archive({"archive/data.pkl": b"\x80\x02N."}),
    "a program of TorchScript": lambda data: _archive({"a/code/x.py": b"", "a/data.pkl": b"N."}),
}  # fmt: skip
HEADERS: dict[str, bytes] = {
    "a header longer than the file": struct.pack("<Q", 1 << 40) + b"{}",
    "no header": struct.pack("<Q", 0),
    "a header that is no JSON": struct.pack("<Q", 4) + b"xxxx",
    "a deep header": struct.pack("<Q", 20_000) + b"[" * 20_000,
    "offsets past the end": struct.pack("<Q", 62)
    + b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36000000]}}'.ljust(62),
    "a shape of 2^62": struct.pack("<Q", 90)
    + b'{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,4]}}'.ljust(90)
    + bytes(4),
}


def _archive(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _load(base: Path, place: Path, case: str) -> Seen:
    group, _, name = case.partition(": ")
    weights = _written(base, place, group, name)
    seen, out = _predict(base, weights)
    if (place / "ran").exists():
        return Seen(seen.code, seen.said, wrong="a program in the weights ran")
    if seen.code != 0:
        return Seen(12, seen.said, lost="sound weights were refused") if group == "same" else seen
    logit = json.loads(out)[0]["logit"]
    expected = float((base / "logit").read_text())
    if group == "same":
        wrong = "" if abs(logit - expected) < 1e-4 else f"{logit}, not {expected}"
        return Seen(0, seen.said, wrong=wrong)
    # Some oddities leave every value readable: then the score is theirs, and must be the network's own.
    harmless = name in ("nested deep", "a key more") and abs(logit - expected) < 1e-4
    return Seen(0, seen.said, wrong="" if harmless else f"it was scored, {logit}")


def _written(base: Path, place: Path, group: str, name: str) -> Path:
    import torch
    from safetensors.torch import load_file

    if group == "header":
        (place / "w.safetensors").write_bytes(HEADERS[name])
        return place / "w.safetensors"
    if group == "file":
        make = {"a pipe": os.mkfifo, "a folder": Path.mkdir, "a device": _device, "60 GB": _huge}
        make[name](place / "w.safetensors")  # type: ignore[operator]
        return place / "w.safetensors"
    state = load_file(base / "good.safetensors")
    buffer = io.BytesIO()
    value = {"same": SAME, "other": OTHER}.get(group, {}).get(name, lambda s: s)(state)
    torch.save(value, buffer)
    data = buffer.getvalue()
    path = place / "w.pth"
    path.write_bytes(BROKEN[name](data) if group == "broken" else data)
    return path


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 60 << 30)


CHECKPOINTS = Kind(
    "checkpoints",
    (
        *(f"same: {name}" for name in SAME),
        *(f"other: {name}" for name in OTHER),
        *(f"broken: {name}" for name in BROKEN),
        *(f"header: {name}" for name in HEADERS),
        *(f"file: {name}" for name in ("a pipe", "a folder", "a device", "60 GB")),
    ),
    _load,
    _prepare,
    few=6,
)
