"""Half an image is listed as bad, whatever its format; what decides no pixel is no damage."""

from __future__ import annotations

import io
import os
import re
import socket
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin, TiffImagePlugin

from bench.datasets import BadImageError, DecodePolicy, decode, index
from bench.datasets.sources.header import read_header
from bench.errors import DataError

SIDE = 128


def picture() -> Image.Image:
    """Smooth enough to compress, busy enough to leave data in every part of the file."""
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))
    grain = rng.integers(-8, 9, (SIDE, SIDE, 3))
    smooth = np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BICUBIC)).astype(int)
    return Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8))


def save(fmt: str, mode: str = "RGB", **options) -> bytes:
    buffer = io.BytesIO()
    picture().convert(mode).save(buffer, fmt, **options)
    return buffer.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def png_of_rows(rows: int, *, interlace: int = 0, finish: bool = True, extra: bytes = b"") -> bytes:
    """A PNG of SIDE rows whose image data holds some of them, every checksum right."""
    pixels = np.asarray(picture())
    packer = zlib.compressobj()
    raw = b"".join(b"\0" + pixels[y].tobytes() for y in range(rows)) + extra
    packed = packer.compress(raw) + packer.flush(zlib.Z_FINISH if finish else zlib.Z_SYNC_FLUSH)
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, interlace)
    data = [packed[i : i + 5000] for i in range(0, len(packed), 5000)]
    body = b"".join(chunk(b"IDAT", part) for part in data)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


def cut_gif(data: bytes, share: float) -> bytes:
    """A GIF that keeps a share of its picture's blocks, and ends as it should."""
    start = data.index(b"\x2c", 13 + 768) + 11
    blocks, position = [], start
    while length := data[position]:
        blocks.append(data[position : position + 1 + length])
        position += 1 + length
    return data[:start] + b"".join(blocks[: int(len(blocks) * share)]) + b"\0;"


def cut_webp(data: bytes, share: float) -> bytes:
    """A WebP whose only chunk is cut, and whose two lengths say so."""
    length = int(struct.unpack_from("<I", data, 16)[0] * share) & ~1
    head = data[:4] + struct.pack("<I", 12 + length) + data[8:16] + struct.pack("<I", length)
    return head + data[20 : 20 + length]


def assert_bad(data: bytes, words: str) -> None:
    for reads in (read_header, decode):
        with pytest.raises(BadImageError, match=words):
            reads(data)


def assert_good(data: bytes) -> None:
    read_header(data)
    image = Image.open(io.BytesIO(data))
    np.testing.assert_array_equal(decode(data), np.asarray(image.convert("RGB")))


JPEGS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_blocks": 4},
    "gray": {"mode": "L"},
    "cmyk": {"mode": "CMYK"},
    "444": {"subsampling": 0},
}


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("share", [0.3, 0.5, 0.8, 0.97])
def test_a_part_of_a_jpeg_with_an_end_marker(kind, share):
    data = save("JPEG", quality=90, **JPEGS[kind])
    assert_good(data)
    assert_bad(data[: int(len(data) * share)] + b"\xff\xd9", "truncated")


@pytest.mark.parametrize("kind", ["baseline", "gray", "444"])
def test_a_marker_inside_a_scan(kind):
    data = save("JPEG", quality=90, **JPEGS[kind])
    at = data.index(b"\xff\xda") + 200
    assert_bad(data[:at] + b"\xff\xd0" + data[at:], "truncated or damaged JPEG")


@pytest.mark.parametrize("scan", range(1, 10))
def test_a_progressive_jpeg_cut_between_two_scans(scan):
    data = save("JPEG", quality=90, progressive=True)
    starts = [match.start() for match in re.finditer(b"\xff\xda", data)]
    assert len(starts) == 10
    assert_bad(data[: starts[scan]] + b"\xff\xd9", "truncated JPEG")


