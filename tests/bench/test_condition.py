from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.protocol.condition import parse


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("clean", "clean"),
        ("jpeg(quality=75)", "jpeg(quality=75)"),
        (" jpeg( subsampling=4:2:0 , quality=75 ) ", "jpeg(quality=75)"),
        ("jpeg", "jpeg(quality=75)"),
        ("blur(sigma=2.0)", "blur(sigma=2)"),
        ("pgd(eps=8/255,steps=10)+jpeg(quality=75)", "pgd(eps=8/255)+jpeg(quality=75)"),
        ("fgsm(eps=0.00784313725490196)", "fgsm(eps=2/255)"),
        ("resize(scale=0.5)+jpeg(quality=30)", "resize(scale=0.5)+jpeg(quality=30)"),
        ("pgd(steps=20,goal=evade)", "pgd(eps=8/255,goal=evade,steps=20)"),
    ],
)
def test_one_condition_has_one_spelling(text, canonical):
    assert str(parse(text)) == canonical
    assert str(parse(canonical)) == canonical
    assert parse(parse(text).resolved).resolved == parse(text).resolved


@given(st.integers(1, 100), st.sampled_from(["4:2:0", "4:4:4"]), st.floats(0.1, 5))
def test_spelling_round_trips_exactly(quality, subsampling, sigma):
    condition = parse(f"jpeg(quality={quality},subsampling={subsampling})+blur(sigma={sigma!r})")
    again = parse(str(condition))
    assert again == condition
    assert again.before[1].plugin.sigma == sigma


def test_severity_stands_for_its_parameters():
    severities = [str(parse(f"jpeg(severity={s})")) for s in range(1, 6)]
    assert len(set(severities)) == 5
    assert all("severity" not in text for text in severities)


def test_position_in_the_chain_decides_what_is_corrupted():
    condition = parse("blur(sigma=1)+pgd(eps=2/255)+jpeg(quality=50)")
    assert [s.name for s in condition.before] == ["blur"]
    assert condition.attack is not None
    assert condition.attack.eps == pytest.approx(2 / 255)
    assert [s.name for s in condition.after] == ["jpeg"]
    assert str(parse("jpeg(quality=75)+fgsm")) != str(parse("fgsm+jpeg(quality=75)"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("jpg(quality=75)", "did you mean 'jpeg'"),
        ("jpeg(qualty=75)", "did you mean 'quality'"),
        ("jpeg(quality=high)", "is not a whole number"),
        ("jpeg(quality=750)", "1 to 100"),
        ("jpeg(75)", "write it as key=value"),
        ("jpeg(quality=75", "cannot read"),
        ("fgsm+pgd", "two attacks"),
        ("pgd(eps=8)", "8/255"),
        ("clean+jpeg(quality=75)", "empty chain"),
        ("jpeg(severity=9)", "1 to 5"),
        ("fgsm(eps=1/0)", "not a number"),
        ("pgd(quantize=maybe)", "true or false"),
        ("fgsm+resize(scale=0.5,back=false)", "changes the canvas's size"),
        ("", "cannot read"),
    ],
)
def test_a_wrong_condition_says_the_way_out(text, says):
    with pytest.raises(BenchError) as error:
        parse(text)
    assert says in str(error.value)
