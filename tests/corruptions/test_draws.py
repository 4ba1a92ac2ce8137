"""What a corruption says about its generator is so, whoever wrote it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from bench import registry
from corruptions.base import Corruption
from corruptions.crop import Crop
from corruptions.lens import MotionBlur

KINDS = registry.corruptions()
# What draws under some parameters only, which need not be those of a severity.
DRAWING = {"crop": [Crop(anchor="random")], "motion-blur": [MotionBlur()]}


def variants(name: str) -> list[Corruption]:
    kind = KINDS[name]
    return [kind(), *(kind.at_severity(s) for s in range(1, 6)), *DRAWING.get(name, [])]


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if not kind.draws])
def test_what_draws_nothing_is_the_same_for_every_generator_and_leaves_it_alone(name, photo):
    for corruption in variants(name):
        results = []
        for seed in (1, 2):
            rng = np.random.default_rng(seed)
            before = rng.bit_generator.state
            results.append(corruption(photo, rng))
            assert rng.bit_generator.state == before
        assert np.array_equal(*results), corruption


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.draws])
def test_what_draws_depends_on_the_seed_and_on_nothing_else(name, photo):
    differs = False
    for corruption in variants(name):
        first, second = (corruption(photo, np.random.default_rng(seed)) for seed in (1, 2))
        assert np.array_equal(first, corruption(photo, np.random.default_rng(1)))
        differs |= not np.array_equal(first, second)
    assert differs


def test_these_draw_and_no_others():
    assert {name for name, kind in KINDS.items() if kind.draws} == {
        "camera", "crop", "motion-blur", "noise", "salt-pepper", "shot-noise", "speckle"
    }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Dishonest(Corruption):
    name: ClassVar[str] = "dishonest"
    summary: ClassVar[str] = "draws a pixel, and says it does not"
    severities: ClassVar = ({}, {}, {}, {}, {})
    draws: ClassVar[bool] = False

    def apply(self, image, rng, /):
        out = image.copy()
        out[0, 0] = rng.integers(0, 256, 3)
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent(Dishonest):
    draws: ClassVar[bool] = True


def test_a_corruption_that_draws_though_it_says_it_does_not_is_refused_by_name(photo, rng):
    before = rng.bit_generator.state
    with pytest.raises(ValueError, match=r"dishonest declares draws = False and drew \(rng.integ"):
        Dishonest()(photo, rng)
    assert rng.bit_generator.state == before
    Silent()(photo, rng)
    assert rng.bit_generator.state != before


def test_a_corruption_that_says_nothing_is_taken_to_draw():
    assert Corruption.draws
