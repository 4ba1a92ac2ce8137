from __future__ import annotations

import pytest

from bench.protocol.condition import parse
from bench.protocol.series.severity import curves
from bench.protocol.suite import load_suite


def along(*texts: str) -> dict[str, tuple[str, int]]:
    return curves([parse(text) for text in texts])


def test_a_corruption_at_several_strengths_is_one_family_from_mild_to_harsh():
    found = along("clean", "jpeg(quality=30)", "jpeg(quality=90)", "blur(sigma=3)", "blur(sigma=1)")
    assert found == {
        "jpeg(quality=30)": ("jpeg", 2),
        "jpeg(quality=90)": ("jpeg", 1),
        "blur(sigma=3)": ("blur", 2),
        "blur(sigma=1)": ("blur", 1),
    }


def test_words_and_other_parameters_keep_families_apart():
    found = along(
        "resize(scale=0.5)", "resize(scale=0.25)", "resize(size=64,back=false)",
        "resize(size=112,back=false)", "jpeg(quality=90,subsampling=4:4:4)", "jpeg(quality=90)",
        "upload(platform=reddit)", "upload(platform=reddit,times=2)", "upload(platform=facebook)",
    )  # fmt: skip
    assert {family for family, _ in found.values()} == {
        "resize", "resize(size,back=false)", "jpeg(quality=90,subsampling=4:4:4)", "jpeg(quality=90)",
        "upload(platform=reddit,times)", "upload(platform=facebook)",
    }  # fmt: skip
    # No severity gives the direction of `size`: the suite's order does.
    assert found["resize(size=64,back=false)"][1] == 1


def test_chains_are_families_too_and_attacks_are_not():
    found = along(
        "resize(scale=0.5)+jpeg(quality=75)", "resize(scale=0.5)+jpeg(quality=30)", "fgsm(eps=1/255)",
        "fgsm(eps=2/255)", "fgsm(eps=2/255)+jpeg(quality=75)", "grayscale",
    )  # fmt: skip
    assert found == {
        "resize(scale=0.5)+jpeg(quality=75)": ("resize+jpeg", 1),
        "resize(scale=0.5)+jpeg(quality=30)": ("resize+jpeg", 2),
        "grayscale": ("grayscale", 1),
    }


def test_two_numbers_that_vary_go_by_the_suites_order():
    suite = load_suite("imagenet-c")
    found = curves(suite.parsed)
    motion = [c for c, (family, _) in found.items() if family == "motion-blur(radius,sigma)"]
    assert [found[c][1] for c in motion] == [1, 2, 3, 4, 5]
    assert len({family for family, _ in found.values()}) == 11
    assert all(strength <= 5 for _, strength in found.values())


# The constants of make_imagenet_c.py (Hendrycks and Dietterich 2019), severities 1 to 5.
PUBLISHED = {
    "noise": ("sigma", [0.08, 0.12, 0.18, 0.26, 0.38]),
    "shot-noise": ("photons", [60, 25, 12, 5, 3]),
    "salt-pepper": ("amount", [0.03, 0.06, 0.09, 0.17, 0.27]),
    "speckle": ("sigma", [0.15, 0.2, 0.35, 0.45, 0.6]),
    "blur": ("sigma", [1, 2, 3, 4, 6]),
    "defocus-blur": (("radius", "alias"), [(3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)]),
    "motion-blur": (("radius", "sigma"), [(10, 3), (15, 5), (15, 8), (15, 12), (20, 15)]),
    "brightness": ("value", [0.1, 0.2, 0.3, 0.4, 0.5]),
    "contrast": ("factor", [0.4, 0.3, 0.2, 0.1, 0.05]),
    "pixelate": ("scale", [0.6, 0.5, 0.4, 0.3, 0.25]),
    "jpeg": ("quality", [25, 18, 15, 10, 7]),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_imagenet_c_suite_has_the_published_constants(name):
    names, expected = PUBLISHED[name]
    plugins = [c.before[0].plugin for c in load_suite("imagenet-c").parsed if c.before]
    plugins = [p for p in plugins if p.name == name]
    if isinstance(names, str):
        assert [getattr(p, names) for p in plugins] == expected
    else:
        assert [tuple(getattr(p, n) for n in names) for p in plugins] == expected


def test_the_other_protocols_have_their_published_settings():
    def of(suite: str, name: str, parameter: str) -> list[float]:
        chains = [c.before for c in load_suite(suite).parsed if len(c.before) == 1]
        return [getattr(c[0].plugin, parameter) for c in chains if c[0].name == name]

    assert of("genimage-degraded", "resize", "size") == [112, 64]
    assert of("genimage-degraded", "jpeg", "quality") == [65, 30]
    assert of("genimage-degraded", "blur", "sigma") == [3, 5]
    assert of("ufd-robustness", "jpeg", "quality") == [100, 90, 80, 70, 60, 50, 40, 30]
    assert of("ufd-robustness", "blur", "sigma") == [1, 2, 3, 4]
    assert of("sidbench", "jpeg", "quality") == [95, 90, 50, 30]
    assert of("sidbench", "blur", "sigma") == [2, 4]


@pytest.mark.parametrize("name", ["genimage-degraded", "ufd-robustness", "sidbench", "imagenet-c"])
def test_a_peers_protocol_names_its_source_and_what_is_assumed(name):
    suite = load_suite(name)
    assert suite.source
    assert suite.exact
    assert suite.assumed
    assert suite.remarks[0] == f"Protocol after: {suite.source}"
