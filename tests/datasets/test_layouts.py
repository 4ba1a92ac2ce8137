"""Every layout on a miniature of its published folders."""

from __future__ import annotations

import pytest

from bench.datasets import builtin_layouts
from bench.errors import DataError

SD14 = "stable_diffusion_v_1_4"


def test_cifake(lay, read, facts):
    root = lay(
        [
            f"{s}/{c}/{n}"
            for s in ("train", "test")
            for c in ("REAL", "FAKE")
            for n in ("0.jpg", "0 (2).jpg")
        ],
        size=(32, 32),
    )
    manifest = read(root)
    assert (manifest.layout, manifest.name) == ("cifake", "cifake")
    assert "CIFAKE" in manifest.recognised
    told = facts(manifest)
    assert told["test/FAKE/0 (2).jpg"] == (1, SD14, "", "test")
    assert told["train/REAL/0.jpg"] == (0, "cifar10", "", "train")
    assert manifest.pairing == {SD14: ("cifar10",)}
    assert len(manifest) == 8


def test_folders_of_cifake_with_other_images_are_not_taken_for_it(lay, read, facts):
    root = lay(
        [f"{s}/{c}/0.jpg" for s in ("train", "test") for c in ("REAL", "FAKE")], size=(64, 64)
    )
    manifest = read(root)
    assert manifest.layout == "generic"
    assert facts(manifest)["test/FAKE/0.jpg"] == (1, "unknown", "", "test")


@pytest.mark.parametrize(
    ("folder", "generator"),
    [
        ("ADM/imagenet_ai_0508_adm", "ADM"),
        ("Midjourney/imagenet_midjourney", "Midjourney"),
        ("stable_diffusion_v_1_4/imagenet_ai_0419_sdv4", SD14),
        ("wukong", "wukong"),
        ("imagenet_ai_0424_sdv5", "stable_diffusion_v_1_5"),
        ("imagenet_glide", "glide"),
        ("imagenet_ai_0419_biggan", "BigGAN"),
        ("SomethingNew", "SomethingNew"),
    ],
)
def test_genimage_names_the_generator_and_pairs_it_with_its_own_nature(
    lay, read, facts, folder, generator
):
    root = lay(
        [f"{folder}/{s}/{c}/x.PNG" for s in ("train", "val") for c in ("ai", "nature")]
        + [
            "VQDM/imagenet_ai_0419_vqdm/val/ai/a.png",
            "VQDM/imagenet_ai_0419_vqdm/val/nature/a.JPEG",
        ]
    )
    manifest = read(root)
    assert manifest.layout == "genimage"
    told = facts(manifest)
    assert told[f"{folder}/val/ai/x.PNG"] == (1, generator, "", "val")
    assert told[f"{folder}/train/nature/x.PNG"] == (0, f"{generator}/nature", "", "train")
    assert manifest.pairing == {
        generator: (f"{generator}/nature",),
        "VQDM": ("VQDM/nature",),
    }


def test_genimage_alone_in_its_folder_is_named_by_it(lay, read):
    root = lay([f"val/{c}/0.png" for c in ("ai", "nature")], root="imagenet_ai_0424_wukong")
    assert list(read(root).pairing) == ["wukong"]


def test_forensynths_with_and_without_classes(lay, read, facts):
    root = lay(
        [
            *(f"test/progan/{k}/{c}/0.png" for k in ("cat", "train") for c in ("0_real", "1_fake")),
            *(f"test/biggan/{c}/0.png" for c in ("0_real", "1_fake")),
        ]
    )
    manifest = read(root)
    told = facts(manifest)
    assert manifest.layout == "forensynths"
    assert told["test/progan/train/1_fake/0.png"] == (1, "progan", "", "test")
    assert told["test/biggan/0_real/0.png"] == (0, "biggan/real", "", "test")
    assert manifest.pairing == {"biggan": ("biggan/real",), "progan": ("progan/real",)}
    below = read(root / "test")  # pointed at the folder of generators itself
    assert set(below.pairing) == {"biggan", "progan"}


def test_the_training_set_of_forensynths_is_progan_by_class(lay, read, facts):
    root = lay(
        [f"train/{k}/{c}/0.png" for k in ("car", "cat", "train") for c in ("0_real", "1_fake")]
        + [f"test/stylegan/{c}/0.png" for c in ("0_real", "1_fake")]
    )
    told = facts(read(root))
    assert told["train/train/1_fake/0.png"] == (1, "progan", "", "train")
    assert told["test/stylegan/1_fake/0.png"] == (1, "stylegan", "", "test")
    assert facts(read(root / "train"))["train/1_fake/0.png"] == (1, "progan", "", "")


def test_splits_below_a_generator_of_forensynths(lay, read, facts):
    root = lay([f"sdxl/{s}/{c}/0.png" for s in ("train", "val") for c in ("0_real", "1_fake")])
    assert facts(read(root))["sdxl/val/1_fake/0.png"] == (1, "sdxl", "", "val")


