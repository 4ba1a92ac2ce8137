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
LABEL_EXAMPLES: Final = "real / fake, nature / ai, human / ai-generated, 0_real / 1_fake"


def label_of(word: str) -> int | None:
    """Give the label a word stands for: 1 = AI-generated, 0 = real, None for any other word.

    Case, blanks, hyphens and a leading number (``0_real``) do not matter.

    Example:
        >>> label_of("AI-generated"), label_of("0_real"), label_of("cats")
        (1, 0, None)
    """
    plain = re.sub(r"[\s_\-]+", "", re.sub(r"^\d+[_\-]", "", word.strip().lower()))
    if plain in _REAL:
        return REAL
    return FAKE if plain in _FAKE else None


def split_of(word: str) -> str | None:
    """Give the split a word stands for: ``train``, ``val``, ``test``, or None for any other word.

    Example:
        >>> split_of("Validation"), split_of("train2017"), split_of("cats")
        ('val', 'train', None)
    """
    return _SPLITS.get(re.sub(r"\d{4}$", "", word.strip().lower()))
