"""GenImage (Zhu et al., NeurIPS 2023) and Tiny-GenImage: ``<generator>/{train,val}/{nature,ai}``.

The published archives put an inner folder (``imagenet_ai_0419_sdv4``) between; each generator
comes with its own share of ImageNet as ``nature``, and is compared with that share only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bench.datasets.layouts.base import UNKNOWN, DataCard, Folder, FolderLayout, Place, Tree
from bench.datasets.layouts.folder_names import find_label
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
    """Folders as GenImage has them: ``<generator>/[imagenet_*/]{train,val}/{nature,ai}``.

    A generator that GenImage has not keeps the name of its folder.
    """

    name = "genimage"
    summary = "GenImage: <generator>/[imagenet_*/]{train,val}/{nature,ai}, own reals a generator"
    specificity = 30
    card = DataCard(
        reference="Zhu et al., GenImage: A Million-Scale Benchmark for Detecting AI-Generated Image, "
        "NeurIPS 2023 Datasets and Benchmarks, arXiv:2306.08571",
        licence="none stated in the authors' repository; the photographs are ImageNet's, whose terms "
        "allow non-commercial research",
        citation="""\
@inproceedings{zhu2023genimage,
  title = {{GenImage}: A Million-Scale Benchmark for Detecting {AI}-Generated Image},
  author = {Zhu, Mingjian and Chen, Hanting and Yan, Qiangyu and Huang, Xudong and Lin, Guanyu and
            Li, Wei and Tu, Zhijun and Hu, Hailin and Hu, Jie and Wang, Yunhe},
  booktitle = {Advances in Neural Information Processing Systems, Datasets and Benchmarks Track},
  year = {2023}
}""",
    )

    def places(self, tree: Tree) -> Mapping[Folder, Place]:
        """Place folders by their names: ``[<generator>/][imagenet_*/]<split>/{nature,ai}[/<class>]``."""
        places: dict[Folder, Place] = {}
        for folder in tree.folders:
            path = find_label(folder, _label)
            if path is None or not 1 <= len(path.parents) <= 3:
                continue
            split = split_of(path.parents[-1])
            if split is None:
                continue
            generator = _generator(path.parents[:-1], tree.name)
            places[folder] = Place.of_generator(path.label, generator, split=split, source="nature")
        return places


def _label(word: str) -> int | None:
    return {"nature": REAL, "ai": FAKE}.get(word.lower())


def _generator(names: Folder, root: str) -> str:
    """Name the generator by the folders above the split, or by a root that is one of GenImage's."""
    for name in reversed(names or (root,)):
        if name.lower() in _ALIASES:
            return _ALIASES[name.lower()]
    return names[0] if names else UNKNOWN


LAYOUTS = {"genimage": GenImage()}
