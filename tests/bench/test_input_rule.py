"""An input rule in one line, and the options beside a detector that say what a foreign network is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bench.cli.detector_options import requests
from bench.errors import BenchError
from bench.inference.detector import DetectorRequest, resolve
from bench.protocol.input_rule import parse_input, spell_input
from detectors.card import InputSpec

SIZES = st.integers(1, 4096) | st.tuples(st.integers(1, 4096), st.integers(1, 4096))
COLOURS = st.tuples(*[st.floats(1e-3, 300)] * 3)


@st.composite
def rules(draw):
    fields = {
        "fit": draw(st.sampled_from(["resize", "shortest-crop", "crop", "native"])),
        "size": draw(SIZES), "mean": draw(COLOURS), "std": draw(COLOURS),
        "resize_to": draw(st.none() | SIZES),
        "interpolation": draw(st.sampled_from(["nearest", "bilinear", "hamming", "box"])),
        "padding": draw(st.sampled_from(["mirror", "zero", "replicate"])),
        "rounding": draw(st.sampled_from(["even", "floor"])),
        "views": draw(st.sampled_from(["one", "five", "ten", "slide"])),
        "view_size": draw(st.none() | SIZES), "stride": draw(st.none() | SIZES),
        "pool": draw(st.sampled_from(["mean", "max", "median"])),
    }  # fmt: skip
    try:
        return InputSpec(**fields)
    except ValidationError:
        return InputSpec(size=fields["size"], fit="crop", mean=fields["mean"])


@given(rules())
@settings(max_examples=200, deadline=None)
def test_what_is_spelled_is_read_again(rule):
    again = parse_input(spell_input(rule))
    assert again == rule
    assert again.describe() == rule.describe()


def test_words_and_crop_pct_stand_for_numbers():
    assert parse_input("crop(8, mean=clip, std=half)").mean == (0.48145466, 0.4578275, 0.40821073)
    assert parse_input("crop(8, mean=clip, std=half)").std == (0.5, 0.5, 0.5)
    assert parse_input("crop(8, mean=0.25, std=0.5)").mean == (0.25, 0.25, 0.25)
    assert parse_input("shortest-crop(224, crop_pct=0.875)").resize_to == 256
    assert parse_input("shortest-crop(224, crop_pct=0.9)").resize_to == 248  # timm rounds down
    assert parse_input("resize(245x255)").size == (245, 255)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("crap(2)", "shortest-crop"),
        ("crop(0)", "greater than or equal to 1"),
        ("crop(9999)", "4096"),
        ("crop(2, 3)", "one size"),
        ("crop(12, size=12)", "one size"),
        ("crop(size=a)", "HEIGHTxWIDTH"),
        ("crop(size=1x2x3)", "HEIGHTxWIDTH"),
        ("crop(sise=3)", "did you mean 'size'"),
        ("crop(3", "cannot read"),
        ("", "cannot read"),
        ("crop(64, resize_to=3)", "resamples nothing"),
        ("shortest-crop(8, resize_to=9x10)", "short one"),
        ("shortest-crop(8x9)", "needs resize_to"),
        ("crop(64, views=five)", "view_size"),
        ("crop(64, views=five, view_size=65)", "larger than the canvas"),
        ("crop(64, views=five, view_size=32, stride=8)", "sliding"),
        ("crop(64, pool=max)", "one view"),
        ("crop(64, std=0)", "positive"),
        ("crop(64, mean=nan)", "finite"),
        ("crop(64, mean=1|2)", "R|G|B"),
        ("crop(64, crop_pct=0.9)", "no effect"),
        ("resize(64, crop_pct=1.1)", "share"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused_by_what_is_wrong(text, reason):
    with pytest.raises(BenchError) as refused:
        parse_input(text)
    assert reason in str(refused.value)
    assert str(refused.value).startswith(f"--input {text}")


def asked(detectors, **said):
    options = dict.fromkeys(
        ("weights", "fake_label", "ignore_label", "processor", "input_rule", "output", "backbone"),
        (),
    )
    return requests(detectors, **{**options, "fake_logit": None, "offline": False, **said})


def test_every_option_goes_to_the_detector_it_names():
    one, two = asked(
        ["hf:a", "hf:a=b"],
        fake_label=["hf:a=ai,not=real", "hf:a=b=fake", "hf:a=gan"],
        ignore_label=["hf:a=cartoon"],
        input_rule=["hf:a=b=crop(size=8)"],
        output=["hf:a=probability"],
    )
    assert (one.name, one.fake_labels, one.ignore_labels) == (
        "hf:a",
        ("ai", "not=real", "gan"),
        ("cartoon",),
    )
    assert (one.input, one.output, two.output) == (None, "probability", None)
    assert (two.name, two.fake_labels, two.input.size) == ("hf:a=b", ("fake",), 8)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"fake_label": ["ai"]}, "several detectors"),
        ({"output": ["a=logits"]}, "probability"),
        ({"input_rule": ["a=crop(8)", "a=crop(9)"]}, "twice"),
        ({"fake_label": ["a= , "]}, "give a label"),
    ],
)
def test_what_belongs_to_no_detector_or_to_two_is_refused(said, reason):
    with pytest.raises(BenchError, match=reason):
        asked(["a", "b"], **said)


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--fake-label ai,gan", {"fake_labels": ("ai", "gan")}),
        ("--ignore-label ai", {"ignore_labels": ("ai",)}),
        ("--processor there", {"processor": Path("there")}),
        ("--output logit", {"output": "logit"}),
        ("--input centre crop 8 px", {"input": InputSpec(size=8, fit="crop")}),
    ],
)
@pytest.mark.parametrize("name", ["genimage-cnn.pocket", "genimage-cnn"])
def test_an_option_without_effect_is_an_error(flag, said, name):
    with pytest.raises(BenchError, match=r"no effect|contradicts") as refused:
        resolve(DetectorRequest(name, **said))
    assert flag in str(refused.value)
