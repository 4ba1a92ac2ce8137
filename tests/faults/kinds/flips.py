"""Single bits flipped in files of every format that is read, held against an independent reader."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.faults.child import Kind, command
from tests.faults.kinds.common import copied, finished
from tests.faults.kinds.images import saved
from tests.faults.outcome import Seen

FLIPS_OF_EACH = 200
_CODECS: dict[str, bytes] = {
    "PNG": saved("PNG"),
    "JPEG": saved("JPEG", quality=90),
    "progressive JPEG": saved("JPEG", quality=90, progressive=True),
    "WebP": saved("WEBP", quality=90),
    "GIF": saved("GIF", "P"),
    "BMP": saved("BMP"),
    "TIFF": saved("TIFF", compression="tiff_lzw"),
}


def flipped(content: bytes, case: str) -> bytes:
    """Flip one bit, chosen by the name of the case."""
    number = int.from_bytes(hashlib.sha256(case.encode()).digest()[:8], "big")
    bit = number % (8 * len(content))
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)


def _image(base: Path, place: Path, case: str) -> Seen:
    """Pixels as Pillow has them, where both give any; what Pillow refuses is never scored."""
    from bench.datasets import BadImageError, decode

    data = flipped(_CODECS[case.rpartition(" ")[0]], case)
    try:
        ours = decode(data)
    except BadImageError as error:
        return Seen(2, f"error: an image was refused: {error}\n")
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    except Exception as error:
        return Seen(0, wrong=f"scored, and Pillow says: {error}")
    if image.mode in ("RGB", "L", "CMYK", "YCbCr") and not image.has_transparency_data:
        theirs = np.asarray(image.convert("RGB"))
        if image.getexif().get(0x0112, 1) == 1 and not np.array_equal(ours, theirs):
            return Seen(0, wrong="other pixels than Pillow's")
    return Seen()


def _weights(base: Path) -> None:
    import detectors.zoo

    source = detectors.zoo.__file__
    finished(base)
    weights = Path(str(source)).parent / "genimage-cnn.vae.safetensors"
    (base / "good.safetensors").write_bytes(weights.read_bytes())
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(weights), base / "good.pth")
    Image.fromarray(np.asarray(Image.open(base / "images/alpha/real/0.png"))).save(base / "x.png")


def _checkpoint(base: Path, place: Path, case: str) -> Seen:
    """The tensors that safetensors' and torch's own readers give, or a refusal."""
    import torch
    from safetensors.torch import load

    from bench.errors import BenchError
    from detectors.weights.load import read_state

    suffix = "." + case.split(" ", maxsplit=1)[0]
    data = flipped((base / f"good{suffix}").read_bytes(), case)
    path = place / f"w{suffix}"
    path.write_bytes(data)
    try:
        ours = read_state(path)
    except (BenchError, ValueError) as error:
        return Seen(2, f"error: weights were refused: {error}\n")
    try:
        theirs = load(data) if suffix == ".safetensors" else torch.load(path, weights_only=True)
    except Exception as error:
        return Seen(0, wrong=f"read, and their own reader says: {type(error).__name__}")
    if ours.keys() != theirs.keys():
        return Seen(0, wrong="other keys than their own reader's")
    same = all(_bits(ours[key]) == _bits(theirs[key]) for key in ours)
    return Seen(0, wrong="" if same else "other values than their own reader's")


def _bits(tensor: object) -> bytes:
    return tensor.contiguous().numpy().tobytes()  # type: ignore[attr-defined]


def _record(base: Path, place: Path, case: str) -> Seen:
    """The same board, or a refusal; `verify` never says same of another one."""
    folder = copied(base, place)
    name = case.rpartition(" ")[0]
    path = folder / name if name != "shard" else sorted((folder / "store").rglob("*.parquet"))[1]
    path.write_bytes(flipped(path.read_bytes(), case))
    seen, out = command("verify", folder, "--json")
    if seen.code != 0:
        return seen
    return Seen(0, seen.said, wrong=_another(base, folder, json.loads(out)))


def _another(base: Path, folder: Path, verdict: dict[str, object]) -> str:
    for name in ("leaderboard.csv", "leaderboard.md"):
        if (folder / name).read_bytes() != (base / "run" / name).read_bytes():
            return f"verify says {verdict['verdict']} of another {name}"
    seen, out = command("board", folder, "--format", "csv")
    if seen.code == 0 and out.encode() != (base / "run" / "leaderboard.csv").read_bytes():
        return "the board shows other numbers"
    return ""


def _kind(name: str, run: Callable[[Path, Path, str], Seen], **options: object) -> Kind:
    cases = tuple(f"{name} {i}" for i in range(FLIPS_OF_EACH))
    return Kind(f"flips: {name}", cases, run, few=8, limit=60.0, **options)  # type: ignore[arg-type]


FLIPS = (
    *(_kind(name, _image) for name in _CODECS),
    *(_kind(name, _checkpoint, prepare=_weights) for name in ("safetensors", "pth")),
    *(
        _kind(name, _record, prepare=finished)
        for name in ("run.json", "manifest.parquet", "units.parquet", "shard", "leaderboard.csv")
    ),
)
