"""Data in an object store: the manifest of the same files on disk, or one sentence with the way out."""

from __future__ import annotations

import csv
import io
import shutil
import sys
import tarfile
import zipfile
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from bench.datasets import StaleIndexError, load, open_bytes
from bench.datasets.indexing.reader import Reader
from bench.datasets.open import open_data
from bench.datasets.sources import archive as archiving
from bench.datasets.sources import archived, image_bytes
from bench.datasets.sources import scan as scanning
from bench.errors import BenchError, DataError, NoImageError
from bench.support.objects import copies as copying
from bench.support.objects import place as places
from bench.support.objects import remote
from bench.support.objects.place import ObjectPath, below, locator_from, place_of
from bench.support.progress import Silent

NAMES = [f"sdxl/{kind}/{i}.png" for kind in ("real", "fake") for i in range(3)]


@pytest.fixture
def images(encode):
    return {name: encode("PNG", seed) for seed, name in enumerate(NAMES)}


@pytest.fixture
def no_waiting(monkeypatch):
    monkeypatch.setattr(remote, "_WAITS_S", (0.0, 0.0))


def key(url: str) -> str:
    return f"/bucket{urlsplit(url).path}"


def put(url: str, data: bytes) -> None:
    MemoryFileSystem().pipe_file(key(url), data)


def archive(path, images):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as packed:
            for name, data in images.items():
                packed.writestr(name, data)
        return path
    with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as packed:
        for name, data in images.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            packed.addfile(info, io.BytesIO(data))
    return path


def shards(folder, images):
    """Two Parquet files with small row groups."""
    rows = [
        {"image": {"bytes": d, "path": n}, "label": "fake" if "fake" in n else "real"}
        for n, d in images.items()
    ]
    folder.mkdir()
    for number, part in enumerate((rows[::2], rows[1::2])):
        pq.write_table(
            pa.Table.from_pylist(part), folder / f"test-{number}.parquet", row_group_size=2
        )
    return folder


def laid(kind, images, tmp_path, lay):
    if kind == "folder":
        return lay(images)
    if kind == "shards":
        return shards(tmp_path / "shards", images)
    if kind == "shard":
        return shards(tmp_path / "shards", images) / "test-0.parquet"
    if kind == "table":
        folder = lay(images)
        with (folder / "list.csv").open("w", newline="") as stream:
            rows = [[name, "fake" if "fake" in name else "real"] for name in images]
            csv.writer(stream).writerows([["path", "label"], *rows])
        return folder / "list.csv"
    return archive(tmp_path / kind, images)


