"""CIFAKE (Bird and Lotfi, IEEE Access 2024): ``{train,test}/{REAL,FAKE}``, 32 x 32 JPEG."""

from __future__ import annotations

from collections.abc import Mapping

from bench.datasets.layouts.base import DataCard, Folder, FolderLayout, Match, Place, Tree
from bench.datasets.layouts.words import split_of
from bench.datasets.record import FAKE, REAL
from bench.datasets.sources.header import Header

_LABELS = {"REAL": REAL, "FAKE": FAKE}
_HEADER = Header("JPEG", width=32, height=32)
_PEEKS = 3  # images a folder whose header is read


class Cifake(FolderLayout):
    """CIFAR-10 photographs against Stable Diffusion 1.4 (section III of the paper)."""

    name = "cifake"
    summary = "CIFAKE: {train,test}/{REAL,FAKE}, 32 x 32 JPEG"
    specificity = 30
    dataset = "cifake"
    card = DataCard(
        reference="Bird and Lotfi, CIFAKE: Image Classification and Explainable Identification of "
        "AI-Generated Synthetic Images, IEEE Access 12, 2024, doi:10.1109/ACCESS.2024.3356122",
        licence="MIT, as its authors state",
        citation="""\
@article{bird2024cifake,
  title = {{CIFAKE}: Image Classification and Explainable Identification of {AI}-Generated
           Synthetic Images},
  author = {Bird, Jordan J. and Lotfi, Ahmad},
  journal = {IEEE Access},
  volume = {12},
  pages = {15642--15650},
  year = {2024},
  doi = {10.1109/ACCESS.2024.3356122}
}""",
    )

    def match(self, tree: Tree) -> Match | None:
        """Match by the capital folder names and by the headers of a few images.

        The generator's name comes from the data set, not from the folders, so another set with
        such folders must not be taken for it.
        """
        match = super().match(tree)
        words = {folder[-1] for folder in self.places(tree)}
        if match is None or words != set(_LABELS):
            return None
        for folder in tree.image_folders:
            for file in tree.folders[folder][:_PEEKS]:
                header = tree.peek(file.path)
                if header is not None and header != _HEADER:
                    return None
        return match

    def places(self, tree: Tree) -> Mapping[Folder, Place]:
        """Place ``[split/]REAL`` and ``[split/]FAKE``."""
        places: dict[Folder, Place] = {}
        for folder in tree.folders:
            if not 1 <= len(folder) <= 2:
                continue
            label = _LABELS.get(folder[-1].upper())
            split = split_of(folder[0]) if len(folder) == 2 else ""
            if label is None or split is None:
                continue
            generator = "stable_diffusion_v_1_4" if label == FAKE else "cifar10"
            places[folder] = Place(label, generator, split=split)
        return places


LAYOUTS = {"cifake": Cifake()}
