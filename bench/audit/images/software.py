"""Who wrote an image file: generator software, cameras and content credentials in its metadata."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.audit.images.metadata import Block

# What generators leave in text chunks, EXIF and XMP, by the software's name. The first five are known by
# the keys they write, the others by their names.
_GENERATORS: Final = {
    "Stable Diffusion web UI": rb"parameters\0[^\0]{0,20000}?Steps: \d|Steps: \d+, Sampler: ",
    "ComfyUI": rb"\"class_type\"\s*:|(?:^|\0|\n)workflow\0\s*\{|\"last_node_id\"",
    "InvokeAI": rb"invokeai_metadata|sd-metadata\0|Dream\0",
    "Fooocus": rb"fooocus_scheme|Fooocus",
    "NovelAI": rb"NovelAI",
    "Midjourney": rb"Midjourney|--v \d[^\0]{0,200}Job ID: ",
    "DALL-E": rb"DALL.{1,2}E\b|OpenAI",
    "Adobe Firefly": rb"Adobe.{0,3}Firefly|Firefly \d",
    "Google AI": rb"Made with Google AI|Edited with Google AI|Google Imagen",
    "Bing Image Creator": rb"Bing Image Creator|Microsoft Designer",
    "Draw Things": rb"Draw Things",
    "Easy Diffusion": rb"use_stable_diffusion_model",
    "Leonardo": rb"leonardo\.ai",
    "Ideogram": rb"ideogram\.ai|Ideogram AI",
    "Grok": rb"\bxAI Grok|Signature: [A-Za-z0-9+/=]{40,}",
    "diffusers": rb"diffusers|Stable Diffusion|FLUX\.1|Black Forest Labs",
    "label of Chinese services (AIGC)": rb"TC260|ContentProducer",
}
_PATTERNS: Final = {
    name: re.compile(pattern, re.IGNORECASE | re.DOTALL) for name, pattern in _GENERATORS.items()
}
# IPTC digital source types of generated and of partly generated media.
_SOURCE_TYPE: Final = re.compile(
    rb"(?:composite(?:WithT|\W*T)|t)rainedAlgorithmicMedia", re.IGNORECASE
)
_CAMERA: Final = re.compile(
    rb"Canon|NIKON|SONY|FUJIFILM|OLYMPUS|Panasonic|PENTAX|LEICA|Apple|iPhone|samsung|HUAWEI|Xiaomi|"
    rb"Google\0|Pixel \d|EASTMAN KODAK|KODAK|CASIO|RICOH|HASSELBLAD|DJI|motorola|OnePlus|GoPro",
)
_EDITORS: Final = {
    name: re.compile(re.escape(name).encode(), re.IGNORECASE)
    for name in ("Photoshop", "Lightroom", "GIMP", "ImageMagick", "Paint.NET", "Picasa", "Snapseed")
}


@dataclass(frozen=True, slots=True)
class Origin:
    """What the metadata of a file say of its origin.

    Attributes:
        generators: Names of generator software, sorted.
        editors: Names of editing software, sorted.
        camera: Whether the EXIF block names a maker of cameras.
        generated: Whether an IPTC source type says that the image was generated, at least in part.
        credentials: Whether the file holds content credentials (C2PA, in a JUMBF box); not verified.
    """

    generators: tuple[str, ...] = ()
    editors: tuple[str, ...] = ()
    camera: bool = False
    generated: bool = False
    credentials: bool = False


def origin_of(blocks: Sequence[Block]) -> Origin:
    r"""Look for known software in blocks of metadata.

    Example:
        >>> origin_of([Block("text", b"parameters\0a cat\nSteps: 20, Sampler: Euler a")]).generators
        ('Stable Diffusion web UI',)
        >>> origin_of([Block("text", b"Comment\0made by hand")])
        Origin(generators=(), editors=(), camera=False, generated=False, credentials=False)
    """
    # Profiles name the software that made the profile, not the picture.
    spoken = [block for block in blocks if block.kind != "icc"]
    if not spoken:
        return Origin()
    # EXIF comments are often UTF-16: without its zeros the words can be read.
    words = b"\n".join(block.content for block in spoken)
    if any(b"UNICODE\0" in block.content for block in spoken):
        words += b"\n" + words.replace(b"\0", b"")
    exif = b"\n".join(block.content for block in spoken if block.kind == "exif")
    return Origin(
        generators=tuple(sorted(name for name, p in _PATTERNS.items() if p.search(words))),
        editors=tuple(sorted(name for name, p in _EDITORS.items() if p.search(words))),
        camera=bool(_CAMERA.search(exif)),
        generated=bool(_SOURCE_TYPE.search(words)),
        credentials=any(block.kind == "credentials" for block in spoken),
    )