KINDS = ["folder", "d.tar", "d.tar.gz", "d.zip", "shards", "shard", "table"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hashed", [True, False])
def test_objects_read_as_the_same_files_on_disk(kind, hashed, images, tmp_path, lay, read, bucket):
    path = laid(kind, images, tmp_path, lay)
    url = bucket(path if path.name != "list.csv" else path.parent)
    url += "/list.csv" if path.name == "list.csv" else ""
    local, far = read(path, hash=hashed), read(url, hash=hashed)
    assert far.digest == local.digest
    assert (far.name, far.layout, far.recognised) == (local.name, local.layout, local.recognised)
    assert far.whole_table.equals(local.whole_table)
    assert far.bad.equals(local.bad)
    assert str(far.root).startswith("memory://bucket")
    for here, there in zip(local.records(), far.records(), strict=True):
        assert open_bytes(far.root, there.locator) == open_bytes(local.root, here.locator)
        np.testing.assert_array_equal(load(far.root, there), load(local.root, here))


@pytest.mark.parametrize("kind", ["folder", "d.tar", "shard"])
def test_a_second_call_reads_no_object_and_a_changed_one_anew(
    kind, images, tmp_path, lay, read, reads, bucket, encode
):
    path = laid(kind, images, tmp_path, lay)
    url = bucket(path)
    first = read(url)
    reads.clear()
    assert read(url).digest == first.digest
    assert not reads
    # The same size, other bytes: the version alone tells.
    changed = {name: encode("PNG", 50 + i) for i, name in enumerate(images)}
    again = tmp_path / "again"
    again.mkdir()
    new = laid(kind, changed, again, lambda files: lay(files, root="again/data"))
    assert bucket(new) == url
    assert read(url).digest == read(new).digest != first.digest


def test_hostile_keys_are_listed_and_never_read(images, lay, read, reads, bucket):
    url = bucket(lay(images))
    store, picture = MemoryFileSystem.store, MemoryFileSystem.store[key(f"{url}/{NAMES[0]}")]
    own = key(url)
    for name in ("../up.png", "sdxl/real/../../../x.png", "./dot.png", "sdxl//empty.png", "c:x.png",
                 "nul\0.png", "sdxl/real/a.zip::b.png", "sdxl/real/a.parquet#3"):  # fmt: skip
        store[f"{own}/{name}"] = picture
    store["/bucket/up.png"] = picture  # what the first would lead to
    manifest = read(url)
    assert sorted(manifest.table["sample_id"].to_pylist()) == sorted(NAMES)
    assert set(reads) == set(NAMES)
    assert {row["path"]: row["reason"] for row in manifest.bad.to_pylist()} == {
        "..": "a name that leads out of its folder",
        "sdxl/real/..": "a name that leads out of its folder",
        ".": "a name that no folder could hold",
        "sdxl/": "a name that no folder could hold",
        "c:x.png": "a name that leads out of its folder",
        "nul\0.png": "a name with a zero byte in it",
        "sdxl/real/a.zip::b.png": "a name that reads as a file in an archive",
        "sdxl/real/a.parquet#3": "a name that reads as a row of a Parquet file",
    }


def test_names_with_signs_of_urls_and_terminals_are_names(encode, lay, read, bucket):
    names = ["sdxl/real/a b%20c?d=e#f.png", "sdxl/fake/\x1b[31m.png", "sdxl/fake/ü@:.png"]
    folder = lay({name: encode("PNG", i) for i, name in enumerate(names)})
    local, far = read(folder), read(bucket(folder))
    assert far.digest == local.digest
    assert len(far) == 3


def test_markers_of_folders_are_no_files(images, lay, read, bucket):
    folder = lay(images)
    url = bucket(folder)
    fs = MemoryFileSystem()

    def ls(self, path, detail=True, **_):
        own = self._strip_protocol(path)
        marker = {"name": f"{own}/", "size": 0, "type": "file", "ETag": "d41d8cd9"}
        return [marker, *original(self, path, detail=True)]

    original = type(fs).ls
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemoryFileSystem, "ls", ls)
        far = read(url)
    assert far.digest == read(folder).digest
    assert far.bad.num_rows == 0


@pytest.mark.parametrize("kind", ["d.tar", "d.zip", "shards"])
def test_a_container_that_changes_while_it_is_indexed_is_an_error(
    kind, images, tmp_path, lay, read, bucket, monkeypatch, encode
):
    url = bucket(laid(kind, images, tmp_path, lay))
    target = f"{url}/test-1.parquet" if kind == "shards" else url
    before = MemoryFileSystem.store[key(target)].getvalue()
    original, done = Reader.read, []

    def read_then_write(self, locator):
        facts = original(self, locator)
        if not done:
            done.append(locator)
            put(target, before)  # the same bytes, written anew: another version all the same
        return facts

    monkeypatch.setattr(Reader, "read", read_then_write)
    with pytest.raises(DataError, match=r"changed while it was .*ed: run the same command again"):
        read(url)
    assert len(read(url)) == 6


def test_a_container_cut_while_it_is_indexed_is_an_error(
    images, tmp_path, lay, read, bucket, monkeypatch, no_waiting
):
    url = bucket(laid("d.tar", images, tmp_path, lay))
    original = archived.list_archive

    def list_then_cut(path):
        found = original(path)
        put(url, MemoryFileSystem.store[key(url)].getvalue()[:3000])
        return found

    monkeypatch.setattr(archived, "list_archive", list_then_cut)
    with pytest.raises(DataError, match=r"memory://bucket/d\.tar"):
        read(url)


