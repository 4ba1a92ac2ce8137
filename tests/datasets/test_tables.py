"""CSV, JSONL and Parquet tables that list image files: what they may say, and what they may not."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from bench.errors import DataError

HEAD = "path,label,generator,domain,split,group\n"


def table(lay, text: str, name: str = "list.csv", images=("a.png", "b.png", "c.png")):
    root = lay(list(images))
    (root / name).write_text(text, encoding="utf-8")
    return root / name


def test_csv(lay, read, facts):
    path = table(
        lay,
        HEAD
        + "a.png,1,sdxl,city,train,p1\n"
        + "b.png,fake,flux,,validation,\n"
        + './c.png,Real,,"a, b",test,p1\n',
    )
    manifest = read(path)
    assert (manifest.layout, manifest.name) == ("manifest", "list")
    assert facts(manifest) == {
        "a.png": (1, "sdxl", "city", "train"),
        "b.png": (1, "flux", "", "val"),
        "c.png": (0, "real", "a, b", "test"),
    }
    groups = {r.sample_id: r.group for r in manifest.records()}
    assert groups == {"a.png": "p1", "b.png": "b.png", "c.png": "p1"}
    assert manifest.pairing == {"flux": ("real",), "sdxl": ("real",)}


CONTROL = "path,label,generator,control\n"


def test_a_control_is_real_and_compared_with_nothing(lay, read, facts, caplog):
    rows = "a.png,1,sdxl,\nb.png,0,photo,0\nc.png,0,resampled,1\n"
    manifest = read(table(lay, CONTROL + rows))
    assert facts(manifest)["c.png"][:2] == (0, "resampled")
    assert manifest.pairing == {"sdxl": ("photo",)}
    assert "resampled" not in caplog.text


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("a.png,1,sdxl,yes\nb.png,0,photo,\nc.png,0,photo,\n", "only real ones are"),
        ("a.png,1,sdxl,\nb.png,0,photo,perhaps\nc.png,0,photo,\n", "'perhaps' is unknown"),
        ("a.png,1,sdxl,\nb.png,0,photo,1\nc.png,0,photo,0\n", "a source of their own"),
    ],
)
def test_controls_that_cannot_be(lay, read, rows, said):
    with pytest.raises(DataError, match=said):
        read(table(lay, CONTROL + rows))


def test_a_folder_with_a_manifest_follows_it_and_not_its_folders(lay, read, facts):
    root = lay(["real/0.png", "fake/0.png"])
    (root / "manifest.csv").write_text(
        "path,label,generator\nreal/0.png,fake,x\nfake/0.png,real,\n"
    )
    assert facts(read(root))["real/0.png"][:2] == (1, "x")


def test_hugging_face_metadata_csv(lay, read, facts):
    root = lay(["images/0.png", "images/1.png"])
    (root / "metadata.csv").write_text("file_name,label\nimages/0.png,ai\nimages/1.png,human\n")
    assert {k: v[0] for k, v in facts(read(root)).items()} == {"images/0.png": 1, "images/1.png": 0}


def test_metadata_without_labels_leaves_the_folders_in_charge(lay, read):
    root = lay(["real/0.png", "fake/1.png"])
    (root / "metadata.csv").write_text("file_name,caption\nreal/0.png,a cat\nfake/1.png,a dog\n")
    assert read(root).layout == "generic"


def test_jsonl_and_parquet_tell_the_same(lay, read, facts):
    rows = [
        {"path": "a.png", "label": 1, "generator": "sdxl", "sample_id": "one"},
        {"path": "b.png", "label": 0, "generator": "photo", "sample_id": "two"},
    ]
    path = table(lay, "\n".join(json.dumps(r) for r in rows) + "\n\n", "list.jsonl")
    pd.DataFrame(rows).to_parquet(path.with_suffix(".parquet"))
    first, second = read(path), read(path.with_suffix(".parquet"))
    assert facts(first) == {"one": (1, "sdxl", "", ""), "two": (0, "photo", "", "")}
    assert first.digest == second.digest


def test_a_line_separator_inside_a_json_string_does_not_end_the_line(lay, read, facts):
    line = json.dumps({"path": "a\u2028b.png", "label": 1}, ensure_ascii=False)
    path = table(
        lay, f'{line}\n{{"path": "c.png", "label": 0}}', "x.jsonl", ["a\u2028b.png", "c.png"]
    )
    assert set(facts(read(path))) == {"a\u2028b.png", "c.png"}


def test_reals_of_a_generator_and_reals_of_all(lay, read, facts):
    path = table(
        lay,
        "path,label,generator\na.png,1,sdxl\nb.png,1,flux\nc.png,0,sdxl\nd.png,0,photo\n",
        images=["a.png", "b.png", "c.png", "d.png"],
    )
    manifest = read(path)
    assert manifest.pairing == {"flux": ("photo",), "sdxl": ("photo", "sdxl/real")}
    assert facts(manifest)["c.png"][:2] == (0, "sdxl/real")


def test_paths_elsewhere_and_from_windows(lay, read, facts, tmp_path):
    other = lay(["x.png"], root="other")
    path = table(lay, f"path,label\nsub\\a.png,1\n{other / 'x.png'},0\n", images=["sub/a.png"])
    told = facts(read(path))
    assert told["sub/a.png"][0] == 1
    assert told[str(other / "x.png")][0] == 0


def test_listed_images_that_are_missing_are_bad(lay, read):
    manifest = read(table(lay, "path,label\na.png,1\nb.png,0\ngone.png,1\n"))
    assert manifest.bad.to_pylist() == [{"path": "gone.png", "reason": "no such file"}]
    assert len(manifest) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "path,label\na.png,1\nb.png,maybe\nc.png,cat\n",
            r"`label` holds 'maybe' \(line 3\), 'cat' \(line 4\).*write 1 or 0",
        ),
        ("path,label\na.png,1\nb.png,\n", r"nothing \(line 3\)"),
        ("path,label\na.png,2\n", r"'2' \(line 2\)"),
        ("path,label\na.png,true\n", "'true'"),
        ("path,label,split\na.png,1,holdout\n", "line 2: split 'holdout'.*train, val or test"),
        ("path,label\na.png,1\n ,0\n", "line 3: column `path` is empty"),
        ("path,label\na.png,1\na.png,0\n", "'a.png' stands twice, in line 2 and line 3"),
        ("path,label\na.png,1,x\n", "line 2: 3 values for 2 columns"),
        ('path,label\n"a.png,1\n', "line"),
        ("path,class\na.png,1\n", r"no column `label` \(columns: path, class\)"),
        ("image_id,label\na.png,1\n", r"no column `path` \(columns: image_id, label\)"),
        ("path,label,is_ai\na.png,1,1\n", "more than one label column"),
        ("path;label\na.png;1\n", "not separated by commas"),
        ("", "is empty"),
        ("path,label\n", "finds no image"),
        ("path,label\nx.png,1\ny.png,0\n", r"none of 2 images.*'x.png': no such file.*relative to"),
        ("path,label\na.png,1\nb.png,1\n", "no real ones"),
        ("path,label\na.png,0\nb.png,0\n", "no AI-generated one"),
    ],
)
def test_errors_name_the_row_and_the_value(lay, read, text, said):
    with pytest.raises(DataError, match=said):
        read(table(lay, text))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"path": "a.png", "label": 1}\n{oops\n', "line 2: not JSON"),
        ("[1, 2]\n", "line 1: not an object"),
        ('{"path": "a.png", "label": "x"}\n', r"'x' \(line 1\)"),
        ('{"path": 3, "label": 1}\n', "line 1: column `path`"),
    ],
)
def test_errors_in_jsonl(lay, read, text, said):
    with pytest.raises(DataError, match=said):
        read(table(lay, text, "list.jsonl"))


def test_a_table_that_is_not_utf8(lay, read):
    path = table(lay, "")
    path.write_bytes("path,label\nä.png,1\n".encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8"):
        read(path)


def test_many_wrong_labels_are_counted_and_not_all_listed(lay, read):
    rows = "".join(f"{i}.png,word{i}\n" for i in range(100))
    with pytest.raises(DataError, match="in 100 rows in all") as caught:
        read(table(lay, "path,label\n" + rows))
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("column", ["is_ai", "is_fake", "ai_generated"])
def test_a_column_that_states_the_direction(lay, read, facts, column):
    told = facts(read(table(lay, f"path,{column}\na.png,True\nb.png,false\nc.png,1\n")))
    assert [told[n][0] for n in ("a.png", "b.png", "c.png")] == [1, 0, 1]


def test_two_tables_of_the_same_standing(lay, read):
    path = table(lay, "path,label\na.png,1\n", "manifest.csv")
    (path.parent / "manifest.jsonl").write_text('{"path": "a.png", "label": 1}')
    with pytest.raises(DataError, match=r"manifest\.csv and manifest\.jsonl: point at the one"):
        read(path.parent)


def test_a_table_beside_images_nothing_reads_is_mentioned(lay, read):
    path = table(lay, "path,label\na.png,1\nb.png,0\n", "labels.csv")
    with pytest.raises(DataError, match=r"or point at labels\.csv"):
        read(path.parent)


def test_unquoted_exotic_separators_do_not_end_a_line(lay, read, facts):
    name = "a\u2028\x0bb.png"
    path = table(lay, f"path,label\r\n{name},1\r\nc.png,0\r\n", images=[name, "c.png"])
    assert set(facts(read(path))) == {name, "c.png"}


def test_a_parquet_table_with_damaged_rows_is_one_sentence(lay, read):
    path = table(lay, "", "list.parquet")
    rows = {"path": [f"{i}.png" for i in range(500)], "label": [i % 2 for i in range(500)]}
    pd.DataFrame(rows).to_parquet(path)
    data = bytearray(path.read_bytes())
    data[4:400] = bytes(396)  # the rows; the schema stands at the end of the file and is whole
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"list\.parquet cannot be read as Parquet") as caught:
        read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('path,label\n\n"a.png",maybe\n', "line 3"),  # a blank line counts
        ('path,label,group\nb.png,0,"two\nlines"\na.png,maybe,\n', "line 4"),  # so does a break
        ('path,label\na.png,1\n"b.png,0\nc.png,0\n', "line 3"),  # where the open quote stands
    ],
)
def test_a_row_is_named_by_the_line_an_editor_shows(lay, read, text, line):
    with pytest.raises(DataError, match=line):
        read(table(lay, text))
