"""The manifest: its digest, its selections, and the file it is kept in."""

from __future__ import annotations

import dataclasses
import shutil

import pyarrow.parquet as pq
import pytest

from bench.datasets import Manifest
from bench.errors import DataError, NothingSelectedError, OutputError

FILES = [
    f"{s}/{g}/{c}/{i}.png"
    for s in ("train", "test")
    for g in ("sdxl", "flux")
    for c in ("real", "fake")
    for i in range(2)
]


@pytest.fixture
def manifest(lay, read) -> Manifest:
    return read(lay(FILES))


def test_round_trip(manifest, tmp_path):
    path = tmp_path / "out" / "manifest.parquet"
    manifest.save(path)
    back = Manifest.load(path)
    for field in dataclasses.fields(Manifest):
        assert getattr(back, field.name) == getattr(manifest, field.name), field.name
    assert list(back.records()) == list(manifest.records())
    assert [p.name for p in path.parent.iterdir()] == ["manifest.parquet"]  # nothing temporary


def test_saving_twice_gives_the_same_bytes(manifest, tmp_path):
    manifest.save(tmp_path / "a.parquet")
    manifest.save(tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_the_digest_is_the_same_under_another_root_and_after_a_touch(manifest, read, tmp_path):
    copy = tmp_path / "elsewhere" / "copy"
    shutil.copytree(manifest.root, copy)  # new modification times
    assert read(copy).digest == manifest.digest


def test_the_digest_changes_with_one_byte(manifest, read, encode):
    target = manifest.root / FILES[0]
    data = bytearray(target.read_bytes())
    # A flip in the pixels of a PNG would be refused; after its end it changes only the file.
    target.write_bytes(bytes(data) + b"\0")
    assert read(manifest.root).digest != manifest.digest


def test_the_digest_changes_with_a_label_and_a_name(lay, read, encode):
    images = {"a/real/0.png": encode(seed=1), "a/fake/0.png": encode(seed=2)}
    first = read(lay(images, root="one"))
    swapped = {"a/fake/0.png": images["a/real/0.png"], "a/real/0.png": images["a/fake/0.png"]}
    renamed = {k.replace("a/", "b/"): v for k, v in images.items()}
    assert (
        len(
            {
                first.digest,
                *(read(lay(x, root=r)).digest for x, r in ((swapped, "2"), (renamed, "3"))),
            }
        )
        == 3
    )


def test_the_digest_is_pinned(lay, read, encode):
    """A change here orphans every stored score: raise FORMAT_VERSION and say so."""
    bmp = b"BM" + (54 + 12).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    bmp += (40).to_bytes(4, "little") + (1).to_bytes(4, "little") + (3).to_bytes(4, "little")
    bmp += (1).to_bytes(2, "little") + (24).to_bytes(2, "little") + bytes(24) + bytes(12)
    manifest = read(lay({"real/0.bmp": bmp, "fake/é.bmp": bmp}))
    assert manifest.digest == "39be0af2c0a336e85c9a4fdf040f054bd51bf5106353e50a410a590eb2211f85"


def test_records_come_sorted_and_by_row(manifest):
    ids = [r.sample_id for r in manifest.records()]
    assert ids == sorted(FILES)
    assert [r.sample_id for r in manifest.records([3, 0])] == [ids[3], ids[0]]
    with pytest.raises(IndexError):
        list(manifest.records([len(manifest)]))


def test_counts(manifest):
    counts = manifest.counts()
    assert list(counts.columns) == ["split", "label", "generator", "domain", "images"]
    assert counts["images"].tolist() == [2] * 8
    row = counts[(counts.split == "test") & (counts.generator == "flux")]
    assert row["label"].tolist() == [1]


def test_samples_are_the_rows_in_order(manifest):
    frame = manifest.samples()
    assert list(frame.columns) == ["sample_id", "label", "generator", "domain", "split", "group"]
    assert frame.sample_id.tolist() == sorted(FILES)


def test_select_a_split(manifest):
    test = manifest.select("test")
    assert {r.split for r in test.records()} == {"test"}
    assert len(test) == 8
    assert test.digest not in {manifest.digest, manifest.select("train").digest}
    assert manifest.splits() == ("test", "train")
    with pytest.raises(
        NothingSelectedError, match="no images in split 'val': choose --split from 'test', 'train'"
    ):
        manifest.select("val")


def test_take_keeps_only_the_pairing_of_what_is_left(manifest):
    rows = [i for i, r in enumerate(manifest.records()) if r.generator in {"sdxl", "sdxl/real"}]
    assert manifest.take(rows).pairing == {"sdxl": ("sdxl/real",)}


def test_an_index_of_one_split_is_the_selection_of_it(manifest, read):
    assert read(manifest.root, split="test").digest == manifest.select("test").digest
    with pytest.raises(
        NothingSelectedError, match="no images in split 'val': choose --split from 'test', 'train'"
    ):
        read(manifest.root, split="val")


def test_files_that_are_no_manifest(manifest, tmp_path):
    with pytest.raises(DataError, match="no such manifest"):
        Manifest.load(tmp_path / "none.parquet")
    (tmp_path / "junk.parquet").write_bytes(b"junk")
    with pytest.raises(DataError, match="not a manifest"):
        Manifest.load(tmp_path / "junk.parquet")
    pq.write_table(manifest.table, tmp_path / "bare.parquet")
    with pytest.raises(DataError, match="not a manifest"):
        Manifest.load(tmp_path / "bare.parquet")


def test_a_manifest_that_was_edited_is_noticed(manifest, tmp_path):
    path = tmp_path / "m.parquet"
    manifest.save(path)
    table = pq.read_table(path)
    labels = table.column("label").to_pylist()
    at = table.schema.get_field_index("label")
    field = table.schema.field("label")
    import pyarrow as pa

    pq.write_table(table.set_column(at, field, pa.array([1 - x for x in labels], pa.int8())), path)
    with pytest.raises(DataError, match="digest does not fit"):
        Manifest.load(path)


def test_a_place_that_cannot_be_written(manifest, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot write"):
        manifest.save(tmp_path / "file" / "m.parquet")


def test_a_failed_write_leaves_nothing_behind(manifest, tmp_path):
    folder = tmp_path / "out"
    (folder / "m.parquet").mkdir(parents=True)  # so that the last step, the rename, fails
    with pytest.raises(OutputError):
        manifest.save(folder / "m.parquet")
    assert [p.name for p in folder.iterdir()] == ["m.parquet"]
