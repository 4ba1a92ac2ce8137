"""Parquet files with image bytes, ours and Hugging Face's."""

from __future__ import annotations

import json
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.datasets import load, open_bytes
from bench.errors import DataError

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@pytest.fixture
def write(tmp_path, encode):
    """write(name, {column: values}, n) -> the folder, with n distinct images in the file."""

    def make(name, columns, n, *, kind=IMAGE, column="image", classes=None, seed=0, group_rows=3):
        folder = tmp_path / "pq"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        data = [encode("PNG", seed + i) for i in range(n)]
        if kind == IMAGE:
            data = [{"bytes": d, "path": None} for d in data]
        table = pa.table({column: pa.array(data, kind), **columns})
        if classes:
            features = {"label": {"names": classes, "_type": "ClassLabel"}}
            info = {"info": {"features": features}}
            table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
        pq.write_table(table, folder / name, row_group_size=group_rows)
        return folder

    return make


def test_a_folder_of_three_files_like_the_embedded_set(write, read, facts):
    for k, split in enumerate(("train", "val", "test")):
        folder = write(
            f"{split}.parquet",
            {
                "sample_id": [f"{split}/{i}" for i in range(4)],
                "label": pa.array([0, 1, 1, 0], pa.int8()),
                "generator": ["photo", "vae", "span", "photo"],
                "domain": ["sky", "sky", "water", "water"],
                "split": [split] * 4,
                "group": ["p1", "p1", "p2", "p2"],
                "pair": ["", f"{split}/0", f"{split}/3", ""],
            },
            4,
            seed=10 * k,
        )
    (folder / "ATTRIBUTION.md").write_text("# Photographs")
    manifest = read(folder)
    assert manifest.layout == "parquet"
    assert facts(manifest)["val/2"] == (1, "span", "water", "val")
    assert manifest.pairing == {"span": ("photo",), "vae": ("photo",)}
    assert manifest.counts()["images"].sum() == 12
    assert len(manifest.select("test")) == 4
    assert {r.group for r in manifest.records()} == {"p1", "p2"}
    for record in manifest.records():
        split, row = record.sample_id.split("/")
        seed = 10 * ("train", "val", "test").index(split) + int(row)
        expected = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        np.testing.assert_array_equal(load(manifest.root, record), expected)


@pytest.mark.parametrize(
    ("classes", "ai"), [(["FAKE", "REAL"], 0), (["ai", "nature"], 0), (["real", "ai-generated"], 1)]
)
def test_hugging_face_class_names_decide_and_not_the_number(write, read, facts, classes, ai):
    for split in ("train", "test"):
        folder = write(
            f"data/{split}-00000-of-00001.parquet",
            {"label": pa.array([0, 1], pa.int64())},
            2,
            classes=classes,
        )
    told = facts(read(folder))
    assert told[f"data/test-00000-of-00001.parquet#{ai}"] == (1, "unknown", "", "test")
    assert told[f"data/train-00000-of-00001.parquet#{1 - ai}"] == (0, "real", "", "train")


def test_numbers_that_say_nothing_are_refused(write, read):
    folder = write("a.parquet", {"label": [0, 1]}, 2)
    with pytest.raises(
        DataError, match=r"'0' \(row 0 of a.parquet\), '1' \(row 1.*which number is AI-gen.*is_ai"
    ):
        read(folder)


def test_class_names_that_say_nothing_are_refused(write, read):
    folder = write("a.parquet", {"label": [0, 1]}, 2, classes=["cat", "dog"])
    with pytest.raises(DataError, match="its classes are cat, dog"):
        read(folder)


def test_words_and_plain_binary_under_any_name(write, read, facts):
    folder = write(
        "a.parquet",
        {"label": ["real", "fake"], "path": ["x/1.png", "x/2.png"]},
        2,
        kind=pa.large_binary(),
        column="jpg",
    )
    assert facts(read(folder / "a.parquet")) == {
        "x/1.png": (0, "real", "", ""),
        "x/2.png": (1, "unknown", "", ""),
    }