def test_chameleon_is_a_bare_pair(lay, read, facts):
    manifest = read(lay(["0_real/a.jpg", "1_fake/b.jpg"]))
    assert manifest.layout == "forensynths"
    assert facts(manifest) == {
        "0_real/a.jpg": (0, "real", "", ""),
        "1_fake/b.jpg": (1, "unknown", "", ""),
    }


def test_universalfakedetect_pairs_guided_with_imagenet_and_the_rest_with_laion(lay, read):
    root = lay(
        ["imagenet/0_real/a.jpg", "laion/0_real/a.jpg"]
        + [f"{g}/1_fake/a.png" for g in ("guided", "ldm_200", "glide_50_27", "dalle")]
    )
    manifest = read(root)
    assert manifest.layout == "ojha"
    assert manifest.pairing == {
        "guided": ("imagenet",),
        "ldm_200": ("laion",),
        "glide_50_27": ("laion",),
        "dalle": ("laion",),
    }


def test_universalfakedetect_without_the_reals_of_a_generator(lay, read):
    root = lay(["laion/0_real/a.jpg", "guided/1_fake/a.png", "dalle/1_fake/a.png"])
    with pytest.raises(DataError, match="'guided' has 1 fake images and no real ones"):
        read(root)


def test_wildrf_platforms_are_domains(lay, read, facts):
    root = lay(
        [
            f"test/{d}/{c}/0.jpg"
            for d in ("reddit", "twitter", "facebook")
            for c in ("0_real", "1_fake")
        ]
        + [f"train/{c}/0.jpg" for c in ("0_real", "1_fake")]
    )
    manifest = read(root)
    assert manifest.layout == "domains"
    assert facts(manifest)["test/twitter/1_fake/0.jpg"] == (1, "unknown", "twitter", "test")
    assert facts(manifest)["train/0_real/0.jpg"] == (0, "real", "", "train")
    assert manifest.pairing == {"unknown": ("real",)}


def test_a_folder_is_a_generator_unless_the_user_says_domain(lay, read, facts):
    root = lay([f"{d}/{c}/0.jpg" for d in ("castle", "car") for c in ("real", "fake")])
    assert facts(read(root))["castle/fake/0.jpg"] == (1, "castle", "", "")
    manifest = read(root, "domains")
    assert facts(manifest)["castle/fake/0.jpg"] == (1, "unknown", "castle", "")
    assert facts(manifest)["car/real/0.jpg"] == (0, "real", "car", "")


@pytest.mark.parametrize(
    ("real", "fake"),
    [
        ("real", "fake"),
        ("REAL", "Fake"),
        ("human", "ai"),
        ("nature", "AI-generated"),
        ("real_images", "fake_images"),
        ("Real Images", "synthetic"),
        ("authentic", "generated"),
    ],
)
def test_generic_words_in_any_spelling(lay, read, facts, real, fake):
    told = facts(read(lay([f"{real}/0.jpg", f"{fake}/1.jpg"])))
    assert told[f"{real}/0.jpg"][:2] == (0, "real")
    assert told[f"{fake}/1.jpg"][:2] == (1, "unknown")


@pytest.mark.parametrize("shape", ["{s}/{g}/{c}", "{g}/{s}/{c}", "{g}/{c}/{s}", "{g}/{c}/{s}/cats"])
def test_generic_split_above_or_below(lay, read, facts, shape):
    folders = [
        shape.format(s=s, g=g, c=c)
        for s in ("training", "test")
        for g in ("sdxl", "flux")
        for c in ("real", "fake")
    ]
    manifest = read(lay([f"{f}/0.jpg" for f in folders]))
    assert manifest.layout == "generic"
    told = facts(manifest)
    fake = shape.format(s="training", g="flux", c="fake")
    real = shape.format(s="test", g="sdxl", c="real")
    assert told[f"{fake}/0.jpg"] == (1, "flux", "", "train")
    assert told[f"{real}/0.jpg"] == (0, "sdxl/real", "", "test")
    assert manifest.pairing == {"flux": ("flux/real",), "sdxl": ("sdxl/real",)}


def test_generators_without_reals_share_the_common_ones(lay, read):
    manifest = read(lay(["real/0.jpg", "sdxl/fake/0.jpg", "flux/fake/0.jpg"]))
    assert manifest.pairing == {"flux": ("real",), "sdxl": ("real",)}


def test_class_folders_below_both_labels_are_content(lay, read):
    root = lay([f"{c}/{k}/0.jpg" for c in ("real", "fake") for k in ("cat", "dog")])
    manifest = read(root)
    assert (manifest.layout, dict(manifest.pairing)) == ("generic", {"unknown": ("real",)})


def test_folders_below_fake_alone_are_generators(lay, read):
    root = lay(["test/real/0.jpg", "test/fake/sdxl/0.jpg", "test/fake/flux/0.jpg"])
    manifest = read(root)
    assert manifest.layout == "label-first"
    assert manifest.pairing == {"flux": ("real",), "sdxl": ("real",)}


def test_every_layout_has_a_name_and_a_summary():
    for name, layout in builtin_layouts().items():
        assert layout.name == name
        assert layout.summary