def test_a_cut_or_vanished_object_is_left_out_with_the_reason(
    images, lay, read, bucket, monkeypatch
):
    url = bucket(lay(images))
    cut, gone = NAMES[0], NAMES[3]
    put(f"{url}/{cut}", images[cut][:-20])
    original = scanning.list_objects

    def list_then_remove(top):
        found = original(top)
        MemoryFileSystem.store.pop(key(f"{url}/{gone}"))
        return found

    monkeypatch.setattr(scanning, "list_objects", list_then_remove)
    bad = {row["path"]: row["reason"] for row in read(url).bad.to_pylist()}
    assert set(bad) == {cut, gone}
    assert "truncated" in bad[cut]
    assert bad[gone] == "no such file"


@pytest.mark.parametrize("kind", ["folder", "d.tar", "d.zip", "shard"])
def test_an_object_that_changes_or_goes_after_it_was_indexed_is_no_score(
    kind, images, tmp_path, lay, read, bucket, encode, monkeypatch
):
    path = laid(kind, images, tmp_path, lay)
    url = bucket(path)
    manifest = read(url)
    record = next(iter(manifest.records()))
    again = tmp_path / "again"
    again.mkdir()
    changed = {name: encode("PNG", 50 + i) for i, name in enumerate(images)}
    bucket(laid(kind, changed, again, lambda files: lay(files, root="again/data")))
    places.ask_anew()  # for some seconds, an open archive counts as what it was
    with pytest.raises(StaleIndexError):
        load(manifest.root, record)
    MemoryFileSystem.store.clear()
    places.ask_anew()
    with pytest.raises(StaleIndexError, match="no such file, but it was there"):
        load(manifest.root, record)


@pytest.mark.parametrize("data_far", [True, False])
@pytest.mark.parametrize("reals_far", [True, False])
def test_reals_may_lie_in_another_kind_of_place(
    data_far, reals_far, images, lay, read, bucket, tmp_path
):
    fakes = lay({name: data for name, data in images.items() if "fake" in name}, "fakes")
    reals = lay({name: data for name, data in images.items() if "real" in name}, "photos")
    expected = read(fakes, reals=[reals])
    manifest = read(
        bucket(fakes) if data_far else fakes,
        reals=[place_of(bucket(reals) if reals_far else str(reals))],
    )
    assert manifest.digest == expected.digest
    for record in manifest.records():
        load(manifest.root, record)
    assert (
        read(
            bucket(fakes) if data_far else fakes,
            reals=[place_of(bucket(reals) if reals_far else str(reals))],
        ).digest
        == expected.digest
    )


class StubbornError(OSError):
    pass


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError("Access Denied"), "access denied: Access Denied.*credentials"),
        (TimeoutError(), "TimeoutError.*check the address, the network and the credentials"),
        (StubbornError("https://h/x?X-Amz-Signature=deadbeef refused"), "https://h/x refused"),
    ],
)
@pytest.mark.parametrize("method", ["info", "ls", "cat_file"])
def test_what_a_store_fails_with_is_one_sentence_with_its_url(
    method, error, words, images, lay, read, bucket, monkeypatch, no_waiting
):
    url = bucket(lay(images))

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(MemoryFileSystem, method, fail)
    with pytest.raises(DataError, match=f"{url}.* cannot be read .*{words}") as caught:
        read(url)
    assert "deadbeef" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_store_that_stumbles_once_is_asked_again(
    images, lay, read, bucket, monkeypatch, no_waiting
):
    folder = lay(images)
    url = bucket(folder)
    original, failed = MemoryFileSystem.cat_file, set()

    def stumble(self, path, *args, **kwargs):
        if path not in failed:
            failed.add(path)
            raise TimeoutError
        return original(self, path, *args, **kwargs)

    monkeypatch.setattr(MemoryFileSystem, "cat_file", stumble)
    assert read(url).digest == read(folder).digest
    assert len(failed) == 6


@pytest.fixture
def fetched(monkeypatch):
    """The (object, bytes) of every answer with content from here on."""
    answers = []
    original = MemoryFileSystem.cat_file

    def count(self, path, *args, **kwargs):
        data = original(self, path, *args, **kwargs)
        answers.append((path, len(data)))
        return data

    monkeypatch.setattr(MemoryFileSystem, "cat_file", count)
    return answers


