"""The decode policy on the files that break naive decoders. Oracles are the arrays encoded."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from bench.datasets import BadImageError, DecodePolicy, ImageRecord, StaleIndexError, decode, load
from bench.datasets.sources.header import read_header
from bench.errors import DataError


def save(image: Image.Image, fmt: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, fmt, **options)
    return buffer.getvalue()


def noise(*shape: int, dtype=np.uint8) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


def assert_ours(pixels: np.ndarray) -> None:
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    assert pixels.flags.c_contiguous
    assert pixels.flags.writeable


@pytest.mark.parametrize("fmt", ["PNG", "BMP", "TIFF", "WEBP"])
def test_lossless_rgb_comes_back_bit_for_bit(fmt):
    pixels = noise(6, 8, 3)
    options = {"lossless": True} if fmt == "WEBP" else {}
    out = decode(save(Image.fromarray(pixels), fmt, **options))
    assert_ours(out)
    np.testing.assert_array_equal(out, pixels)


@pytest.mark.parametrize("fmt", ["JPEG", "AVIF", "GIF"])
def test_lossy_formats_open(fmt):
    assert_ours(decode(save(Image.fromarray(noise(16, 16, 3)), fmt)))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("fmt", ["PNG", "TIFF"])
def test_exif_orientation_is_applied(orientation, fmt):
    pixels = noise(4, 6, 3)
    # The transforms of the EXIF standard (CIPA DC-008, tag 0x0112), written out.
    upright = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.transpose(1, 0, 2),
        6: np.rot90(pixels, -1),
        7: pixels[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(pixels, 1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = save(Image.fromarray(pixels), fmt, exif=exif)
    np.testing.assert_array_equal(decode(data), upright)
    if fmt == "PNG":
        np.testing.assert_array_equal(decode(data, DecodePolicy(exif=False)), pixels)


def test_an_unreadable_exif_block_leaves_the_image():
    data = save(Image.fromarray(noise(16, 16, 3)), "JPEG", exif=b"Exif\0\0garbage that is no TIFF")
    assert decode(data).shape == (16, 16, 3)


def test_alpha_shows_the_stated_colour_and_not_what_hides_beneath():
    pixels = np.zeros((1, 3, 4), np.uint8)
    pixels[..., 0] = 200  # red everywhere
    pixels[0, :, 3] = [255, 0, 128]  # opaque, hidden, half
    data = save(Image.fromarray(pixels), "PNG")
    np.testing.assert_array_equal(decode(data)[0, :2], [[200, 0, 0], [255, 255, 255]])
    np.testing.assert_allclose(decode(data)[0, 2], [227, 127, 127], atol=1)
    on_blue = decode(data, DecodePolicy(alpha_colour=(0, 0, 255)))
    np.testing.assert_array_equal(on_blue[0, 1], [0, 0, 255])


def test_palette_with_transparency():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60] + [0] * 762)
    image.putdata([0, 1])
    data = save(image, "PNG", transparency=1)
    np.testing.assert_array_equal(decode(data), [[[10, 20, 30], [255, 255, 255]]])


def test_rgb_and_gray_with_a_transparent_colour():
    image = Image.fromarray(np.array([[[1, 2, 3], [9, 9, 9]]], np.uint8))
    data = save(image, "PNG", transparency=(9, 9, 9))
    np.testing.assert_array_equal(decode(data), [[[1, 2, 3], [255, 255, 255]]])
    gray = Image.fromarray(np.array([[7, 9]], np.uint8))
    data = save(gray, "PNG", transparency=9)
    np.testing.assert_array_equal(decode(data), [[[7, 7, 7], [255, 255, 255]]])


def test_gray_with_alpha():
    image = Image.fromarray(np.array([[[50, 255], [50, 0]]], np.uint8), "LA")
    np.testing.assert_array_equal(decode(save(image, "PNG"))[0], [[50] * 3, [255] * 3])


@pytest.mark.parametrize("fmt", ["PNG", "TIFF"])
def test_sixteen_bit_gray_is_scaled_and_not_clipped(fmt):
    levels = np.arange(256, dtype=np.uint16).reshape(16, 16)
    out = decode(save(Image.fromarray(levels * 257), fmt))
    np.testing.assert_array_equal(out, np.repeat(levels[..., None], 3, axis=2))


def test_sixteen_bit_big_endian_tiff():
    levels = (np.arange(4, dtype=np.uint16) * 64).reshape(2, 2)
    image = Image.frombytes("I;16B", (2, 2), (levels * 257).astype(">u2").tobytes())
    np.testing.assert_array_equal(decode(save(image, "TIFF"))[..., 0], levels)


def test_sixteen_bit_gray_and_colour_of_one_picture_agree():
    levels = noise(8, 8, dtype=np.uint16)
    gray = decode(save(Image.fromarray(levels), "PNG"))
    colour = decode(_png_rgb16(levels))
    np.testing.assert_array_equal(gray, colour)


def _png_rgb16(levels: np.ndarray) -> bytes:
    """A 16-bit RGB PNG with three equal channels, by hand (Pillow writes none)."""
    height, width = levels.shape
    rows = np.repeat(levels[..., None], 3, axis=2).astype(">u2")
    raw = b"".join(b"\0" + rows[y].tobytes() for y in range(height))
    return png([(b"IHDR", ihdr(width, height, 16, 2)), (b"IDAT", zlib.compress(raw))])


def ihdr(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    return struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)


def png(chunks: list[tuple[bytes, bytes]]) -> bytes:
    out = b"\x89PNG\r\n\x1a\n"
    for kind, data in [*chunks, (b"IEND", b"")]:
        crc = zlib.crc32(kind + data)
        out += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)
    return out


@pytest.mark.parametrize("mode", ["F", "I"])
def test_samples_without_a_stated_range_are_refused(mode):
    with pytest.raises(BadImageError, match="no stated range"):
        decode(save(Image.new(mode, (4, 4)), "TIFF"))


def test_one_bit_and_gray():
    image = Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1")
    np.testing.assert_array_equal(decode(save(image, "PNG"))[0], [[0] * 3, [255] * 3])


@pytest.mark.parametrize(("fmt", "tolerance"), [("TIFF", 0), ("JPEG", 3)])
def test_cmyk(fmt, tolerance):
    image = Image.new("CMYK", (16, 16), (255, 0, 0, 0))  # pure cyan ink
    out = decode(save(image, fmt)).astype(int)
    assert np.abs(out - [0, 255, 255]).max() <= tolerance


@pytest.mark.parametrize("fmt", ["GIF", "WEBP", "PNG"])
def test_the_first_frame_of_an_animation(fmt):
    frames = [Image.new("RGB", (8, 8), c) for c in ("red", "lime")]
    options = {"lossless": True} if fmt == "WEBP" else {}
    data = save(frames[0], fmt, save_all=True, append_images=frames[1:], duration=100, **options)
    np.testing.assert_array_equal(decode(data), np.full((8, 8, 3), (255, 0, 0)))


def test_a_phone_jpeg_with_two_pictures_is_a_jpeg():
    frames = [Image.new("RGB", (16, 16), c) for c in ("red", "lime")]
    data = save(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert read_header(data).format == "JPEG"
    assert decode(data)[0, 0, 0] > 250


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"])
def test_truncated_files_are_errors_at_every_length(fmt, share, monkeypatch):
    data = save(Image.fromarray(noise(64, 64, 3)), fmt)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)  # as some library may do
    with pytest.raises(BadImageError):
        decode(data[: int(len(data) * share)])


def test_truncation_of_jpeg_and_png_shows_without_decoding():
    for fmt, words in (("JPEG", "truncated JPEG"), ("PNG", "truncated PNG")):
        data = save(Image.fromarray(noise(64, 64, 3)), fmt)
        with pytest.raises(BadImageError, match=words):
            read_header(data[:-20])


def test_no_flipped_bit_in_a_png_goes_unnoticed():
    pixels = noise(16, 16, 3)
    data = save(Image.fromarray(pixels), "PNG")
    for at in range(0, len(data) * 8, 37):
        damaged = bytearray(data)
        damaged[at // 8] ^= 1 << at % 8
        try:
            out = decode(bytes(damaged))
        except BadImageError:
            continue
        np.testing.assert_array_equal(out, pixels)  # e.g. a flip in the checksum of IEND


@pytest.mark.filterwarnings("ignore:Tag data larger")
def test_flipped_bits_elsewhere_raise_nothing_but_bad_image():
    rng = np.random.default_rng(1)
    for fmt in ("JPEG", "WEBP", "GIF", "TIFF", "BMP"):
        data = save(Image.fromarray(noise(24, 24, 3)), fmt)
        for _ in range(60):
            damaged = bytearray(data)
            damaged[rng.integers(len(data))] ^= 1 << rng.integers(8)
            with contextlib.suppress(BadImageError):
                assert_ours(decode(bytes(damaged)))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("magic", [42, 43])
def test_a_tiff_cut_in_its_directory_is_a_bad_image_at_every_byte(order, magic):
    """Our own look at a TIFF's directories, before Pillow's, is cut short anywhere."""
    word, count = ("Q", "Q") if magic == 43 else ("I", "H")
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}H", magic)
    head += struct.pack(f"{order}HH", 8, 0) if magic == 43 else b""
    body = head + struct.pack(order + word, len(head) + struct.calcsize(word) + 8) + b"CS" * 4
    body += struct.pack(order + count, 3) + bytes(range(7, 70))
    for length in range(8, len(body)):
        with pytest.raises(BadImageError):
            decode(body[:length])


def test_a_bomb_is_refused_by_its_header():
    bomb = png([(b"IHDR", ihdr(60_000, 60_000)), (b"IDAT", zlib.compress(b"\0" * 1000))])
    with pytest.raises(BadImageError, match="limit of 250000000"):
        decode(bomb)
    with pytest.raises(BadImageError, match="limit"):
        read_header(bomb)


def test_the_pixel_limit_of_the_policy():
    data = save(Image.new("RGB", (20, 10)), "PNG")
    assert decode(data, DecodePolicy(max_pixels=200)).shape == (10, 20, 3)
    with pytest.raises(BadImageError, match="20 x 10 pixels, more than the limit of 199"):
        decode(data, DecodePolicy(max_pixels=199))


def test_formats_are_an_allow_list():
    data = save(Image.new("RGB", (4, 4)), "GIF")
    with pytest.raises(BadImageError, match=r"allowed format \(JPEG, PNG\)"):
        decode(data, DecodePolicy(formats=("JPEG", "PNG")))
    with pytest.raises(BadImageError, match="not an image of an allowed format"):
        decode(save(Image.new("RGB", (4, 4)), "PPM"))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty file"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "HTML page"),
        (b"\n <HTML>login</HTML>", "HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"\0" * 4096, "zero bytes only"),
        (b"PK\x03\x04rest", "ZIP"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"hello", "not an image of an allowed format"),
    ],
)
def test_what_is_no_image_says_what_it_is(data, words):
    with pytest.raises(BadImageError, match=words):
        decode(data)


def test_a_bad_image_is_a_data_error():
    assert issubclass(BadImageError, DataError)


@pytest.mark.parametrize(
    "wrong",
    [
        {"alpha_colour": (0, 0, 256)},
        {"alpha_colour": (0, 0)},
        {"max_pixels": 0},
        {"max_pixels": 10**9},
        {"formats": ("JPEG", "EPS")},
        {"formats": ()},
    ],
)
def test_a_policy_that_cannot_be_kept(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DecodePolicy(**wrong)


def test_the_digest_of_a_policy_covers_every_choice():
    policies = [
        DecodePolicy(),
        DecodePolicy(alpha_colour=(0, 0, 0)),
        DecodePolicy(max_pixels=10),
        DecodePolicy(formats=("PNG",)),
        DecodePolicy(exif=False),
    ]
    assert len({p.digest() for p in policies}) == len(policies)
    assert (
        DecodePolicy(formats=("PNG", "GIF")).digest()
        == DecodePolicy(formats=("GIF", "PNG")).digest()
    )


def test_load_notices_a_file_that_changed_or_went(lay, read, encode):
    root = lay(["real/0.png", "fake/0.png"])
    record: ImageRecord = next(read(root).records())
    assert load(root, record).shape == (6, 8, 3)
    (root / record.locator).write_bytes(encode(seed=99))
    with pytest.raises(StaleIndexError, match="bench data index --refresh"):
        load(root, record)
    (root / record.locator).unlink()
    with pytest.raises(StaleIndexError, match="no such file"):
        load(root, record)


def test_a_jpeg_without_its_last_two_bytes_is_refused_alike_by_index_and_decoder():
    data = save(Image.fromarray(noise(16, 16, 3)), "JPEG")[:-2]
    for reads in (read_header, decode):
        with pytest.raises(BadImageError, match="truncated JPEG"):
            reads(data)
