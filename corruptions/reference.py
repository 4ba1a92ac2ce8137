"""Reference photographs: an image file, or a folder of them, that others are made to look like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image as PILImage

from corruptions.base import Image

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"})
MOST_FILES = 1000
LONGEST_PATH = 4000
# What a condition's spelling would take for its own punctuation.
_PUNCTUATION = frozenset("(),=+\"'\n")

Signature = tuple[tuple[str, int, int], ...]
"""Path, size in bytes and time of change in ns of every file of a reference."""


def check_path(where: str, value: object) -> str:
    """Return the text of a path that a condition can spell; "" for none.

    Whether the files exist is not asked here: a condition is also read where its run is only shown.

    Raises:
        ValueError: It is no text, or holds a character that conditions use themselves.
    """
    if not isinstance(value, str) or len(value) > LONGEST_PATH:
        raise ValueError(f"{where} must be the path of a file or folder, got {value!r}")
    if odd := sorted(_PUNCTUATION & set(value)):
        raise ValueError(
            f"{where}={value}: a path in a condition may not hold {' '.join(odd)}; rename or link it"
        )
    return value


def files_of(path: str) -> tuple[Path, ...]:
    """List the image files behind a path, by name; a folder's sub-folders are not entered.

    Raises:
        ValueError: There is no such place, no image in it, or too many.
    """
    place = Path(path)
    if place.is_file():
        return (place,)
    if not place.is_dir():
        raise ValueError(f"there is no reference {path}: name an image, or a folder of images")
    names = sorted(each for each in place.iterdir() if each.suffix.lower() in SUFFIXES)
    if not names:
        raise ValueError(f"the reference {path} holds no image ({', '.join(sorted(SUFFIXES))})")
    if len(names) > MOST_FILES:
        raise ValueError(
            f"the reference {path} holds {len(names)} images: {MOST_FILES} are enough for a mean"
        )
    return tuple(names)


def signature(path: str) -> Signature:
    """Describe the files behind a path, so that a profile of theirs is made anew once they change.

    Raises:
        ValueError: As :func:`files_of`.
    """
    states = [(each, each.stat()) for each in files_of(path)]
    return tuple((str(each), state.st_size, state.st_mtime_ns) for each, state in states)


def read(path: str) -> Image:
    """Decode an image file to (H, W, 3) uint8.

    Raises:
        ValueError: Pillow cannot read it.
    """
    try:
        with PILImage.open(path) as picture:
            return np.array(picture.convert("RGB"), dtype=np.uint8)
    except (OSError, SyntaxError, PILImage.DecompressionBombError) as error:
        raise ValueError(f"the reference image {path} cannot be read ({error})") from error