def test_a_parquet_file_is_fetched_once_for_all_its_images(
    images, tmp_path, lay, read, bucket, fetched
):
    url = bucket(laid("shard", images, tmp_path, lay))
    manifest = read(url)
    copies = list((tmp_path / "default-cache" / "objects").iterdir())
    assert [path.read_bytes() for path in copies] == [MemoryFileSystem.store[key(url)].getvalue()]
    fetched.clear()
    image_bytes._open_parquet._files.clear()  # as in the next process
    for record in manifest.records():
        load(manifest.root, record)
    assert not fetched


def test_copies_make_room_and_the_newest_stays(images, tmp_path, lay, read, bucket, monkeypatch):
    url = bucket(laid("shards", images, tmp_path, lay))
    monkeypatch.setattr(copying, "_MOST_KEPT", 1)
    assert len(read(url)) == 6
    (kept,) = (tmp_path / "default-cache" / "objects").iterdir()
    assert kept.read_bytes() == MemoryFileSystem.store[key(f"{url}/test-1.parquet")].getvalue()


def test_a_disk_without_room_for_a_copy_is_one_sentence(
    images, tmp_path, lay, read, bucket, monkeypatch
):
    url = bucket(laid("shard", images, tmp_path, lay))
    monkeypatch.setattr(
        copying.shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(9, 9, 9)
    )
    with pytest.raises(
        DataError, match=f"{url} takes .* no room for a copy of it: set BENCH_CACHE"
    ):
        read(url)


def test_a_large_copy_is_the_object_whatever_its_parts(tmp_path, bucket, monkeypatch):
    data = np.random.default_rng(0).bytes(100_003)
    (tmp_path / "x.bin").write_bytes(data)
    monkeypatch.setattr(copying, "_PART", 1000)
    assert (
        copying.copied(ObjectPath(bucket(tmp_path / "x.bin")), tmp_path / "copies").read_bytes()
        == data
    )


@pytest.mark.parametrize("damaged", [False, True])
def test_a_tar_is_fetched_whole_once_and_then_member_by_member(
    damaged, images, tmp_path, lay, read, bucket, fetched
):
    url = bucket(laid("d.tar", images, tmp_path, lay))
    manifest = read(url)
    (kept,) = (tmp_path / "default-cache" / "archives").iterdir()
    if damaged:
        kept.write_text(kept.read_text().replace("fake", "real"))
    fetched.clear()
    archiving._archives._files.clear()  # as in the next process
    for record in manifest.records():
        load(manifest.root, record)
    whole = len(MemoryFileSystem.store[key(url)].getvalue())
    sizes = [size for _, size in fetched]
    assert sizes[-6:] == [len(images[record.sample_id]) for record in manifest.records()]
    assert (sum(sizes[:-6]) >= whole) if damaged else len(sizes) == 6


def test_an_answer_of_another_length_is_an_error(images, tmp_path, read, bucket, monkeypatch):
    """Servers that know no ranges send the whole file for every part of it."""
    url = bucket(archive(tmp_path / "d.tar", images))
    monkeypatch.setattr(
        MemoryFileSystem,
        "cat_file",
        lambda self, path, start=None, end=None: bytes(self.store[path].getbuffer()),
    )
    with pytest.raises(DataError, match=r"its server sends no parts.*download it"):
        (ObjectPath(url)).read_range(0, 512)


def test_an_object_of_no_known_version_is_refused(images, tmp_path, lay, read, bucket, monkeypatch):
    url = bucket(archive(tmp_path / "d.tar", images))
    monkeypatch.setattr(
        MemoryFileSystem, "info", lambda self, path: {"name": path, "type": "file", "size": 5}
    )
    with pytest.raises(DataError, match=f"{url} .*no size or no version of it.*download it"):
        read(url)


@pytest.mark.parametrize("url", ["memory://bucket/none", "memory://none"])
def test_nothing_there_is_one_sentence(url, read, bucket):
    with pytest.raises(DataError, match=f"no such object or folder: {url}"):
        read(url)


