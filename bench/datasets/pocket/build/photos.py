"""The photographs behind the set: where each comes from, its licence, its split and its scene.

A photograph is listed here only if the package that ships it states CC0, CC-BY or public domain for
that very file. Neighbours in the same packages under share-alike licences, and pictures that no camera
took, are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from subprocess import run

import numpy as np
from numpy.typing import NDArray
from PIL import Image

DEBIAN_PACKAGE = "lomiri-wallpapers-16.04"
_LOMIRI = f"{DEBIAN_PACKAGE} (Debian)"
_SKIMAGE = "scikit-image (wheel)"
_SKLEARN = "scikit-learn (wheel)"


@dataclass(frozen=True, slots=True)
class Photo:
    """One source photograph.

    Attributes:
        id: Short name; the `group` of every tile cut from it.
        file: File name inside its package.
        package: Package that ships the file.
        title: Title or subject.
        author: Whom to credit.
        licence: SPDX-like licence name, as the package states it.
        split: `train`, `val` or `test`; all its tiles go there.
        domain: Kind of scene.
        reduce: Factor (>= 2) by which the photograph is made smaller before it is cut.
        cap: Most tiles taken from it.
    """

    id: str
    file: str
    package: str
    title: str
    author: str
    licence: str
    split: str
    domain: str
    reduce: float
    cap: int


_BERASATEGI, _FREESPACE = "Aitzol Berasategi", 'Trevor "Freespace"'
_BY4, _BY2, _CC0, _PD = "CC-BY-4.0", "CC-BY-2.0", "CC0-1.0", "public domain"

# fmt: off
PHOTOS: tuple[Photo, ...] = (
    Photo("picosdeeuropa", "picosdeeuropa_by_Aitzol_Berasategi.jpg", _LOMIRI, "Picos de Europa",
          _BERASATEGI, _BY4, "train", "landscape", 2.6, 170),
    Photo("life", "life_by_Aitzol_Berasategi.jpg", _LOMIRI, "Life",
          _BERASATEGI, _BY4, "train", "woodland", 2.6, 170),
    Photo("picture0b", "Picture_0B_by_freespace.jpg", _LOMIRI, "Picture 0B",
          _FREESPACE, _BY4, "train", "objects", 2.2, 150),
    Photo("seeding", "seeding_by_Clements_Engelhardt.jpg", _LOMIRI, "Seeding",
          "Clemens Engelhardt", _CC0, "train", "plants", 3.4, 130),
    Photo("wine", "Wine_by_Jakkub_Mede.jpg", _LOMIRI, "Wine",
          "Jakub Mede", _BY4, "train", "interior", 2.6, 150),
    Photo("aitzgorri", "aitzgorri_by_Aitzol_Berasategi.jpg", _LOMIRI, "Aitzgorri",
          _BERASATEGI, _BY4, "val", "landscape", 2.6, 130),
    Photo("coffee", "coffee.png", _SKIMAGE, "Coffee cup",
          "Rachel Michetti", _CC0, "val", "objects", 2.0, 30),
    Photo("flower", "flower.jpg", _SKLEARN, "Dahlia",
          "vultilion", _BY2, "val", "plants", 2.0, 30),
    Photo("china", "china.jpg", _SKLEARN, "Pavilion",
          "danielbuechele", _BY2, "val", "architecture", 2.0, 30),
    Photo("chelsea", "chelsea.png", _SKIMAGE, "Chelsea the cat",
          "Stefan van der Walt", _CC0, "test", "animals", 2.0, 30),
    Photo("sunset", "sunset_by_Aitzol_Berasategi.jpg", _LOMIRI, "Sunset",
          _BERASATEGI, _BY4, "test", "landscape", 3.2, 110),
    Photo("picture1a", "Picture_1A_by_freespace.jpg", _LOMIRI, "Picture 1A",
          _FREESPACE, _BY4, "test", "objects", 2.0, 110),
    Photo("friends", "friends_by_Aitzol_Berasategi.jpg", _LOMIRI, "Friends",
          _BERASATEGI, _BY4, "test", "animals", 2.6, 110),
    Photo("astronaut", "astronaut.png", _SKIMAGE, "Eileen Collins",
          "NASA", _PD, "test", "space", 2.0, 30),
    Photo("rocket", "rocket.jpg", _SKIMAGE, "Launch of DSCOVR",
          "SpaceX", _PD, "test", "space", 2.0, 30),
    Photo("hubble", "hubble_deep_field.jpg", _SKIMAGE, "Hubble eXtreme Deep Field",
          "NASA", _PD, "test", "space", 2.0, 50),
)
# fmt: on


def fetch_debian(work: Path) -> Path:
    """Download and unpack the Debian package of wallpapers (needs `apt-get` and `dpkg`).

    Args:
        work: Folder for the package and what is in it.

    Returns:
        The folder that holds the pictures.
    """
    folder = work / "debian"
    pictures = folder / "usr/share/backgrounds"
    if not pictures.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        run(["apt-get", "download", DEBIAN_PACKAGE], cwd=folder, check=True)
        deb = next(folder.glob(f"{DEBIAN_PACKAGE}_*.deb"))
        run(["dpkg", "-x", deb.name, "."], cwd=folder, check=True)
    return pictures


def _package_folder(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"the build needs the package {name!r}: pip install it first")
    return Path(spec.origin).parent


def locate(photo: Photo, work: Path) -> Path:
    """Find a photograph's file, downloading its package if need be.

    Args:
        photo: Which one.
        work: Folder for downloads.

    Returns:
        Path of the image file.
    """
    folders = {
        _LOMIRI: lambda: fetch_debian(work),
        _SKIMAGE: lambda: _package_folder("skimage") / "data",
        _SKLEARN: lambda: _package_folder("sklearn") / "datasets" / "images",
    }
    return folders[photo.package]() / photo.file


def load_reduced(photo: Photo, work: Path) -> NDArray[np.uint8]:
    """Decode a photograph and make it smaller, so that its JPEG's 8x8 grid does not survive.

    Args:
        photo: Which one.
        work: Folder for downloads.

    Returns:
        Pixels, uint8, shape (height, width, 3), after a Lanczos reduction by `photo.reduce`.
    """
    with Image.open(locate(photo, work)) as image:
        rgb = image.convert("RGB")
    size = (round(rgb.width / photo.reduce), round(rgb.height / photo.reduce))
    return np.asarray(rgb.resize(size, Image.Resampling.LANCZOS), dtype=np.uint8)