def test_a_lost_stretch_of_a_jpeg():
    data = save("JPEG", quality=90)
    half = len(data) // 2
    assert_bad(data[:half] + data[half + 3000 :], "JPEG")


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-2] + b"\0\0" + data[-2:],  # padding some cameras leave
        lambda data: data + b"a trailer of a phone" * 9,
        lambda data: data.replace(b"JFIF\0\x01", b"JFIF\0\x07"),
        lambda data: data[:2] + b"\xff\xfe\x00\x08 hello" + data[2:],
        lambda data: data[:2] + b"\xff\xe2\x00\x10ICC_PROFILE\0\x03\x01" + data[2:],
    ],
    ids=["padding", "trailer", "JFIF version", "comment", "cut colour profile"],
)
@pytest.mark.parametrize("kind", ["baseline", "progressive"])
def test_what_surrounds_the_data_of_a_jpeg_is_no_damage(kind, change):
    data = save("JPEG", quality=90, **JPEGS[kind])
    changed = change(data)
    np.testing.assert_array_equal(decode(changed), decode(data))
    read_header(changed)


def test_damage_behind_a_harmless_oddity_of_a_jpeg():
    data = save("JPEG", quality=90).replace(b"JFIF\0\x01", b"JFIF\0\x07")
    assert_bad(data[: len(data) // 2] + b"\xff\xd9", "truncated or damaged JPEG")


@pytest.mark.parametrize("rows", [1, SIDE // 2, SIDE - 1])
def test_a_png_with_some_of_its_rows(rows):
    assert_bad(png_of_rows(rows), "truncated PNG")
    assert_bad(png_of_rows(rows, finish=False), "truncated PNG")


def test_a_png_whose_stream_never_ends():
    assert_bad(png_of_rows(SIDE, finish=False), "truncated PNG")


def test_a_png_that_says_interlaced_needs_the_rows_of_all_passes():
    assert_bad(png_of_rows(SIDE - 20, interlace=1), "truncated PNG")


def test_a_png_with_more_than_its_rows_is_whole():
    data = png_of_rows(SIDE, extra=b"\0" * 100_000)
    np.testing.assert_array_equal(decode(data), np.asarray(picture()))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_whole_pngs_of_every_mode(mode):
    if mode == "I;16":
        image = Image.fromarray(np.arange(33 * 17, dtype=np.uint16).reshape(33, 17))
    else:
        image = picture().convert(mode).crop((0, 0, 33, 17))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    assert decode(buffer.getvalue()).shape == (*image.size[::-1], 3)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
@pytest.mark.parametrize("options", [{}, {"interlace": 0}, {"mode": "L"}])
def test_a_gif_with_some_of_its_blocks(share, options):
    data = save("GIF", **options)
    assert_good(data)
    assert_bad(cut_gif(data, share), "truncated GIF")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
@pytest.mark.parametrize("lossless", [False, True])
def test_a_webp_cut_with_its_lengths_mended(share, lossless):
    data = save("WEBP", lossless=lossless)
    assert_good(data)
    assert_bad(cut_webp(data, share), "cannot be decoded|damaged header")


@pytest.mark.parametrize(
    "compression", [None, "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits"]
)
def test_tiffs_are_whole_or_bad(compression):
    data = save("TIFF", compression=compression)
    assert_good(data)
    assert_bad(data[: len(data) // 2], "truncated|damaged|decoded")


def test_a_jpeg_inside_a_tiff():
    data = bytearray(save("TIFF", compression="jpeg"))
    tags = Image.open(io.BytesIO(data)).tag_v2
    at = tags[273][0] + tags[279][0] // 2
    data[at : at + 2] = b"\xff\xd9"
    assert_bad(bytes(data), "truncated or damaged JPEG")


def test_a_tiff_with_fewer_strips_than_rows():
    data = save("TIFF")
    tags = Image.open(io.BytesIO(data)).tag_v2
    entry = struct.pack("<HHI", 279, 4, 1)
    assert entry in data
    at = data.index(entry) + 8
    half = struct.pack("<I", tags[279][0] // 2)
    assert_bad(data[:at] + half + data[at + 4 :], "truncated TIFF")


def test_indexing_lists_them_as_decoding_does(lay, encode):
    whole = save("JPEG")
    root = lay(
        {
            "real/0.png": encode(), "fake/0.png": encode(seed=1),
            "real/half.jpg": whole[: len(whole) // 2] + b"\xff\xd9",
            "fake/half.png": png_of_rows(SIDE // 2),
            "fake/half.gif": cut_gif(save("GIF"), 0.5),
            "fake/half.webp": cut_webp(save("WEBP"), 0.5),
        }
    )  # fmt: skip
    bad = index(root).bad
    assert sorted(bad["path"].to_pylist()) == [
        "fake/half.gif", "fake/half.png", "fake/half.webp", "real/half.jpg",
    ]  # fmt: skip


def text(**chunks: str) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    for key, value in chunks.items():
        info.add_itxt(key, value, zip=True)
    return info


def metadata_pngs() -> dict[str, bytes]:
    big = "n" * 3_000_000
    plain = PngImagePlugin.PngInfo()
    plain.add_text("prompt", big, zip=True)
    several = PngImagePlugin.PngInfo()
    for i in range(90):
        several.add_text(f"prompt{i}", "n" * 900_000, zip=True)
    return {
        "iTXt": save("PNG", pnginfo=text(workflow=big)),
        "zTXt": save("PNG", pnginfo=plain),
        "more than 64 MB of text": save("PNG", pnginfo=several),
        "iCCP": save("PNG", icc_profile=bytes(2_000_000)),
        "64 MB of iCCP": save("PNG", icc_profile=bytes(64 << 20)),
        "XMP": save("PNG", pnginfo=text(**{"XML:com.adobe.xmp": big})),
        "iTXt and iCCP": save("PNG", pnginfo=text(workflow=big), icc_profile=bytes(2_000_000)),
    }


@pytest.mark.parametrize("kind", list(metadata_pngs()))
def test_large_metadata_of_a_png_is_no_damage(kind):
    data = metadata_pngs()[kind]
    np.testing.assert_array_equal(decode(data), np.asarray(picture()))
    assert read_header(data) == read_header(save("PNG"))
    assert read_header(io.BytesIO(data)) == read_header(save("PNG"))


def test_large_metadata_leaves_the_orientation():
    info = text(workflow="n" * 2_000_000)
    info.add_itxt("XML:com.adobe.xmp", '<rdf tiff:Orientation="3"/>')
    upside_down = np.asarray(picture())[::-1, ::-1]
    np.testing.assert_array_equal(decode(save("PNG", pnginfo=info)), upside_down)


@pytest.mark.parametrize("fmt", ["JPEG", "WEBP", "TIFF"])
def test_large_profiles_elsewhere(fmt):
    assert_good(save(fmt, icc_profile=bytes(3_000_000)))


def raw(tags: dict[int, object], *, second: tuple[int, int] = (800, 600)) -> bytes:
    """A TIFF as cameras write them: a small picture first, then a large one."""
    ifd = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        ifd[tag] = value
    buffer = io.BytesIO()
    full = Image.new("RGB", second, (9, 99, 200))
    picture().resize((160, 120)).save(
        buffer, "TIFF", tiffinfo=ifd, save_all=True, append_images=[full]
    )
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (raw({254: 1, 271: "NIKON CORPORATION"}), "camera raw file whose first picture is a preview"),
        (raw({254: 1, 271: "SONY"}), "160 x 120"),
        (raw({50706: bytes([1, 4, 0, 0])}), "DNG"),
        (raw({254: 1}), "TIFF whose first picture is a preview"),
        (raw({255: 2}), "TIFF whose first picture is a preview"),
        (b"II*\0\x10\0\0\0CR\x02\0" + bytes(600), "Canon CR2"),
        (b"FUJIFILMCCD-RAW 0201" + bytes(600), "Fujifilm RAF"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1" + bytes(600), "Canon CR3"),
        (b"IIU\0\x18\0\0\0" + bytes(600), "Panasonic RW2"),
        (b"IIRO\x08\0\0\0" + bytes(600), "Olympus ORF"),
        (b"FOVb" + bytes(600), "Sigma X3F"),
        (b"\0\0\0\x18ftypheix\0\0\0\0" + bytes(600), "HEIC"),
    ],
)  # fmt: skip
def test_camera_raw_and_previews_are_refused_by_name(data, words):
    assert_bad(data, words)
    with pytest.raises(BadImageError, match="convert it"):
        decode(data)


def test_a_preview_whose_picture_lies_in_a_sub_directory():
    """A TIFF with tag 330: a child that is larger than the first picture."""
    first = [(256, 4, 1, 16), (257, 4, 1, 12), (330, 4, 1, 0)]
    child = [(256, 4, 1, 1600), (257, 4, 1, 1200)]
    offset = 8 + 2 + 12 * len(first) + 4
    first[2] = (330, 4, 1, offset)

    def ifd(entries):
        return (
            struct.pack("<H", len(entries))
            + b"".join(struct.pack("<HHII", *entry) for entry in entries)
            + bytes(4)
        )

    data = b"II*\0\x08\0\0\0" + ifd(first) + ifd(child)
    assert_bad(data, "first picture is a preview or thumbnail of 16 x 12")


def test_pages_and_pyramids_are_read_as_before():
    """A page smaller than the next one, and a smaller copy behind the picture, are no previews."""
    assert decode(raw({254: 2})).shape == (120, 160, 3)
    assert decode(raw({}, second=(80, 60))).shape == (120, 160, 3)


def test_photographs_of_phones_and_medium_format_are_used(lay, encode):
    buffer = io.BytesIO()
    Image.new("L", (12_000, 9_000), 90).save(buffer, "JPEG", quality=20)
    header = read_header(buffer.getvalue())
    assert (header.width, header.height) == (12_000, 9_000)
    assert DecodePolicy().max_pixels >= 200_000_000


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_special_files_are_listed_with_their_reason(lay):
    root = lay(["real/0.png", "fake/0.png"])
    os.mkfifo(root / "fake/pipe.png")
    (root / "fake/zero.png").symlink_to("/dev/zero")
    (root / "fake/link.jpg").symlink_to(root / "fake/pipe.png")
    os.mkfifo(root / "fake/notes")
    here = Path.cwd()
    os.chdir(root / "fake")  # a socket's path is short
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("s.png")
    finally:
        os.chdir(here)
    bad = dict(zip(*(column.to_pylist() for column in index(root).bad.columns), strict=True))
    assert bad == {
        "fake/pipe.png": "a named pipe, not a regular file",
        "fake/link.jpg": "a named pipe, not a regular file",
        "fake/zero.png": "a character device, not a regular file",
        "fake/s.png": "a socket, not a regular file",
    }


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_table_that_names_a_pipe_does_not_wait(lay, tmp_path):
    root = lay(["0.png", "1.png"])
    os.mkfifo(root / "pipe")
    (root / "t.csv").write_text("path,label\n0.png,0\n1.png,1\npipe,1\n")
    assert index(root / "t.csv").bad["reason"].to_pylist() == [
        "a named pipe, not a regular file (suffix none)"
    ]
    with pytest.raises(DataError, match="is a named pipe"):
        index(root / "pipe")


@pytest.mark.parametrize("head", [b"", save("PNG"), save("JPEG")], ids=["zeros", "PNG", "JPEG"])
def test_a_file_far_larger_than_its_pixels_is_not_read(lay, head):
    root = lay(["real/0.png", "fake/0.png"])
    with (root / "fake/huge.png").open("wb") as stream:
        stream.write(head)
        stream.truncate(60 << 30)
    bad = index(root).bad
    assert bad["path"].to_pylist() == ["fake/huge.png"]
    assert re.search(r"zero bytes only|60.0 GiB", bad["reason"][0].as_py())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", "path,label,label\n0.png,0,1\n1.png,1,0\n"),
        ("t.csv", "path,label, label \n0.png,0,1\n1.png,1,0\n"),
        ("t.csv", "path,generator,label,generator\n0.png,,0,a\n1.png,b,1,c\n"),
        ("t.jsonl", '{"path": "0.png", "label": 0, "label": 1}\n{"path": "1.png", "label": 1}\n'),
    ],
)
def test_two_columns_of_one_name_are_refused(lay, name, content):
    root = lay(["0.png", "1.png"])
    (root / name).write_text(content)
    with pytest.raises(DataError, match=r"2 columns are called '(label|generator)'"):
        index(root / name)


def test_two_columns_of_one_name_in_parquet(lay):
    import pyarrow as pa
    import pyarrow.parquet as pq

    root = lay(["0.png", "1.png"])
    images = [(root / f"{i}.png").read_bytes() for i in (0, 1)]
    labels = [pa.array([0, 1]), pa.array([1, 0])]
    for first in ({"path": ["0.png", "1.png"]}, {"image": images}):
        ((column, values),) = first.items()
        table = pa.Table.from_arrays([pa.array(values), *labels], names=[column, "is_ai", "is_ai"])
        pq.write_table(table, root / "t.parquet")
        with pytest.raises(DataError, match="2 columns are called 'is_ai'"):
            index(root / "t.parquet")


def test_columns_without_a_name_may_be_several(lay):
    root = lay(["0.png", "1.png"])
    (root / "t.csv").write_text(",,path,label\na,b,0.png,0\nc,d,1.png,1\n")
    assert len(index(root / "t.csv").table) == 2
