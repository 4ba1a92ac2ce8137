"""Which words mean real, AI-generated, or a split: one list for folders and tables.

The direction comes from the word alone, never from its alphabetical place (``ai`` sorts before
``nature``, ``FAKE`` before ``REAL``: an ImageFolder would number them the wrong way round).
"""

from __future__ import annotations

import re
from typing import Final

from bench.datasets.record import FAKE, REAL


def _set_of(words: str) -> frozenset[str]:
    return frozenset(words.split())


_REAL: Final = _set_of(
    "real reals realimage realimages nature natural human humans humanmade handmade authentic "
    "genuine pristine original originals"
)
_FAKE: Final = _set_of(
    "fake fakes fakeimage fakeimages ai aiimage aiimages aigenerated generated generatedimages "
    "synthetic synthetics syntheticimages synthesized synthesised aigc deepfake deepfakes"
)
_SPLITS: Final = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
WORDS_SAID: Final = "real / fake, nature / ai, human / ai-generated, 0_real / 1_fake"


def label_of(word: str) -> int | None:
    """1 for a word that means AI-generated, 0 for one that means real, None for any other.

    Case, blanks, hyphens and a leading number (``0_real``) do not matter.
    """
    plain = re.sub(r"[\s_\-]+", "", re.sub(r"^\d+[_\-]", "", word.strip().lower()))
    if plain in _REAL:
        return REAL
    return FAKE if plain in _FAKE else None


def split_of(word: str) -> str | None:
    """``train``, ``val`` or ``test`` for a word that names a split (``train2017`` too), or None."""
    return _SPLITS.get(re.sub(r"\d{4}$", "", word.strip().lower()))