def test_yes_and_no_in_a_column_that_states_the_direction(write, read, facts):
    folder = write("a.parquet", {"is_ai": [True, False]}, 2)
    assert [v[0] for v in facts(read(folder)).values()] == [1, 0]


def test_rows_without_bytes_and_damaged_bytes_are_bad(write, read, tmp_path, encode):
    table = pa.table(
        {
            "image": pa.array([encode("PNG", 1), None, b"junk", encode("PNG", 2)], pa.binary()),
            "label": ["real", "fake", "fake", "fake"],
        }
    )
    path = tmp_path / "x.parquet"
    pq.write_table(table, path)
    manifest = read(path)
    assert len(manifest) == 2
    (first, second) = manifest.bad.to_pylist()
    assert first == {"path": "x.parquet#1", "reason": "a row without image bytes"}
    assert second["reason"].startswith("not an image of an allowed format")


def test_a_damaged_file_among_good_ones_is_not_passed_over(write, read):
    write("train.parquet", {"label": ["real", "fake"]}, 2)
    folder = write("val.parquet", {"label": ["real", "fake"]}, 2)
    data = (folder / "val.parquet").read_bytes()
    (folder / "val.parquet").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"val\.parquet cannot be read as Parquet"):
        read(folder)


def test_the_same_id_twice(write, read):
    write("a.parquet", {"label": ["real", "fake"], "sample_id": ["x", "y"]}, 2)
    folder = write("b.parquet", {"label": ["real", "fake"], "sample_id": ["z", "x"]}, 2)
    with pytest.raises(DataError, match=r"'x' stands twice, in row 0 of a.parquet and row 1 of b"):
        read(folder)


def test_a_file_without_labels(write, read):
    folder = write("a.parquet", {"caption": ["x", "y"]}, 2)
    with pytest.raises(
        DataError, match=r"a.parquet has no column `label` \(columns: image, caption"
    ):
        read(folder)


def test_files_that_tell_labels_in_different_ways(write, read):
    write("a.parquet", {"label": [0, 1]}, 2, classes=["ai", "nature"])
    folder = write("b.parquet", {"label": [0, 1]}, 2, classes=["nature", "ai"])
    with pytest.raises(DataError, match="in different ways"):
        read(folder)


def test_many_threads_read_the_right_rows(write, encode):
    folder = write("a.parquet", {"label": ["real"] * 40}, 40, group_rows=7)
    expected = [encode("PNG", i) for i in range(40)]
    wrong: list[int] = []

    def job(offset: int) -> None:
        for i in range(40):
            row = (i * 11 + offset) % 40
            if open_bytes(folder, f"a.parquet#{row}") != expected[row]:
                wrong.append(row)

    threads = [threading.Thread(target=job, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_file_replaced_on_disk_is_read_anew(write, encode):
    folder = write("a.parquet", {"label": ["real"]}, 1)
    assert open_bytes(folder, "a.parquet#0") == encode("PNG", 0)
    write("a.parquet", {"label": ["real", "x"]}, 2, seed=5)
    assert open_bytes(folder, "a.parquet#0") == encode("PNG", 5)


def test_a_picture_in_a_parquet_may_be_any_format(tmp_path, read, encode):
    rows = [encode("WEBP", 1), encode("JPEG", 2)]
    table = pa.table({"image": pa.array(rows, pa.binary()), "label": ["real", "fake"]})
    pq.write_table(table, tmp_path / "x.parquet")
    formats = [r.format for r in read(tmp_path / "x.parquet").records()]
    assert formats == ["WEBP", "JPEG"]


def test_damaged_rows_below_a_whole_schema_are_one_sentence(write, read):
    folder = write("a.parquet", {"label": ["real", "fake"] * 50}, 100, group_rows=100)
    path = folder / "a.parquet"
    labels = pq.ParquetFile(path).metadata.row_group(0).column(2)
    assert labels.path_in_schema == "label"
    data = bytearray(path.read_bytes())
    start = labels.dictionary_page_offset
    data[start : start + labels.total_compressed_size] = bytes(labels.total_compressed_size)
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"a\.parquet cannot be read as Parquet"):
        read(folder)
