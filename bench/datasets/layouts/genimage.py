"""GenImage (Zhu et al., NeurIPS 2023) and Tiny-GenImage: ``<generator>/{train,val}/{nature,ai}``.

The published archives put an inner folder (``imagenet_ai_0419_sdv4``) between; each generator
comes with its own share of ImageNet as ``nature``, and is compared with that share only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bench.datasets.layouts.base import (
    UNKNOWN,
    Folder,
    FolderLayout,
    Place,
    Tree,
    labelled,
    real_place,
)
from bench.datasets.layouts.words import split_of
from bench.datasets.record import FAKE, REAL

# Names of the archives' folders, in lower case -> the generator's name in the paper's code.
_ALIASES: Final = {
    "adm": "ADM",
    "imagenet_ai_0508_adm": "ADM",
    "biggan": "BigGAN",
    "imagenet_ai_0419_biggan": "BigGAN",
    "glide": "glide",
    "imagenet_glide": "glide",
    "midjourney": "Midjourney",
    "imagenet_midjourney": "Midjourney",
    "stable_diffusion_v_1_4": "stable_diffusion_v_1_4",
    "imagenet_ai_0419_sdv4": "stable_diffusion_v_1_4",
    "sdv4": "stable_diffusion_v_1_4",
    "stable_diffusion_v_1_5": "stable_diffusion_v_1_5",
    "imagenet_ai_0424_sdv5": "stable_diffusion_v_1_5",
    "sdv5": "stable_diffusion_v_1_5",
    "vqdm": "VQDM",
    "imagenet_ai_0419_vqdm": "VQDM",
    "wukong": "wukong",
    "imagenet_ai_0424_wukong": "wukong",
}


class GenImage(FolderLayout):
    """``<generator>/[imagenet_*/]{train,val}/{nature,ai}``; an unknown generator keeps its name."""

    name = "genimage"
    summary = "GenImage: <generator>/[imagenet_*/]{train,val}/{nature,ai}, own reals a generator"
    specificity = 30

    def places(self, tree: Tree) -> Mapping[Folder, Place]:
        """Place ``[<generator>/][imagenet_*/]<split>/{nature,ai}[/<class>]``."""
        found: dict[Folder, Place] = {}
        for folder in tree.folders:
            parts = labelled(folder, _label)
            split = split_of(parts.before[-1]) if parts and parts.before else None
            if parts is None or split is None or len(parts.before) > 3:
                continue
            generator = _generator(parts.before[:-1], tree.root.name)
            if parts.label == FAKE:
                found[folder] = Place(FAKE, generator, split=split)
            else:
                found[folder] = real_place(generator, "", split, "nature")
        return found


def _label(word: str) -> int | None:
    return {"nature": REAL, "ai": FAKE}.get(word.lower())


def _generator(names: Folder, root: str) -> str:
    """The generator from the folders above the split, or from a root that is one of GenImage's."""
    for name in reversed(names or (root,)):
        if name.lower() in _ALIASES:
            return _ALIASES[name.lower()]
    return names[0] if names else UNKNOWN


LAYOUTS = {"genimage": GenImage()}
