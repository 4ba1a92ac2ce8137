"""UniversalFakeDetect (Ojha et al., CVPR 2023): ``<generator>/1_fake``, reals in folders apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.datasets.layouts.base import (
    DataCard,
    Entry,
    Folder,
    FolderLayout,
    Match,
    Place,
    Tree,
)
from bench.datasets.layouts.forensynths import read_numbered
from bench.datasets.record import FAKE, REAL

_SOURCES = ("imagenet", "laion")


class Ojha(FolderLayout):
    """Folders ``{imagenet,laion}/0_real`` and ``<generator>/1_fake``.

    Guided diffusion is class-conditional on ImageNet and compared with it; LDM, GLIDE and DALL-E
    are text-to-image and compared with LAION.
    """

    name = "ojha"
    summary = "UniversalFakeDetect: {imagenet,laion}/0_real and <generator>/1_fake"
    specificity = 30
    card = DataCard(
        reference="Ojha, Li and Lee, Towards Universal Fake Image Detectors that Generalize Across "
        "Generative Models, CVPR 2023, arXiv:2302.10174",
        licence="MIT (the authors' repository); none is stated for the images",
        citation="""\
@inproceedings{ojha2023towards,
  title = {Towards Universal Fake Image Detectors that Generalize Across Generative Models},
  author = {Ojha, Utkarsh and Li, Yuheng and Lee, Yong Jae},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  year = {2023}
}""",
    )

    def match(self, tree: Tree) -> Match | None:
        """Match where all reals are in the two known folders and no generator has its own."""
        places = self.places(tree).values()
        sources = {place.generator.lower() for place in places if place.label == REAL}
        if not sources or not sources <= set(_SOURCES):
            return None
        return super().match(tree) if any(place.label == FAKE for place in places) else None

    def places(self, tree: Tree) -> Mapping[Folder, Place]:
        """Place ``<name>/0_real`` as the source <name>, ``<name>/1_fake`` as the generator."""
        return {
            folder: Place(meaning.label, meaning.names[0], split=meaning.split)
            for folder, meaning in read_numbered(tree).items()
            if meaning.names
        }

    def pairing(self, entries: Sequence[Entry]) -> dict[str, tuple[str, ...]]:
        """Pair guided diffusion with imagenet, all others with laion, all with what else there is."""
        sources = sorted({entry.generator for entry in entries if entry.label == REAL})
        published = {name.lower(): name for name in sources if name.lower() in _SOURCES}
        others = tuple(name for name in sources if name.lower() not in _SOURCES)
        pairs: dict[str, tuple[str, ...]] = {}
        for generator in sorted({entry.generator for entry in entries if entry.label == FAKE}):
            source = "imagenet" if generator.lower().startswith("guided") else "laion"
            pairs[generator] = ((published[source],) if source in published else ()) + others
        return pairs


LAYOUTS = {"ojha": Ojha()}
