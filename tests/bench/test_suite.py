from __future__ import annotations

import pytest

from bench import registry
from bench.errors import BenchError
from bench.protocol.suite import load_suite

SHIPPED = (
    "smoke", "cross-generator", "held-out-domain", "corruptions", "adversarial", "full",
    "genimage-degraded", "ufd-robustness", "sidbench", "imagenet-c", "laundering", "social",
    "transfer", "blackbox", "raid", "evasion", "benign",
)  # fmt: skip


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_suite_loads_under_its_own_name(name):
    suite = load_suite(name)
    assert suite.name == name
    assert suite.description
    assert str(suite.parsed[0]) == "clean"


def test_full_holds_all_of_the_others():
    full = set(load_suite("full").conditions)
    for name in ("corruptions", "adversarial", "cross-generator"):
        assert set(load_suite(name).conditions) <= full


def test_the_registry_lists_exactly_the_shipped_suites():
    assert set(SHIPPED) <= set(registry.suites())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name='x'\nslices=['generator']\nconditions=['jpg']", "did you mean 'jpeg'"),
        ("name='x'\nslices=['generators']\nconditions=['clean']", "slices.0"),
        ("name='x'\nslices=['generator*camera']\nconditions=['clean']", "slices.0"),
        ("name='x'\nslices=['camera', 'camera']\nconditions=['clean']", "slices"),
        ("name='x'\nslices=['generator']\nconditions=['clean']\ncolour=1", "colour"),
        ("name='x'\nslices=['generator']\nconditions=['jpeg', 'jpeg(quality=75)']", "stands twice"),
        ("name='x'\nslices=['generator']\nconditions=[]", "conditions"),
        ("name=", "cannot be read as TOML"),
    ],
)
def test_a_wrong_suite_file_is_named_with_its_key(tmp_path, text, says):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(BenchError) as error:
        load_suite(str(path))
    assert says in str(error.value)
    assert "mine.toml" in str(error.value) or "did you mean" in says


def test_an_unknown_suite_suggests_the_nearest():
    with pytest.raises(BenchError, match="did you mean 'cross-generator'"):
        load_suite("cross-generators")
    with pytest.raises(BenchError, match="no suite file"):
        load_suite("nowhere/mine.toml")
