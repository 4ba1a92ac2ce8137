"""Indexing: each image read once, bad ones listed, and a cache that notices what changed."""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys

import pytest
from PIL import Image

from bench.datasets import DecodePolicy, pocket_root
from bench.datasets.indexing.index import index
from bench.errors import DataError

FILES = ["real/0.png", "real/1.png", "fake/0.png", "fake/1.png"]


def test_records_say_what_the_files_are(lay, read, encode):
    jpeg = encode("JPEG", 1, (20, 10))
    root = lay({"real/a.png": jpeg, "fake/b.png": encode()})
    record = next(r for r in read(root).records() if r.label == 0)
    assert (record.format, record.width, record.height) == ("JPEG", 20, 10)
    assert record.bytes == len(jpeg)
    assert record.sha256 == hashlib.sha256(jpeg).hexdigest()
    assert record.group == record.sample_id == record.locator == "real/a.png"


def test_bad_images_are_listed_with_reasons_and_left_out(lay, read, encode):
    png, jpeg = encode("PNG", 1, (40, 40)), encode("JPEG", 1, (40, 40))
    flipped = bytearray(png)
    flipped[len(png) // 2] ^= 1
    root = lay(
        {
            "real/good.png": png,
            "fake/good.jpg": jpeg,
            "fake/cut.jpg": jpeg[:-50],
            "fake/cut.png": png[:-50],
            "fake/empty.png": b"",
            "fake/flipped.png": bytes(flipped),
            "fake/page.jpg": b"<html>404</html>",
            "fake/words": b"hello",
        }
    )
    manifest = read(root)
    assert [r.sample_id for r in manifest.records()] == ["fake/good.jpg", "real/good.png"]
    assert {b["path"]: b["reason"] for b in manifest.bad.to_pylist()} == {
        "fake/cut.jpg": "a truncated JPEG (no end-of-image marker)",
        "fake/cut.png": "a truncated PNG (no IEND chunk)",
        "fake/empty.png": "an empty file (0 bytes)",
        "fake/flipped.png": "a damaged PNG (chunk IDAT fails its checksum)",
        "fake/page.jpg": "an HTML page, not an image (a failed download?)",
        "fake/words": "not an image of an allowed format (JPEG, PNG, WEBP, BMP, TIFF, GIF, AVIF)"
        " (suffix none)",
    }


def test_a_generator_whose_reals_are_all_bad_cannot_be_judged(lay, read, encode):
    with pytest.raises(DataError, match="no real ones"):
        read(lay({"real/0.png": b"", "fake/0.png": encode()}))
    with pytest.raises(DataError, match=r"none of 2 images can be read.*an empty file"):
        read(lay({"real/0.png": b"", "fake/0.png": b""}, root="worse"))


def test_a_second_call_reads_no_image(lay, read, reads):
    root = lay(FILES)
    first = read(root)
    assert sorted(reads) == sorted(FILES)
    reads.clear()
    second = read(root)
    assert reads == []
    assert second.digest == first.digest
    assert second.table == first.table
    assert second.pairing == first.pairing


def test_a_second_call_for_cifake_opens_no_image_at_all(lay, read, reads, monkeypatch):
    from PIL import Image

    root = lay(
        [f"{s}/{c}/0.jpg" for s in ("train", "test") for c in ("REAL", "FAKE")], size=(32, 32)
    )
    first = read(root)
    monkeypatch.setattr(Image, "open", None)
    assert read(root).digest == first.digest


@pytest.mark.parametrize("change", ["edit", "add", "remove", "touch"])
def test_a_change_is_noticed(lay, read, reads, encode, change):
    root = lay(FILES)
    first = read(root)
    reads.clear()
    target = root / "fake/1.png"
    if change == "edit":
        target.write_bytes(encode(seed=77, size=(9, 9)))
    elif change == "add":
        (root / "fake/2.png").write_bytes(encode(seed=77))
    elif change == "remove":
        target.unlink()
    else:
        os.utime(target, ns=(0, 0))
    second = read(root)
    assert reads
    assert (second.digest == first.digest) == (change == "touch")


def test_an_image_that_only_a_table_lists_is_watched_too(lay, read, reads, encode):
    root = lay(["pics/0.png", "pics/1.png"])
    (root / "tables").mkdir()
    table = root / "tables" / "list.csv"
    table.write_text("path,label\n../pics/0.png,1\n../pics/1.png,0\n")
    first = read(table)
    reads.clear()
    assert read(table).digest == first.digest
    assert reads == []
    (root / "pics/0.png").write_bytes(encode(seed=77, size=(9, 9)))
    assert read(table).digest != first.digest


def test_refresh_reads_all_again(lay, read, reads):
    root = lay(FILES)
    read(root)
    target = root / "fake/1.png"
    stat = target.stat()
    target.write_bytes(target.read_bytes()[:-1] + b"\0")  # damaged, same size
    os.utime(target, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    reads.clear()
    assert read(root).bad.num_rows == 0  # size and time say nothing changed
    assert read(root, refresh=True).bad.num_rows == 1
    assert sorted(reads) == sorted(FILES)


def test_options_that_change_the_result_do_not_share_a_cache(lay, read):
    root = lay(FILES)
    assert read(root).layout == "generic"
    assert read(root, "label-first").layout == "label-first"
    assert read(root, name="mine").name == "mine"
    assert read(root).name == "data"
    with pytest.raises(DataError, match="pixels"):
        read(root, policy=DecodePolicy(max_pixels=10))


def test_old_states_do_not_pile_up(lay, read, tmp_path, encode):
    root = lay(FILES)
    for i in range(3):
        (root / f"fake/new{i}.png").write_bytes(encode(seed=i + 50))
        read(root)
    assert len(list((tmp_path / "cache").rglob("*.parquet"))) == 1


def test_a_damaged_cache_is_rebuilt(lay, read, tmp_path, caplog):
    root = lay(FILES)
    digest = read(root).digest
    (kept,) = (tmp_path / "cache").rglob("*.parquet")
    kept.write_bytes(kept.read_bytes()[:100])
    with caplog.at_level(logging.WARNING):
        assert read(root).digest == digest
    assert "the cached index is not used" in caplog.text
    caplog.clear()
    assert read(root).digest == digest
    assert caplog.text == ""


def test_an_unwritable_cache_is_a_warning(lay, read, tmp_path, caplog):
    (tmp_path / "blocked").write_text("a file where a folder should be")
    with caplog.at_level(logging.WARNING):
        manifest = read(lay(FILES), cache_dir=tmp_path / "blocked")
    assert len(manifest) == 4
    assert "not cached" in caplog.text


@pytest.mark.parametrize("variable", ["BENCH_CACHE", "XDG_CACHE_HOME"])
def test_the_cache_goes_where_the_environment_says(lay, read, tmp_path, monkeypatch, variable):
    monkeypatch.delenv("BENCH_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "unused"))
    monkeypatch.setenv(variable, str(tmp_path / "there"))
    read(lay(FILES), cache_dir=None)
    assert list((tmp_path / "there").rglob("*.parquet"))


def test_progress_ends_at_the_whole(lay, read):
    seen: list[tuple[int, int]] = []
    root = lay([f"{c}/{i}.png" for c in ("real", "fake") for i in range(70)])
    read(root, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (140, 140)
    assert seen == sorted(seen)
    assert len(seen) > 1


def test_workers_do_not_change_the_result(lay, read):
    root = lay([f"{c}/{i}.png" for c in ("real", "fake") for i in range(70)])
    digests = {read(root, workers=n, refresh=True).digest for n in (1, 2, 8)}
    assert len(digests) == 1


def test_without_hash_only_headers_are_read(lay, read):
    manifest = read(lay(FILES), hash=False)
    assert {r.sha256 for r in manifest.records()} == {""}
    assert all(r.width == 8 and r.bytes > 0 for r in manifest.records())


def test_no_torch_is_imported():
    code = "import sys, bench.datasets; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def test_the_embedded_set_reads_where_it_is_built(read):
    if not list(pocket_root().glob("*.parquet")):
        pytest.skip("the embedded data set is not built")
    manifest = read(pocket_root())
    assert manifest.name == "pocket"
    assert set(manifest.splits()) == {"train", "val", "test"}
    assert manifest.bad.num_rows == 0


def test_an_index_made_anew_is_what_every_later_reader_sees(tmp_path):
    """Also one that asks for certain splits, whose index is kept apart."""
    root = tmp_path / "set"
    for split in ("train", "test"):
        for label in ("real", "fake"):
            (root / "alpha" / split / label).mkdir(parents=True)
            for i in range(3):
                shade = (i * 9, 5 if label == "real" else 60, len(split))
                Image.new("RGB", (8, 8), shade).save(root / "alpha" / split / label / f"{i}.png")
    keep = {"cache_dir": tmp_path / "cache"}
    before = index(root, split=["test"], **keep)
    path = root / "alpha" / "test" / "fake" / "0.png"
    state, content = path.stat(), path.read_bytes()
    Image.new("RGB", (8, 8), (1, 2, 3)).save(path)
    path.write_bytes(path.read_bytes().ljust(len(content), b"\0"))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    if path.stat().st_size != len(content):
        pytest.skip("the other image is larger than the first")
    assert index(root, split=["test"], **keep).digest == before.digest
    index(root, refresh=True, **keep)
    after = index(root, split=["test"], **keep)
    assert after.digest != before.digest
    assert index(root, split=["test"], **keep).digest == after.digest
