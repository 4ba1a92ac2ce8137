"""Real trees are untidy: what naive readers of these data sets get wrong."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from bench.datasets import load
from bench.errors import DataError


@pytest.mark.parametrize(
    ("real", "fake"),
    [("nature", "ai"), ("REAL", "FAKE"), ("human", "generated"), ("1_real", "0_fake")],
)
def test_alphabetical_order_never_decides_the_label(lay, read, real, fake):
    assert sorted([real, fake])[0] == fake  # an ImageFolder would make the fakes class 0
    manifest = read(lay([f"sdxl/{real}/0.png", f"sdxl/{fake}/0.png"]))
    labels = {r.sample_id: r.label for r in manifest.records()}
    assert labels == {f"sdxl/{real}/0.png": 0, f"sdxl/{fake}/0.png": 1}


def test_every_spelling_of_a_suffix_is_read_and_the_header_decides(lay, read, encode):
    fakes = {
        "fake/a.JPG": encode("JPEG", 1),
        "fake/b.webp": encode("WEBP", 2),
        "fake/c.d.png": encode("PNG", 3),
        "fake/really-webp.png": encode("WEBP", 4),
        "fake/no-suffix": encode("PNG", 5),
        "fake/v1.5_step20": encode("PNG", 6),
        "fake/f.JFIF": encode("JPEG", 7),
    }
    manifest = read(lay({**fakes, "real/a.jpeg": encode("JPEG", 8)}))
    formats = {r.sample_id: r.format for r in manifest.records()}
    assert formats == {
        "fake/a.JPG": "JPEG",
        "fake/b.webp": "WEBP",
        "fake/c.d.png": "PNG",
        "fake/really-webp.png": "WEBP",
        "fake/no-suffix": "PNG",
        "fake/v1.5_step20": "PNG",
        "fake/f.JFIF": "JPEG",
        "real/a.jpeg": "JPEG",
    }
    assert manifest.bad.num_rows == 0


def test_litter_of_operating_systems_and_sidecars_are_no_images(lay, read, encode):
    png = encode()
    root = lay(
        {
            "real/a.png": png,
            "fake/b.png": png,
            "__MACOSX/fake/._b.png": b"\0\5\26\7",
            "__MACOSX/other/b.png": png,
            "fake/._b.png": b"\0\5\26\7",
            "fake/Thumbs.db": b"x",
            "fake/.DS_Store": b"x",
            "fake/prompts.txt": b"a cat",
            "README.md": b"# data",
            "LICENSE": b"free",
        }
    )
    manifest = read(root)
    assert [r.sample_id for r in manifest.records()] == ["fake/b.png", "real/a.png"]
    assert manifest.bad.num_rows == 0


def test_a_fake_only_generator_is_named(lay, read):
    root = lay(["sdxl/real/0.png", "sdxl/fake/0.png", "flux/fake/0.png", "flux/fake/1.png"])
    with pytest.raises(DataError, match=r"'flux' has 2 fake images and no real ones.*sdxl/real"):
        read(root)


def test_fakes_only(lay, read):
    with pytest.raises(DataError, match="'unknown' has 1 fake images and no real ones"):
        read(lay(["fake/0.png"]))


def test_pointing_at_one_class_says_to_go_up(lay, read):
    with pytest.raises(DataError, match="point at the folder above"):
        read(lay(["FAKE/0.png", "REAL/0.png"]) / "FAKE")


def test_reals_only(lay, read):
    with pytest.raises(DataError, match="2 real images and no AI-generated one"):
        read(lay(["real/0.png", "real/1.png"]))


def test_folders_without_a_label_are_not_guessed(lay, read):
    root = lay(["human_art/0.png", "dalle2/0.png", "dalle2/1.png"])  # "human_art" is no known word
    with pytest.raises(DataError) as caught:
        read(root)
    message = str(caught.value)
    assert "dalle2 (2)" in message
    assert "human_art (1)" in message
    assert "--layout" in message
    assert "path,label,generator" in message


def test_a_folder_that_fits_no_layout_beside_others_is_named(lay, read, facts):
    root = lay(["sdxl/real/0.png", "sdxl/fake/0.png", "samples/grid.png"])
    with pytest.raises(DataError, match=r"1 of them \(samples\) lie in no folder that says.*CSV"):
        read(root)
    manifest = read(root, "generic")  # the way out that the message offers
    assert set(facts(manifest)) == {"sdxl/real/0.png", "sdxl/fake/0.png"}
    assert manifest.bad.to_pylist() == [
        {"path": "samples/grid.png", "reason": "outside the folders of the layout generic"}
    ]


def test_generators_beside_a_real_folder_are_taken_only_when_stated(lay, read, facts):
    root = lay(["train/human/0.png", "train/dalle2/0.png", "test/human/0.png", "test/sdxl/a/0.png"])
    with pytest.raises(DataError, match=r"test/sdxl/a \(1\).*--layout siblings; else list"):
        read(root)
    manifest = read(root, "siblings")
    assert facts(manifest)["train/dalle2/0.png"] == (1, "dalle2", "", "train")
    assert facts(manifest)["test/sdxl/a/0.png"] == (1, "sdxl", "", "test")
    assert manifest.pairing == {"dalle2": ("real",), "sdxl": ("real",)}


def test_reals_that_no_generator_is_compared_with_are_mentioned(lay, read, caplog):
    root = lay(["ADM/val/ai/0.png", "ADM/val/nature/0.png", "wukong/val/nature/0.png"])
    with caplog.at_level(logging.WARNING):
        assert read(root).pairing == {"ADM": ("ADM/nature",)}
    assert "reals of wukong/nature" in caplog.text


def test_a_path_that_says_real_and_fake_is_not_guessed(lay, read):
    with pytest.raises(DataError, match="fake/real"):
        read(lay(["fake/real/0.png", "real/0.png"]))


def test_two_layouts_at_the_same_height_are_an_ambiguity(lay, read):
    from bench.datasets import builtin_layouts
    from bench.datasets.layouts.generic import Generic

    class Twin(Generic):
        name = "twin"

    root = lay(["real/0.png", "fake/0.png"])
    layouts = {**builtin_layouts(), "twin": Twin()}
    with pytest.raises(DataError, match=r"generic or twin.*fake \(1\).*--layout"):
        read(root, layouts=layouts)
    assert read(root, "twin", layouts=layouts).layout == "twin"


@pytest.mark.parametrize(
    ("layout", "said"), [("genimge", "did you mean 'genimage'"), ("xyzzy", "known: .*cifake")]
)
def test_an_unknown_layout_suggests_the_nearest(lay, read, layout, said):
    with pytest.raises(DataError, match=said):
        read(lay(["real/0.png", "fake/0.png"]), layout)


def test_missing_and_empty(lay, read, tmp_path):
    with pytest.raises(DataError, match=r"no such file or folder.*holds data"):
        read(lay(["real/0.png"]).parent / "dta")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="is empty"):
        read(tmp_path / "empty")
    with pytest.raises(DataError, match="holds no image"):
        read(lay({"notes.txt": b"x"}, root="notes"))


def test_an_image_is_not_a_data_set(lay, read):
    with pytest.raises(DataError, match=r"a\.png"):
        read(lay(["real/a.png"]) / "real/a.png")


def test_hostile_names_survive(lay, read, tmp_path):
    from bench.datasets import Manifest

    names = [
        "new\nline.png",
        "pi|pe.png",
        "ünï-é.png",
        '`tick`,"quote".png',
        "[/red].png",
        "a#3.png",
    ]
    root = lay([f"fake/{n}" for n in names] + ["real/0.png"])
    manifest = read(root)
    manifest.save(tmp_path / "m.parquet")
    back = Manifest.load(tmp_path / "m.parquet")
    assert {r.sample_id for r in back.records()} == {f"fake/{n}" for n in names} | {"real/0.png"}
    assert all(load(back.root, r).shape == (6, 8, 3) for r in back.records())


def test_a_name_that_is_not_utf8_is_listed(lay, read):
    root = lay(["fake/0.png", "real/0.png"])
    try:
        Path(os.fsdecode(os.fsencode(root) + b"/fake/\xff.png")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    (row,) = read(root).bad.to_pylist()
    assert row == {"path": "fake/\\xff.png", "reason": "a name that is not valid UTF-8"}


def test_links_are_followed_and_loops_are_not(lay, read, facts):
    root = lay(["store/0.png", "set/fake/0.png"])
    data = root / "set"
    (data / "real").symlink_to(root / "store", target_is_directory=True)
    (data / "fake" / "loop").symlink_to(data, target_is_directory=True)
    (data / "fake" / "gone.png").symlink_to(root / "nowhere.png")
    manifest = read(data)
    assert set(facts(manifest)) == {"fake/0.png", "real/0.png"}
    assert [(b["path"], b["reason"]) for b in manifest.bad.to_pylist()] == [
        ("fake/gone.png", "cannot be read (No such file or directory)"),
        ("fake/loop", "a link to a folder above itself"),
    ]


def test_a_pipe_named_like_an_image_does_not_hang(lay, read, facts):
    root = lay(["fake/0.png", "real/0.png"])
    os.mkfifo(root / "fake/1.png")
    assert len(facts(read(root))) == 2
