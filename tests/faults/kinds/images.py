"""Odd files named as images: scored with the pixels they have, or listed with a reason."""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.faults.child import Kind, command
from tests.faults.kinds.common import make, pixels
from tests.faults.outcome import Seen

SOURCE = Image.fromarray(pixels(1))


def saved(fmt: str, mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    SOURCE.convert(mode).save(buffer, fmt, **options)
    return buffer.getvalue()


def _png(width: int, height: int, *, depth: int = 8, colour: int = 2, body: bytes = b"") -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(body))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + data + chunk(b"IEND", b"")


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.png", saved("PNG"))
    return buffer.getvalue()


def _frames(fmt: str) -> bytes:
    buffer = io.BytesIO()
    others = [Image.fromarray(pixels(seed)) for seed in (2, 3)]
    SOURCE.save(buffer, fmt, save_all=True, append_images=others, **LOSSLESS.get(fmt, {}))
    return buffer.getvalue()


def _share(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)]


def _changed(data: bytes, at: int, by: bytes) -> bytes:
    return data[:at] + by + data[at + len(by) :]


LOSSLESS: dict[str, dict[str, object]] = {"WEBP": {"lossless": True}}
JPEG, PNG, BMP = saved("JPEG", quality=95), saved("PNG"), saved("BMP")
GRAY = np.repeat(np.asarray(SOURCE.convert("L"))[..., None], 3, axis=2)
EXACT = np.asarray(SOURCE)
# What a case must give: these pixels, a refusal, or Pillow's own pixels where it has any.
Expected = np.ndarray | str
FILES: dict[str, tuple[bytes | Callable[[Path], object], Expected]] = {
    "PNG": (PNG, EXACT),
    "PNG, gray": (saved("PNG", "L"), GRAY),
    "PNG, opaque": (saved("PNG", "RGBA"), EXACT),
    "PNG, gray and opaque": (saved("PNG", "LA"), GRAY),
    "PNG, palette": (saved("PNG", "P"), "as Pillow"),
    "PNG, one bit": (saved("PNG", "1"), "as Pillow"),
    "PNG, trailing bytes": (PNG + b"x" * 99, EXACT),
    "PNG, 99 %": (_share(PNG, 0.99), "refused"),
    "PNG, half": (_share(PNG, 0.5), "refused"),
    "PNG, its header alone": (PNG[:33], "refused"),
    "PNG, its signature alone": (PNG[:8], "refused"),
    "PNG, damaged check": (_changed(PNG, len(PNG) // 2, b"\0\0\0"), "refused"),
    "PNG, no width": (_png(0, 32), "refused"),
    "PNG, no rows": (_png(32, 32), "refused"),
    "PNG, 60000 x 60000": (_png(60_000, 60_000), "refused"),
    "PNG, 2^31 wide": (_png((1 << 31) - 1, 1), "refused"),
    "PNG, depth 3": (_png(32, 32, depth=3), "refused"),
    "PNG, colour type 5": (_png(32, 32, colour=5), "refused"),
    "PNG, more rows than said": (_png(4, 4, body=(b"\0" + b"\x40" * 12) * 400), "any"),
    "PNG, 1 x 1": (_png(1, 1, body=b"\0\x10\x20\x30"), np.array([[[16, 32, 48]]], np.uint8)),
    "PNG, 1 x 3000": (_png(1, 3000, body=b"\0\x10\x20\x30" * 3000), "as Pillow"),
    "PNG, 3000 x 1": (_png(3000, 1, body=b"\0" + b"\x10\x20\x30" * 3000), "as Pillow"),
    "JPEG": (JPEG, "as Pillow"),
    "JPEG, gray": (saved("JPEG", "L"), "as Pillow"),
    "JPEG, CMYK": (saved("JPEG", "CMYK"), "as Pillow"),
    "JPEG, progressive": (saved("JPEG", progressive=True), "as Pillow"),
    "JPEG, trailing bytes": (JPEG + b"x" * 99, "as Pillow"),
    "JPEG, half": (_share(JPEG, 0.5), "refused"),
    "JPEG, half and an end": (_share(JPEG, 0.5) + b"\xff\xd9", "refused"),
    "JPEG, its start alone": (JPEG[:2], "refused"),
    "JPEG, named PNG by its first bytes": (PNG[:8] + JPEG, "refused"),
    "JPEG, broken colour profile": (saved("JPEG", icc_profile=b"\0" * 64), "as Pillow"),
    "JPEG, broken EXIF": (saved("JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"), "any"),
    "WebP": (saved("WEBP", quality=90), "as Pillow"),
    "WebP, exact": (saved("WEBP", lossless=True), EXACT),
    "WebP, frames": (_frames("WEBP"), EXACT),
    "WebP, half": (_share(saved("WEBP"), 0.5), "refused"),
    "GIF": (saved("GIF", "P"), "as Pillow"),
    "GIF, frames": (_frames("GIF"), "as Pillow"),
    "GIF, half": (_share(saved("GIF", "P"), 0.5), "refused"),
    "BMP": (BMP, EXACT),
    "BMP, gray": (saved("BMP", "L"), GRAY),
    "BMP, half": (_share(BMP, 0.5), "refused"),
    "BMP, huge": (_changed(BMP, 18, struct.pack("<ii", 1 << 30, 1 << 30)), "refused"),
    "TIFF": (saved("TIFF"), EXACT),
    "TIFF, LZW": (saved("TIFF", compression="tiff_lzw"), EXACT),
    "TIFF, pages": (_frames("TIFF"), EXACT),
    "TIFF, float": (saved("TIFF", "F"), "refused"),
    "TIFF, 32 bits": (saved("TIFF", "I"), "refused"),
    "TIFF, half": (_share(saved("TIFF"), 0.5), "refused"),
    "TIFF, a loop of directories": (b"II*\0\x08\0\0\0\0\0\x08\0\0\0", "refused"),
    "PPM": (saved("PPM"), "refused"),
    "ICO": (saved("ICO"), "refused"),
    "nothing": (b"", "refused"),
    "text": (b"not an image\n" * 50, "refused"),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>", "refused"),
    "EPS": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nquit\n", "refused"),
    "ZIP": (_zip(), "refused"),
    "zeros": (bytes(1 << 20), "refused"),
    "a pipe": (os.mkfifo, "refused"),
    "a folder": (Path.mkdir, "refused"),
    "a link to nothing": (lambda path: path.symlink_to("nowhere"), "refused"),
    "a link to itself": (lambda path: path.symlink_to(path), "refused"),
    "an endless device": (lambda path: path.symlink_to("/dev/zero"), "refused"),
    "60 GB of nothing": (lambda path: (path.touch(), os.truncate(path, 60 << 30)), "refused"),
}  # fmt: skip


def _score(base: Path, place: Path, case: str) -> Seen:
    """Score one file, as typed and in a folder, and hold it against the pixels it should have."""
    content, expected = FILES[case]
    path = place / "set" / "odd.png"
    path.parent.mkdir()
    content(path) if callable(content) else path.write_bytes(content)
    Image.fromarray(pixels(4)).save(path.with_name("good.png"))
    seen, out = command("predict", path.parent, path, "-d", f"{base}/toy.py:Toy", "--json", "-q")
    if seen.code in (2, 5) and expected == "refused":
        return seen
    if seen.code not in (0, 12):
        return seen
    rows = [row for row in json.loads(out) if not row["path"].endswith("good.png")]
    if not rows:
        return Seen(seen.code, seen.said, wrong="the file is in no row")
    logits = [row["logit"] for row in rows]
    if any(row["logit"] is None and not row["reason"] for row in rows):
        return Seen(seen.code, seen.said, wrong="no score and no reason")
    return Seen(seen.code, seen.said, wrong=_held(case, content, expected, logits))


def _held(case: str, content: object, expected: Expected, logits: list[float | None]) -> str:
    scored = [logit for logit in logits if logit is not None]
    if isinstance(expected, str) and expected == "refused":
        return f"it was scored, {scored[0]}" if scored else ""
    if isinstance(expected, str) and expected == "any":
        return ""
    if len(scored) < len(logits):
        return "an image that is whole was refused"
    if isinstance(expected, str):
        assert isinstance(content, bytes)
        expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    if expected.shape != (32, 32, 3):  # its crop is the detector's business
        return ""
    means = expected.astype(float).mean(axis=(0, 1)) / 255
    should = 40 * (means[0] - means[2])
    off = max(abs(logit - should) for logit in scored)
    return f"a score that is off by {off:.3g}" if off > 1e-3 else ""


IMAGES = Kind("odd image files", tuple(FILES), _score, make, few=8)
