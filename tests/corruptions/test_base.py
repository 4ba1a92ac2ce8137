"""The base class catches a plug-in that breaks the contract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from corruptions.base import Corruption


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin(Corruption):
    name: ClassVar[str] = "plugin"
    summary: ClassVar[str] = "does what the test says"
    severities: ClassVar = ({}, {}, {}, {}, {})

    how: str = "same"

    def apply(self, image, rng, /):
        if self.how == "in place":
            image[:] = 0
        changes = {
            "same": lambda: image,
            "flipped": lambda: image[:, ::-1],
            "float": lambda: image / 255,
            "gray": lambda: image[:, :, 0],
            "cropped": lambda: image[1:],
            "empty": lambda: image[:0],
        }
        return changes[self.how]()


@pytest.fixture
def image(rng):
    return rng.integers(0, 256, (6, 7, 3), dtype=np.uint8)


def test_writing_into_the_shared_image_fails_and_leaves_it(image, rng):
    before = image.copy()
    with pytest.raises(ValueError, match="read-only"):
        Plugin(how="in place")(image, rng)
    assert np.array_equal(image, before)
    image[0, 0, 0] ^= 1  # the caller's own array stays writable


@pytest.mark.parametrize("how", ["same", "flipped"])
def test_a_view_of_the_input_is_handed_out_as_a_copy(how, image, rng):
    out = Plugin(how=how)(image, rng)
    assert not np.may_share_memory(out, image)
    assert out.flags.c_contiguous
    assert out.flags.writeable


@pytest.mark.parametrize("how", ["float", "gray", "empty"])
def test_what_is_no_image_does_not_come_out(how, image, rng):
    with pytest.raises(ValueError, match="plugin must return a height x width x 3 uint8"):
        Plugin(how=how)(image, rng)


def test_a_size_that_changes_unannounced_is_refused(image, rng):
    with pytest.raises(ValueError, match="says it keeps the size, but turned 7x6 px into 7x5 px"):
        Plugin(how="cropped")(image, rng)