def test_a_folder_without_images_says_so(lay, read, bucket):
    with pytest.raises(NoImageError, match=r"memory://bucket/data"):
        read(bucket(lay({"notes.txt": b"no images"})))


@pytest.mark.parametrize(
    "url",
    [
        "s3://AKIA:hunter2@bucket/x",
        "s3://AKIA:hun/hunter2@bucket/x",
        "s3://AKIA:hunter2?@bucket/x",
        "https://hunter2@host/x.parquet",
        "https://host/x.parquet?X-Amz-Signature=hunter2",
        "https://host/x.parquet#hunter2",
        "s3://bucket/x?versionId=hunter2",
    ],
)
def test_credentials_in_a_url_are_refused_and_not_repeated(url, monkeypatch):
    monkeypatch.setattr(remote, "file_system", lambda url: pytest.fail("contacted"))
    with pytest.raises(BenchError, match="would end up in records") as caught:
        open_data(url, Silent())
    assert "hunter2" not in str(caught.value)


def test_without_the_extra_one_sentence_says_what_to_install(monkeypatch):
    remote._file_system.cache_clear()
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(BenchError, match=r"s3://bucket .*pip install 'detector-bench\[object\]'"):
        open_data("s3://bucket/x", Silent())


def test_a_store_without_its_package_is_named_with_it(monkeypatch):
    remote._file_system.cache_clear()
    monkeypatch.setitem(sys.modules, "ocifs", None)
    with pytest.raises(BenchError, match=r"oci://bucket .*ocifs.*detector-bench\[object\]"):
        open_data("oci://bucket/x", Silent())
    with pytest.raises(BenchError, match=r"nonsense.*a URL that fsspec knows"):
        open_data("nonsense://bucket/x", Silent())


def test_a_file_url_is_a_path(images, lay, read):
    folder = lay(images)
    assert read(f"file://{folder}").digest == read(folder).digest


@pytest.mark.parametrize("url", ["file://", "local://", "s3://", "memory:///"])
def test_a_url_that_names_nothing_is_not_the_working_folder(url):
    with pytest.raises(BenchError, match="names nothing"):
        place_of(url)


def test_places_are_joined_like_paths_and_never_leave_their_bucket():
    root = place_of("s3://bucket/a/b/")
    assert str(root) == "s3://bucket/a/b"
    assert str(root / "c/./d.png") == "s3://bucket/a/b/c/d.png"
    assert str(root / "../c") == "s3://bucket/a/c"
    assert str(root / "../../../../c") == "s3://bucket/c"
    assert str(root / "/etc/passwd") == "s3://bucket/a/b/etc/passwd"
    assert (root.name, str(root.parent), str(place_of("s3://bucket").parent)) == (
        "b",
        "s3://bucket/a",
        "s3://bucket",
    )
    assert place_of(str(root)) == root
    assert str(below(root, "gs://other/x?.png")) == "gs://other/x?.png"
    local = place_of("/data/x.png")
    assert below(root, locator_from(root, local)) == local
    assert locator_from(local.parent, local) == "/data/x.png"


def test_a_table_in_a_store_reaches_nothing_outside_it(encode, lay, read, bucket, tmp_path):
    """A stranger's table may name files of this machine, or addresses; they are looked for in its bucket."""
    outside = lay({"secret.png": encode("PNG", 9)}, "outside") / "secret.png"
    rows = ["path,label", "a.png,real", "b.png,fake", f"{outside},fake", "file:///etc/x.png,fake", "s3://b/x.png,fake",
            "../../../../../../../../../../etc/x.png,real"]  # fmt: skip
    folder = lay(
        {"list.csv": "\n".join(rows).encode(), "a.png": encode("PNG", 1), "b.png": encode("PNG", 2)}
    )
    manifest = read(f"{bucket(folder)}/list.csv")
    assert manifest.table["sample_id"].to_pylist() == ["a.png", "b.png"]
    assert [row["reason"] for row in manifest.bad.to_pylist()] == ["no such file"] * 4
