"""ZIP and TAR archives are read in place, and what is hostile in them is listed and never read."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from bench.datasets import load, open_bytes
from bench.errors import DataError

NAMES = [f"sdxl/{kind}/{i}.png" for kind in ("real", "fake") for i in range(3)]


@pytest.fixture
def pack(tmp_path):
    """pack(name, {member: bytes}) -> the path of an archive of the kind its suffix says."""

    def make(name, members, folder="d"):
        path = tmp_path / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".zip"):
            with zipfile.ZipFile(path, "w") as archive:
                for member, data in members.items():
                    archive.writestr(member, data)
            return path
        with tarfile.open(path, "w" if name.endswith(".tar") else "w:gz") as archive:
            for member, data in members.items():
                info = tarfile.TarInfo(member)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        return path

    return make


@pytest.fixture
def images(encode):
    return {name: encode("PNG", seed) for seed, name in enumerate(NAMES)}


@pytest.mark.parametrize("name", ["d.zip", "d.tar", "d.tar.gz", "d.tgz"])
def test_an_archive_reads_as_the_folder_it_unpacks_to(name, pack, images, lay, read):
    folder = read(lay(images))
    for place in (pack(name, images), pack(name, images).parent):
        manifest = read(place)
        assert "read in place from the archive" in manifest.recognised
        assert manifest.digest == folder.digest  # ids, labels, sizes and hashes are the same
        assert manifest.bad.num_rows == 0
        for record in manifest.records():
            assert record.locator.startswith(f"{name}::sdxl/")
            assert open_bytes(manifest.root, record.locator) == images[record.sample_id]
            with Image.open(io.BytesIO(images[record.sample_id])) as image:
                np.testing.assert_array_equal(load(manifest.root, record), np.asarray(image))


def test_a_second_call_reads_no_image_and_a_changed_archive_all(pack, images, read, reads, encode):
    path = pack("d.zip", images)
    first = read(path)
    reads.clear()
    assert read(path).digest == first.digest
    assert not reads
    pack("d.zip", images | {"sdxl/fake/new.png": encode("PNG", 99)})
    assert len(read(path)) == 7
    assert len(reads) == 7


def test_archives_side_by_side_are_folders_of_their_names(pack, encode, read, facts):
    for seed, name in enumerate(("sdxl/fake.zip", "sdxl/real.tar", "glide.zip")):
        inner = ["fake", "real"] if name == "glide.zip" else [""]
        pack(name, {f"{kind}/0.png".strip("/"): encode("PNG", seed + len(kind)) for kind in inner})
    assert facts(read(pack("glide.zip", {"fake/0.png": encode(), "real/0.png": encode()}).parent)) == {
        "glide/fake/0.png": (1, "glide", "", ""),
        "glide/real/0.png": (0, "glide/real", "", ""),
        "sdxl/fake/0.png": (1, "sdxl", "", ""),
        "sdxl/real/0.png": (0, "sdxl/real", "", ""),
    }  # fmt: skip


def test_numbered_parts_of_one_set_fill_the_same_folders(pack, encode, read):
    pack("part1.zip", {f"sdxl/{k}/0.png": encode("PNG", i) for i, k in enumerate(("real", "fake"))})
    place = pack(
        "part2.zip",
        {f"sdxl/{k}/1.png": encode("PNG", i + 5) for i, k in enumerate(("real", "fake"))},
    )
    manifest = read(place.parent)
    assert set(manifest.pairing) == {"sdxl"}
    assert len({r.sha256 for r in manifest.records()}) == len(manifest) == 4


def test_archives_beside_loose_images_change_nothing(pack, images, lay, read):
    digest = read(lay(images, root="e")).digest
    pack("old.zip", {"x/fake/0.png": images[NAMES[0]]}, folder="e")
    assert read(lay(images, root="e")).digest == digest


HOSTILE = {
    "../../evil.png": "leads out",
    "/etc/evil.png": "leads out",
    "C:/evil.png": "leads out",
    "sdxl/fake/inner.zip": "inside an archive",
    "sdxl/fake/inner.tar.gz": "inside an archive",
    "sdxl/rows.parquet": "Parquet file inside",
    "a/" * 80 + "deep.png": "folders",
}


@pytest.mark.parametrize("name", ["d.zip", "d.tar"])
def test_hostile_names_are_listed_and_never_read(name, pack, images, read, tmp_path):
    manifest = read(pack(name, images | dict.fromkeys(HOSTILE, images[NAMES[0]])))
    assert len(manifest) == len(NAMES)
    bad = {row["path"].removeprefix(f"{name}::"): row["reason"] for row in manifest.bad.to_pylist()}
    for member, words in HOSTILE.items():
        assert words in bad[member.removesuffix("/")], member
    assert not list(tmp_path.rglob("evil.png"))


def test_an_encrypted_member_and_a_link_are_listed(tmp_path, images, read):
    path = tmp_path / "d.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in images.items():
            archive.writestr(name, data)
        link = zipfile.ZipInfo("sdxl/fake/link.png")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\x01\x02", 0, data.rindex(NAMES[-1].encode()))
    data[entry + 8] |= 1  # the flag of encryption, in the directory
    path.write_bytes(data)
    bad = {row["path"]: row["reason"] for row in read(path).bad.to_pylist()}
    assert "encrypted" in bad[f"d.zip::{NAMES[-1]}"]
    assert "link" in bad["d.zip::sdxl/fake/link.png"]


def test_links_devices_and_sparse_files_of_a_tar_are_listed(tmp_path, images, read):
    path = tmp_path / "d.tar"
    with tarfile.open(path, "w") as archive:
        for name, data in images.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for name, kind in (
            ("s.png", tarfile.SYMTYPE),
            ("h.png", tarfile.LNKTYPE),
            ("c.png", tarfile.CHRTYPE),
        ):
            info = tarfile.TarInfo(f"sdxl/fake/{name}")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    bad = read(path).bad.to_pylist()
    assert [row["path"].rpartition("/")[2] for row in bad] == ["c.png", "h.png", "s.png"]
    assert all("link or special file" in row["reason"] for row in bad)


def test_of_a_name_that_stands_twice_the_last_is_read_and_both_are_told(
    tmp_path, images, read, encode
):
    path = tmp_path / "d.zip"
    other = encode("PNG", 77)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in images.items():
            archive.writestr(name, data)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr(NAMES[0], other)
    manifest = read(path)
    assert "stands twice" in manifest.bad["reason"][0].as_py()
    assert open_bytes(manifest.root, f"d.zip::{NAMES[0]}") == other


@pytest.mark.parametrize("name", ["d.zip", "d.tar", "d.tar.gz"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_cut_archive_is_refused_whole(name, share, pack, images, read, lay):
    path = pack(name, images)
    data = path.read_bytes()
    whole = data.rindex(b"IEND") if name == "d.tar" else len(data)  # behind it only padding
    path.write_bytes(data[: int(whole * share)])
    with pytest.raises(DataError, match=r"(?s)d.*(cut|damaged).*fetch it again"):
        read(path)
    with pytest.raises(DataError, match=r"(?s)(cut|damaged)"):  # and names it from the folder too
        read(path.parent)


@pytest.mark.parametrize("data", [b"", b"PK", os.urandom(4096), b"<html>no such file</html>"])
@pytest.mark.parametrize("name", ["d.zip", "d.tar", "d.tgz"])
def test_what_is_no_archive_is_one_sentence(name, data, tmp_path, read):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match="archive"):
        read(tmp_path / name)


def test_a_damaged_member_is_listed_and_the_others_are_read(pack, images, read):
    path = pack("d.zip", images)
    data = bytearray(path.read_bytes())
    start = data.index(images[NAMES[0]])
    data[start + 60] ^= 0xFF  # stored, so these are the image's own bytes: the checksum tells
    path.write_bytes(data)
    manifest = read(path)
    assert [row["path"] for row in manifest.bad.to_pylist()] == [NAMES[0]]
    assert "damaged in its archive" in manifest.bad["reason"][0].as_py()
    assert len(manifest) == len(NAMES) - 1


def test_a_bomb_is_bounded(tmp_path, images, read, monkeypatch):
    """300 MB of zeros called an image are not even read; a growing TAR stops at its limit."""
    path = tmp_path / "d.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in images.items():
            archive.writestr(name, data)
        with archive.open("sdxl/fake/bomb.png", "w") as stream:
            for _ in range(300):
                stream.write(bytes(1 << 20))
    manifest = read(path)
    assert len(manifest) == len(NAMES)
    assert manifest.bad["path"].to_pylist() == ["sdxl/fake/bomb.png"]
    monkeypatch.setattr("bench.datasets.sources.plain_tar._SMALL", 1 << 20)
    (tmp_path / "bomb.tar.gz").write_bytes(gzip.compress(bytes(64 << 20)))
    with pytest.raises(DataError, match="grow to more than"):
        read(tmp_path / "bomb.tar.gz")


@pytest.mark.parametrize("name", ["d.7z", "d.rar", "d.tar.xz", "d.z01", "d.zip.001"])
def test_other_archives_are_named_with_the_way_out(name, tmp_path, read):
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / name).write_bytes(b"7z\xbc\xaf\x27\x1c")
    for place in (tmp_path / "e", tmp_path / "e" / name):
        with pytest.raises(DataError, match="unpack it"):
            read(place)


def test_a_table_inside_an_archive_lists_its_files(pack, encode, read, facts):
    table = b"image_name,label\n0.png,0\n1.png,1\n"
    members = {"labels.csv": table, **{f"images/{i}.png": encode("PNG", i) for i in range(2)}}
    manifest = read(pack("shard_0.zip", members))
    assert facts(manifest) == {
        "images/0.png": (0, "real", "", ""), "images/1.png": (1, "unknown", "", ""),
    }  # fmt: skip


def test_a_forked_reader_reads_the_right_members(pack, images, read):
    """Children share no file position with their parent: as data loaders do."""
    from multiprocessing import get_context

    manifest = read(pack("d.zip", images))
    locators = [r.locator for r in manifest.records()] * 50
    with get_context("fork").Pool(2) as pool:
        found = pool.starmap(
            open_bytes, [(manifest.root, locator) for locator in locators], chunksize=1
        )
    assert found == [images[locator.partition("::")[2]] for locator in locators]
