"""What a file says of itself: held against what Pillow and the standards wrote into it."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from bench.audit.images.description import describe_file
from bench.audit.images.metadata import metadata_blocks
from bench.audit.images.pixels import pixel_facts
from tests.audit.conftest import photo

PICTURE = Image.fromarray(photo(0))
XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description Iptc4xmpExt:DigitalSourceType=
"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/></x:xmpmeta>"""


def encoded(form, image=PICTURE, **options):
    stream = io.BytesIO()
    image.save(stream, format=form, **options)
    return stream.getvalue()


def png_text(**texts):
    info = PngInfo()
    for key, value in texts.items():
        info.add_text(key, value)
    return encoded("PNG", pnginfo=info)


@pytest.mark.parametrize("quality", [1, 10, 30, 49, 50, 51, 75, 90, 95, 99, 100])
def test_jpeg_quality_is_the_one_that_was_asked_for(quality):
    assert describe_file(encoded("JPEG", quality=quality))["jpeg_quality"] == quality


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_jpeg_subsampling_is_the_one_that_was_asked_for(subsampling):
    facts = describe_file(encoded("JPEG", subsampling=subsampling, progressive=True))
    assert facts["jpeg_subsampling"] == subsampling
    assert facts["jpeg_progressive"]
    assert describe_file(encoded("JPEG", PICTURE.convert("L")))["jpeg_subsampling"] == "none"


def test_other_formats_have_no_jpeg_facts():
    for form in ("PNG", "WEBP", "BMP", "TIFF", "GIF"):
        facts = describe_file(encoded(form))
        assert facts["format"] == form
        assert facts["jpeg_quality"] is None
        assert facts["jpeg_subsampling"] == ""


@pytest.mark.parametrize(
    ("data", "software"),
    [
        (png_text(parameters="a cat\nSteps: 20, Sampler: Euler a"), "Stable Diffusion web UI"),
        (png_text(prompt='{"3": {"class_type": "KSampler"}}', workflow='{"last_node_id": 9}'), "ComfyUI"),
        (png_text(Software="NovelAI", Comment='{"steps": 28}'), "NovelAI"),
        (png_text(Description="a cat --v 6 Job ID: 12-34", Author="Midjourney"), "Midjourney"),
        (png_text(invokeai_metadata="{}"), "InvokeAI"),
        (encoded("JPEG", comment="Adobe Firefly"), "Adobe Firefly"),
        (png_text(Comment="a firefly over Paris, painted with Midnight"), ""),
    ],
)  # fmt: skip
def test_generator_software_is_named(data, software):
    assert describe_file(data)["generator_software"] == software


def test_text_that_is_compressed_international_or_in_an_exif_comment_is_read():
    parameters = "a cat\nSteps: 20, Sampler: Euler a, Seed: 1"
    info = PngInfo()
    info.add_text("parameters", parameters, zip=True)
    international = PngInfo()
    international.add_itxt("parameters", parameters, zip=True)
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + parameters.encode("utf-16-be")
    files = [
        encoded("PNG", pnginfo=info),
        encoded("PNG", pnginfo=international),
        encoded("JPEG", exif=exif),
        encoded("WEBP", exif=exif),
    ]
    for data in files:
        assert describe_file(data)["generator_software"] == "Stable Diffusion web UI"


def test_a_source_type_says_that_an_image_is_generated():
    for data in (encoded("JPEG", xmp=XMP), encoded("WEBP", xmp=XMP)):
        facts = describe_file(data)
        assert facts["says_generated"]
        assert facts["xmp"]
    other = XMP.replace(b"trainedAlgorithmicMedia", b"digitalCapture")
    assert not describe_file(encoded("JPEG", xmp=other))["says_generated"]


def test_content_credentials_are_noticed():
    box = b"\0\0\0\x20jumb\0\0\0\x18jumdc2pa"
    chunk = struct.pack(">I", len(box)) + b"caBX" + box
    chunk += struct.pack(">I", zlib.crc32(b"caBX" + box))
    png = encoded("PNG")
    assert describe_file(png[:-12] + chunk + png[-12:])["credentials"]
    segment = b"\xff\xeb" + struct.pack(">H", len(box) + 10) + b"JP\0\1\0\0\0\1" + box
    jpeg = encoded("JPEG")
    assert describe_file(jpeg[:2] + segment + jpeg[2:])["credentials"]
    assert not describe_file(png)["credentials"]


def test_a_camera_is_told_from_software():
    exif = Image.Exif()
    exif[0x010F] = "Canon"
    exif[0x0131] = "Adobe Photoshop 25.0"
    facts = describe_file(encoded("JPEG", exif=exif))
    assert facts["camera"]
    assert facts["exif"]
    assert facts["editing_software"] == "Photoshop"
    assert facts["generator_software"] == ""


def test_a_file_cut_or_changed_anywhere_is_no_crash():
    rng = np.random.default_rng(0)
    files = [png_text(parameters="x"), encoded("JPEG", xmp=XMP), encoded("WEBP", xmp=XMP)]
    for data in files:
        for stop in range(0, len(data), 97):
            metadata_blocks(data[:stop])
        for _ in range(200):
            damaged = bytearray(data)
            damaged[rng.integers(len(damaged))] ^= 1 << rng.integers(8)
            metadata_blocks(bytes(damaged))


def test_a_compressed_text_cannot_fill_the_memory():
    bomb = b"parameters\0\0" + zlib.compress(b"a" * (64 << 20))
    chunk = struct.pack(">I", len(bomb)) + b"zTXt" + bomb
    chunk += struct.pack(">I", zlib.crc32(b"zTXt" + bomb))
    png = encoded("PNG")
    blocks = metadata_blocks(png[:-12] + chunk + png[-12:])
    assert max(len(block.content) for block in blocks) < 2 << 20


@pytest.mark.parametrize(("width", "quality"), [(1, None), (2, None), (8, None), (2, 75), (8, 75)])
def test_a_border_is_measured(width, quality):
    framed = photo(3)
    framed[:width], framed[-width:], framed[:, :width], framed[:, -width:] = 0, 0, 0, 0
    if quality is None:
        assert pixel_facts(framed).border == width
    else:  # JPEG rings: the innermost line may be no longer constant
        data = encoded("JPEG", Image.fromarray(framed), quality=quality)
        border = pixel_facts(np.asarray(Image.open(io.BytesIO(data)))).border
        assert width - 1 <= border <= width
    assert pixel_facts(photo(3)).border == 0
    assert pixel_facts(np.full((64, 64, 3), 9, np.uint8)).border == 0


def test_an_enlarged_picture_has_empty_high_frequencies():
    noise = np.random.default_rng(0).integers(0, 255, (96, 96, 3), dtype=np.uint8)
    enlarged = Image.fromarray(noise).resize((288, 288), Image.Resampling.LANCZOS)
    assert pixel_facts(np.asarray(enlarged)).enlarged
    assert not pixel_facts(noise).enlarged
    assert not pixel_facts(photo(0)).enlarged
