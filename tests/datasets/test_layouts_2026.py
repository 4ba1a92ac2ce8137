"""Layouts of data sets of 2025 and 2026, on miniatures of their published folders and tables."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.errors import DataError

STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@pytest.fixture
def parquet(tmp_path, encode):
    """parquet(name, columns, n) -> the folder; images as a struct in `image`, or plain in bytes_in."""

    def make(name, columns, n, *, bytes_in=None, seed=0):
        path = tmp_path / "pq" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = [encode("PNG", seed + i) for i in range(n)]
        image = pa.array([{"bytes": d, "path": None} for d in data], STRUCT)
        column = {bytes_in: pa.array(data, pa.binary())} if bytes_in else {"image": image}
        pq.write_table(pa.table({**column, **columns}), path)
        return path.parent

    return make


def test_aigibench(lay, read, facts):
    above = [f"{s}/{c}" for s in ("train", "val") for c in ("car", "cat")]
    above += [f"test/{g}" for g in ("FLUX1-dev", "SD3")]
    root = lay([f"{folder}/{k}/0.png" for folder in above for k in ("0_real", "1_fake")])
    told = facts(read(root))
    assert told["train/car/1_fake/0.png"] == (1, "progan", "", "train")
    assert told["test/SD3/1_fake/0.png"] == (1, "SD3", "", "test")
    assert told["test/SD3/0_real/0.png"] == (0, "SD3/real", "", "test")


def test_ntire_shards(lay, read, facts, encode):
    files = {}
    for shard in (0, 1):
        rows = "".join(f"{i},{shard}{i}.jpg,{i % 2}\n" for i in range(4))
        files[f"shard_{shard}/labels.csv"] = (",image_name,label\n" + rows).encode()
        files |= {
            f"shard_{shard}/images/{shard}{i}.jpg": encode("JPEG", 10 * shard + i) for i in range(4)
        }
    manifest = read(lay(files))
    assert manifest.layout == "label-tables"
    assert facts(manifest)["shard_1/images/11.jpg"] == (1, "unknown", "", "")
    assert facts(manifest)["shard_0/images/00.jpg"] == (0, "real", "", "")
    assert len(manifest) == 8
    alone = read(manifest.root / "shard_0" / "labels.csv")  # pointed at the table itself
    assert len(alone) == 4


def test_ntire_validation_keeps_what_was_done_to_an_image(lay, read, encode):
    files = {
        "val_labels.csv": b",image_name,label\n0,a.png,0\n1,b.png,1\n",
        "val_hard_labels.csv": b",image_name,label,is_distorted,distortion\n"
        b"0,a.png,0,True,jpeg\n1,b.png,1,False,\n",
    }
    for number, folder in enumerate(("val_images", "val_images_hard")):
        files |= {f"{folder}/{n}.png": encode("PNG", 10 * number + i) for i, n in enumerate("ab")}
    manifest = read(lay(files))
    assert manifest.splits() == ("val",)
    assert manifest.free_names == ("distortion", "is_distorted")
    ids, values = (
        manifest.table["sample_id"].to_pylist(),
        manifest.free["free:is_distorted"].to_pylist(),
    )
    distorted = dict(zip(ids, values, strict=True))
    assert distorted == {
        "val_images/a.png": "", "val_images/b.png": "",
        "val_images_hard/a.png": "True", "val_images_hard/b.png": "False",
    }  # fmt: skip


def test_images_that_no_table_lists_are_left_out_and_told(lay, read, encode):
    root = lay({
        "s/labels.csv": b"image_name,label\na.png,0\nb.png,1\n",
        **{f"s/images/{n}.png": encode("PNG", i) for i, n in enumerate("abc")},
    })  # fmt: skip
    assert read(root).bad.to_pylist() == [
        {"path": "s/images/c.png", "reason": "listed in no table with labels"}
    ]


@pytest.mark.parametrize("spelling", ["release_date", "realease_date"])
def test_openfake(parquet, read, facts, spelling):
    folder = parquet(
        "train-00000-of-00001.parquet",
        {
            "prompt": ["a cat", "a dog", ""],
            "label": ["fake", "fake", "real"],
            "model": ["flux.1-dev", "imagen-3", "real"],
            "type": ["base", "base", ""],
            spelling: ["2024-08-01", "2024-05-14", ""],
        },
        3,
    )
    manifest = read(folder)
    assert sorted(manifest.pairing) == ["flux.1-dev", "imagen-3"]
    assert manifest.free_names == ("release_date", "type")
    assert manifest.free["free:release_date"].to_pylist() == ["2024-08-01", "2024-05-14", ""]
    assert facts(manifest)["train-00000-of-00001.parquet#2"] == (0, "real", "", "train")


def test_community_forensics_parquet(parquet, read, facts):
    columns = {
        "image_name": ["a.png", "b.png", "b.png"],
        "format": ["PNG"] * 3, "resolution": ["8x6"] * 3, "mode": ["RGB"] * 3,
        "model_name": ["", "sdxl", "unseen-gan"],
        "real_source": ["coco", "", ""],
        "subset": ["Manual", "Manual", "Systematic"],
        "split": ["PublicEval"] * 3,
        "label": [0, 1, 1],
        "architecture": ["", "LatDiff", "GAN"],
    }  # fmt: skip
    manifest = read(parquet("part-0.parquet", columns, 3, bytes_in="image_data"))
    assert facts(manifest) == {
        "part-0.parquet#0": (0, "coco", "", ""),
        "part-0.parquet#1": (1, "sdxl", "", ""),
        "part-0.parquet#2": (1, "unseen-gan", "", ""),
    }
    assert {"architecture", "subset"} <= set(manifest.free_names)


def test_community_forensics_on_disk(lay, read, facts, encode):
    root = lay([f"{g}/{k}/0.png" for g in ("sdxl", "ProGAN") for k in ("real", "fake")], root="a")
    assert facts(read(root))["ProGAN/fake/0.png"] == (1, "ProGAN", "", "")
    table = b"ImagePath,Label,GeneratorName\nx/0.png,0,\nx/1.png,1,sdxl\n"
    listed = lay(
        {"index.csv": table, **{f"x/{i}.png": encode("PNG", i) for i in range(2)}}, root="b"
    )
    for place in (listed, listed / "index.csv"):
        assert facts(read(place)) == {
            "x/0.png": (0, "real", "", ""),
            "x/1.png": (1, "sdxl", "", ""),
        }


def test_raid_and_its_attacked_copies_are_domains(lay, read, facts):
    root = lay(
        [
            f"{c}/{k}/0.png"
            for c in ("original", "epsilon16", "epsilon32")
            for k in ("real", "gen_0", "gen_3")
        ]
    )
    manifest = read(root)
    assert manifest.layout == "raid"
    told = facts(manifest)
    assert told["original/gen_0/0.png"] == (1, "gen_0", "original", "")
    assert told["epsilon16/real/0.png"] == (0, "real", "epsilon16", "")
    assert manifest.pairing == {"gen_0": ("real",), "gen_3": ("real",)}
    assert set(read(root / "original").pairing) == {"gen_0", "gen_3"}
    elsa = read(
        lay([f"{s}/{k}/0.png" for s in ("train", "val") for k in ("real", "gen_1")], root="elsa")
    )
    assert facts(elsa)["val/gen_1/0.png"] == (1, "gen_1", "", "val")


def test_truefake_pairs_an_image_with_itself_after_an_upload(lay, read, facts):
    files = [
        f"{s}/{k}/0.jpg" for s in ("pre", "fb", "tw", "tl") for k in ("Fake/SDXL", "Real/FFHQ")
    ]
    manifest = read(lay(files))
    assert manifest.layout == "truefake"
    assert facts(manifest)["fb/Fake/SDXL/0.jpg"] == (1, "SDXL", "fb", "")
    assert facts(manifest)["tw/Real/FFHQ/0.jpg"] == (0, "FFHQ", "tw", "")
    assert {r.group for r in manifest.records()} == {"fake/SDXL/0", "real/FFHQ/0"}


def test_opensdi_tells_whole_fakes_from_edited_ones(parquet, read, facts):
    columns = {"key": ["entire/0", "partial/1", "entire/2"], "label": ["fake", "fake", "real"],
               "mask": pa.array([b"x"] * 3, pa.binary())}  # fmt: skip
    told = facts(read(parquet("sd15-00000-of-00002.parquet", columns, 3)))
    assert told["sd15-00000-of-00002.parquet#0"] == (1, "sd15", "entire", "")
    assert told["sd15-00000-of-00002.parquet#1"] == (1, "sd15", "partial", "")
    columns["label"] = [1, 1, 0]
    folder = parquet("sd15-00000-of-00002.parquet", columns, 3)
    with pytest.raises(DataError, match="--columns fake=1"):
        read(folder)
    assert facts(read(folder, columns={"fake": "1"})) == told


def test_mnw_holds_fakes_only_and_asks_for_reals(lay, parquet, read, facts):
    columns = {
        "path": ["a/0.png", "b/1.png"],
        "label": ["fake"] * 2,
        "dataset_name": ["flux", "ideogram"],
    }
    fakes, photos = parquet("0.parquet", columns, 2), lay(["p0.jpg", "p1.jpg"], root="photos")
    with pytest.raises(DataError, match="--reals"):
        read(fakes)
    manifest = read(fakes, columns={"generator": "dataset_name"}, reals=[photos])
    assert manifest.pairing == {"flux": ("photos",), "ideogram": ("photos",)}


def test_dfbench_and_bfree_lists(lay, read, encode):
    text = (
        b"filename,label,source_id,date,days_since_1st_post,w,h,md5,url\n"
        b"a.png,real,1,2024-01-01,0,8,6,x,http://x\nb.png,fake,2,2024-03-01,31,8,6,y,http://y\n"
    )
    root = lay({"list.csv": text, **{f"{n}.png": encode("PNG", i) for i, n in enumerate("ab")}})
    manifest = read(root / "list.csv")
    assert manifest.free_names == ("date", "days_since_1st_post", "h", "source_id", "w")
    assert manifest.free["free:days_since_1st_post"].to_pylist() == ["0", "31"]


def test_dailybench_names_generators_below_its_own_folder(lay, read, facts):
    names = ("Nano Banana", "SD3.5", "FLUX.1-dev")
    manifest = read(lay([f"FakeBench/{g}/{k}/0.png" for g in names for k in ("0_real", "1_fake")]))
    assert sorted(manifest.pairing) == sorted(names)
    assert manifest.layout == "forensynths"


@pytest.mark.parametrize(
    "words", [("real", "fake"), ("0_real", "1_fake"), ("REAL", "AI-generated")]
)
@pytest.mark.parametrize(
    ("domains", "generators"),
    [(("faces", "food"), ("sdxl", "flux-dev")), (("setA", "setB"), ("glide", "sd14")),
     (("animals", "art"), ("ours", "theirs")), (("x", "y"), ("mygan", "mygan2"))],
)  # fmt: skip
def test_domains_above_generators_need_no_option(lay, read, facts, domains, generators, words):
    root = lay([f"{d}/{g}/{k}/0.png" for d in domains for g in generators for k in words])
    manifest = read(root)
    assert manifest.layout == "domains"
    assert facts(manifest)[f"{domains[0]}/{generators[1]}/{words[1]}/0.png"] == (
        1,
        generators[1],
        domains[0],
        "",
    )


def test_generators_above_kinds_of_content_are_no_domains(lay, read):
    root = lay(
        [
            f"{g}/{c}/{k}/0.png"
            for g in ("cyclegan", "sdxl")
            for c in ("horse", "zebra")
            for k in ("0_real", "1_fake")
        ]
    )
    assert set(read(root).pairing) == {"cyclegan", "sdxl"}  # as before
    root = lay(
        [f"one/{c}/{k}/0.png" for c in ("left", "right") for k in ("real", "fake")], root="e"
    )
    with pytest.raises(DataError):  # nothing tells which is which: asked, never guessed
        read(root)


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_a_folder_too_high_is_told_where_to_point(lay, read, levels):
    above = "/".join(("downloads", "unpacked", "v1")[:levels])
    root = lay([f"{above}/v/w/{g}/{k}/0.png" for g in ("a", "b") for k in ("real", "fake")])
    with pytest.raises(DataError, match="point at it") as caught:
        read(root)
    place = str(caught.value).split("; ")[-1].split(" can be read")[0]
    assert set(read(place).pairing) == {"a", "b"}


@pytest.mark.parametrize("place", ["sdxl/fake", "sdxl/fake/cats", "sdxl/fake/cats/tabby"])
def test_a_folder_too_low_is_told_where_to_point(lay, read, place):
    root = lay([f"sdxl/{k}/cats/tabby/{i}.png" for k in ("real", "fake") for i in range(2)])
    with pytest.raises(DataError, match="holds one class only") as caught:
        read(root / place)
    assert str(root / "sdxl") in str(caught.value)


def test_metadata_of_every_split_of_an_imagefolder(lay, read, facts, encode):
    files = {}
    for split in ("train", "test"):
        rows = [
            {"file_name": f"{i}.png", "label": w, "category": c}
            for i, (w, c) in enumerate((("real", "cat"), ("fake", "dog")))
        ]
        files[f"{split}/metadata.jsonl"] = "\n".join(map(json.dumps, rows)).encode()
        files |= {f"{split}/{i}.png": encode("PNG", len(split) * 10 + i) for i in range(2)}
    manifest = read(lay(files))
    assert facts(manifest)["test/1.png"] == (1, "unknown", "", "test")
    assert manifest.free["free:category"].to_pylist() == ["cat", "dog"] * 2
    assert len(read(manifest.root, split="train")) == 2
