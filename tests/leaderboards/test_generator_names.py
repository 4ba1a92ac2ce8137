"""Which spellings name one generator, which do not, and which name none."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from leaderboards import Board, BoardNotes, SeenBy, cell_rows, slices
from leaderboards.tables.generator_names import is_among, is_listed, parse_name, strangers

ONE_GENERATOR = [
    ["sd14", "SD1.4", "SD 1.4", "sdv4", "sd-v1-4", "stable_diffusion_v_1_4", "Stable Diffusion 1.4",
     "stable-diffusion-v1-4", "StableDiffusionV1.4", "CompVis/stable-diffusion-v1-4",
     "imagenet_ai_0419_sdv4"],
    ["sd15", "SD-1.5", "sdv5", "stable_diffusion_v_1_5", "runwayml/stable-diffusion-v1-5",
     "imagenet_ai_0424_sdv5"],
    ["sd2.1", "sd21", "stable-diffusion-2-1", "stabilityai/stable-diffusion-2-1"],
    ["sd2", "SD 2.0", "stable-diffusion-2"],
    ["SDXL", "sdxl", "sd-xl", "Stable Diffusion XL", "stabilityai/stable-diffusion-xl-base-1.0"],
    ["sd3", "SD3.0", "stable_diffusion_3"],
    ["FLUX.1-dev", "flux-dev", "flux1_dev", "black-forest-labs/FLUX.1-dev"],
    ["FLUX.1-schnell", "flux schnell", "flux1-schnell"],
    ["DALL-E 2", "dalle2", "DALL\u00b7E 2", "dall_e_2", "dalle-2"],
    ["DALL-E 3", "dalle3", "DALL\u00b7E-3"],
    ["midjourney-v5", "Midjourney 5", "mj_v5", "MJ5", "midjourney v5.0"],
    ["Midjourney v6.1", "midjourney-6-1", "mj6.1"],
    ["Midjourney", "midjourney", "imagenet_midjourney", "MJ"],
    ["ADM", "adm", "guided", "guided-diffusion", "guided_diffusion", "imagenet_ai_0508_adm"],
    ["VQDM", "vqdm", "VQ-Diffusion", "imagenet_ai_0419_vqdm"],
    ["glide", "GLIDE", "glide_100_27", "glide_50_27", "imagenet_glide"],
    ["LDM", "ldm_200", "ldm_200_cfg", "ldm_100", "Latent Diffusion"],
    ["BigGAN", "biggan", "big-gan", "imagenet_ai_0419_biggan"],
    ["wukong", "Wukong", "imagenet_ai_0424_wukong"],
    ["ProGAN", "progan", "PGGAN", "progressive_gan"],
    ["StyleGAN", "stylegan", "stylegan1", "StyleGAN-1"],
    ["StyleGAN2", "stylegan-2", "style_gan_2"],
    ["StyleGAN3", "stylegan3", "StyleGAN v3"],
    ["GauGAN", "gaugan", "SPADE"],
    ["Adobe Firefly", "firefly"],
    ["My Own-Gen v2", "my_own_gen_2", "MyOwnGen2"],
]  # fmt: skip
NAMELESS = ["", " ", "?", "unknown", "Unknown", "UNKNOWN generator", "fake", "FAKE", "1_fake", "ai",
            "AI-generated", "synthetic", "none", "N/A", "nan", "other", "generated_images"]  # fmt: skip


MORE_SPELLINGS = [
    ["sd14", "sdv14", "sd_v1_4", "SD v1.4", "stable-diffusion-1-4", "StableDiffusion14", "sd1_4"],
    ["SDXL", "sd_xl_base_1.0", "sdxl-base-1.0", "Stable Diffusion XL 1.0", "SD-XL v1.0"],
    ["sd3-medium", "stabilityai/stable-diffusion-3-medium-diffusers", "SD 3 medium"],
    ["SD3.5-large", "stable-diffusion-3.5-large", "sd35_large"],
    ["FLUX.1 [dev]", "black-forest-labs/FLUX.1-dev", "flux_1_dev", "Flux1.dev"],
    ["FLUX1.1-pro", "flux-pro-1.1", "flux_1_1_pro"],
    ["Midjourney-v5", "mjv5", "MJ-v5", "midjourneyv5"],
    ["mjv6", "midjourney_v6", "Midjourney v6.0", "MJ 6"],
    ["openai/dall-e-3", "DALLE3", "Dall-E 3"],
    ["ADM", "guided", "Guided Diffusion", "ablated diffusion model"],
    ["LDM", "latent_diffusion", "ldm-200-cfg"],
    ["GauGAN", "spade", "Gau-GAN"],
    ["PixArt-alpha", "PixArt-alpha/PixArt-XL-2-1024-MS", "pixart_alpha"],
    ["playground-v2.5", "playgroundai/playground-v2.5-1024px-aesthetic"],
]


@pytest.mark.parametrize("spellings", ONE_GENERATOR + MORE_SPELLINGS, ids=lambda names: names[0])
def test_spellings_of_one_generator_are_one_generator(spellings):
    for name in spellings:
        assert is_among(name, [spellings[0]]) is True, name
        assert is_among(spellings[0], [name, "someone else"]) is True, name


def test_different_generators_are_different():
    firsts = [names[0] for names in ONE_GENERATOR if names[0] != "Midjourney"]
    firsts += [
        "span",
        "vae",
        "diffusion",
        "vqgan",
        "realesrgan",
        "gen_0",
        "gen_1",
        "gen_1_0",
        "gen_10",
    ]
    for one, other in combinations(firsts, 2):
        assert is_among(one, [other]) is False, (one, other)


@pytest.mark.parametrize("name", NAMELESS)
def test_a_name_that_says_nothing_is_neither_seen_nor_unseen(name):
    assert parse_name(name) is None
    assert is_among(name, ["sd14"]) is None
    assert is_among(name, [name]) is None
    assert is_among("sd14", [name]) is None
    assert is_among("sd14", [name, "SD 1.4"]) is True


@pytest.mark.parametrize(
    ("one", "other"),
    [("Midjourney", "midjourney-v6"), ("Stable Diffusion", "sd14"), ("SD1", "SD1.4"), ("flux", "flux-dev"),
     ("FLUX.1", "flux-dev"), ("dalle", "DALL-E 3"), ("sd3", "sd3-medium"), ("Firefly", "firefly-3")],
)  # fmt: skip
def test_a_name_that_leaves_the_version_open_cannot_be_told(one, other):
    assert is_among(one, [other]) is None
    assert is_among(other, [one]) is None


@pytest.fixture
def named(frame, scores):
    """Rows of one detector over fakes of four names, by what its card says."""

    def build(seen, by=("generator",), names=("sd14", "SD2.1", "unknown", "glide")):
        samples = frame(("photo", "", 0, 20), *((name, "", 1, 20) for name in names))
        cuts = slices(samples, dict.fromkeys(names, ("photo",)), by)
        return cell_rows(samples, cuts, [scores(samples)], {"net": seen}, "set")

    return build


@pytest.mark.parametrize(
    ("trained_on", "states"),
    [
        (["SD1.4"], ["unseen", "unseen", "seen", "unknown"]),
        (["stable_diffusion_v_1_4", "GLIDE"], ["unseen", "seen", "seen", "unknown"]),
        (["unknown"], ["unknown", "unknown", "unknown", "unknown"]),
        (["sdv4", "unknown"], ["unknown", "unknown", "seen", "unknown"]),
        (["Stable Diffusion"], ["unknown", "unseen", "unknown", "unknown"]),
        ([], ["unseen", "unseen", "unseen", "unknown"]),
    ],
)
def test_the_board_knows_spellings_and_does_not_claim_what_nobody_knows(named, trained_on, states):
    rows = named(SeenBy(frozenset(trained_on)))
    assert list(rows["generator"]) == [
        "SD2.1",
        "glide",
        "sd14",
        "unknown",
    ]  # as the user spelled them
    assert list(rows["seen"]) == states


def test_a_detector_without_a_card_knows_nothing(named):
    assert set(named(SeenBy(known=False))["seen"]) == {"unknown"}


@pytest.mark.parametrize(
    ("trained_on", "state"),
    [(["sdv4"], "mixed"), (["wukong"], "unknown"), (["unknown"], "unknown"),
     (["SD1.4", "sd21", "glide"], "mixed")],
)  # fmt: skip
def test_pooled_slices_do_not_claim_either(named, trained_on, state):
    assert list(named(SeenBy(frozenset(trained_on)), by=())["seen"]) == [state]


def test_what_is_unknown_is_in_no_mean_over_unseen_and_is_explained(named):
    rows = named(SeenBy(frozenset({"SD 1.4"})))
    board = Board(rows, BoardNotes(suite="s", dataset="set", training={"net": "x: SD 1.4"}))
    (line,) = board.headline().to_dict("records")
    unseen = rows[rows["seen"] == "unseen"]
    assert line["n_unseen"] == 2
    assert line["auc_unseen"] == pytest.approx(unseen["auc"].mean())
    text = board.to_markdown()
    assert "(?) also marks a slice of which nobody can say whether it was seen" in text
    assert any(row.startswith("| unknown") and "(?)" in row for row in text.splitlines())
    assert ",unknown,all,clean,unknown,ok" in board.to_csv()


def test_only_nameless_fakes_leave_no_unseen_number(named):
    rows = named(SeenBy(frozenset({"sd14"})), names=("unknown",))
    board = Board(rows, BoardNotes(suite="s", dataset="set", training={"net": "x: sd14"}))
    (line,) = board.headline().to_dict("records")
    assert line["n_unseen"] == line["n_seen"] == 0
    assert np.isnan(line["auc_unseen"])
    text = board.to_markdown()
    assert "AUC unseen" not in text
    assert "AUC seen" not in text
    assert "no generator here is known to be unseen" in " ".join(text.split())


def test_a_board_where_all_is_known_says_nothing_more(named):
    rows = named(SeenBy(frozenset({"sd14"})), names=("sd14", "glide"))
    notes = BoardNotes(suite="s", dataset="set", training={"net": "x: sd14"})
    assert "also marks" not in Board(rows, notes).to_markdown()
    assert (
        "also marks"
        not in Board(named(SeenBy(known=False)), BoardNotes(suite="s", dataset="d")).to_markdown()
    )


@pytest.mark.parametrize(("card", "state"), [("Street-Photos", "seen"), ("food", "unseen")])
def test_domains_are_compared_in_normal_form_too(frame, scores, card, state):
    samples = frame(
        ("photo", "street photos", 0, 9), ("sd14", "street photos", 1, 9), ("sd14", "", 1, 9)
    )
    cuts = slices(samples, {"sd14": ("photo",)}, ("domain",))
    seen = SeenBy(frozenset({"glide"}), frozenset({card}))
    rows = cell_rows(samples, cuts, [scores(samples)], {"net": seen}, "set")
    assert dict(zip(rows["domain"], rows["seen"], strict=True)) == {
        "(no domain)": "unknown",
        "street photos": state,
    }


def test_thousands_of_names_are_compared_quickly():
    names = [f"owner{i}/model-{i}" for i in range(4000)]
    trained = frozenset(names[::2])
    assert [is_among(name, trained) for name in names] == [True, False] * 2000


@pytest.mark.parametrize(
    ("one", "other"),
    [("sd14", "sd15"), ("SDXL", "sdxl-turbo"), ("sd3", "sd35"), ("mjv5", "mjv6"), ("dalle2", "dalle3"),
     ("flux-dev", "flux-schnell"), ("StyleGAN", "StyleGAN2"), ("LDM", "sd14"), ("VQDM", "vqgan"),
     ("guided", "glide"), ("DALL-E 2", "dalle-mini"), ("PixArt-alpha", "PixArt-sigma"), ("BigGAN", "ProGAN")],
)  # fmt: skip
def test_neighbours_are_never_merged(one, other):
    assert is_among(one, [other]) is False
    assert is_among(other, [one]) is False


def test_names_of_the_zoo_and_of_published_sets_are_listed():
    import json

    import detectors.zoo

    names = {"ADM", "BigGAN", "glide", "Midjourney", "VQDM", "wukong", "cyclegan", "stargan", "crn", "imle",
             "seeingdark", "san", "deepfake", "whichfaceisreal", "dalle", "ldm_200", "guided",
             "SDXL-Lightning", "Ideogram", "Firefly", "imagen-3"}  # fmt: skip
    for path in Path(detectors.zoo.__file__).parent.glob("*.json"):
        names |= set(json.loads(path.read_text())["training_data"]["generators"])
    assert {name for name in names if not is_listed(name)} == set()
    assert not any(map(is_listed, ["gen_0", "mymodel", "a", "fake", "1_fake", "ai", "", "setA"]))


@pytest.mark.parametrize(
    ("data", "card", "cards", "expected"),
    [
        (["gen_0", "gen_1"], ["SD1.4"], ["SD1.4"], {"gen_0", "gen_1"}),  # a data set nobody knows
        (["gen_0", "glide"], ["SD1.4"], ["SD1.4"], {"gen_0"}),
        (["gen_0", "gen_1"], ["gen_0"], ["gen_0"], set()),  # the card speaks of this data set
        (["ours", "sdv4"], ["SD 1.4"], ["SD 1.4"], set()),  # so does the data set of the card's generators
        (["ours", "sdv4"], ["SD 1.4", "glide"], ["SD 1.4", "glide"], {"ours"}),
        (["ours", "glide"], ["SD 1.4"], ["SD 1.4", "Ours"], set()),  # another card knows the name
        (["fake", ""], ["SD 1.4"], ["SD 1.4"], set()),  # nameless already
    ],
)  # fmt: skip
def test_a_name_that_no_card_knows_is_a_stranger(data, card, cards, expected):
    assert strangers(data, card, cards) == expected


def test_strangers_are_unknown_on_the_board(named):
    seen = SeenBy(frozenset(["SD1.4"]), strangers=frozenset(["gen_0"]))
    rows = named(seen, names=("gen_0", "glide", "sd14"))
    assert dict(zip(rows["generator"], rows["seen"], strict=True)) == {
        "gen_0": "unknown", "glide": "unseen", "sd14": "seen",
    }  # fmt: skip
    pooled = named(seen, by=(), names=("gen_0", "glide"))
    assert list(pooled["seen"]) == ["unknown"]
