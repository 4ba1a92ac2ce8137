"""UniversalFakeDetect (Ojha et al., CVPR 2023): ``<generator>/1_fake``, reals in folders apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.datasets.layouts.base import Entry, Folder, FolderLayout, Match, Place, Tree
from bench.datasets.layouts.forensynths import read_numbered
from bench.datasets.record import FAKE, REAL

_SOURCES = ("imagenet", "laion")


class Ojha(FolderLayout):
    """``{imagenet,laion}/0_real`` and ``<generator>/1_fake``.

    Guided diffusion is class-conditional on ImageNet and compared with it; LDM, GLIDE and DALL-E
    are text-to-image and compared with LAION.
    """

    name = "ojha"
    summary = "UniversalFakeDetect: {imagenet,laion}/0_real and <generator>/1_fake"
    specificity = 30

    def match(self, tree: Tree) -> Match | None:
        """Match where all reals are in the two known folders and no generator has its own."""
        places = self.places(tree).values()
        sources = {p.generator.lower() for p in places if p.label == REAL}
        if not sources or not sources <= set(_SOURCES):
            return None
        return super().match(tree) if any(p.label == FAKE for p in places) else None

    def places(self, tree: Tree) -> Mapping[Folder, Place]:
        """Place ``<name>/0_real`` as the source <name>, ``<name>/1_fake`` as the generator."""
        return {
            folder: Place(label, names[0], split=split)
            for folder, (label, names, split) in read_numbered(tree).items()
            if names
        }

    def pairing(self, entries: Sequence[Entry]) -> dict[str, tuple[str, ...]]:
        """Guided with imagenet, every other generator with laion; all with what else there is."""
        sources = sorted({e.generator for e in entries if e.label == REAL})
        own = {s.lower(): s for s in sources}
        others = tuple(s for s in sources if s.lower() not in _SOURCES)
        pairs: dict[str, tuple[str, ...]] = {}
        for generator in sorted({e.generator for e in entries if e.label == FAKE}):
            wanted = "imagenet" if generator.lower().startswith("guided") else "laion"
            pairs[generator] = ((own[wanted],) if wanted in own else ()) + others
        return pairs


LAYOUTS = {"ojha": Ojha()}
