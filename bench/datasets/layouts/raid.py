"""RAID (Eddoubi et al. 2025) and ELSA-D3: ``[<condition>/]{real,gen_0,gen_1,...}``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from bench.datasets.layouts.base import SHARED_REAL, Folder, FolderLayout, Match, Place, Tree
from bench.datasets.layouts.words import split_of
from bench.datasets.record import FAKE, REAL

_GENERATOR: Final = re.compile(r"gen[_-]?\d+", re.IGNORECASE)
_CONDITION: Final = re.compile(r"original|(?:epsilon|eps)[_-]?\d+", re.IGNORECASE)


class Raid(FolderLayout):
    """Folders ``real`` and ``gen_<k>``, below a condition (``original``, ``epsilon16``) or a split.

    The condition is the domain: attacked images are compared with reals attacked alike. Numbers are
    all that these sets say of their generators.
    """

    name = "raid"
    summary = "RAID / ELSA-D3: [{original,epsilon<n>}/]{real,gen_<k>}, reals shared"
    specificity = 30

    def match(self, tree: Tree) -> Match | None:
        """Match where there are numbered generators and reals, and nothing else."""
        labels = {place.label for place in self.places(tree).values()}
        return super().match(tree) if labels == {REAL, FAKE} else None

    def places(self, tree: Tree) -> Mapping[Folder, Place]:
        """Place folders by their last name; a condition or a split may stand above it."""
        places: dict[Folder, Place] = {}
        for folder in tree.folders:
            if not folder or not all(_CONDITION.fullmatch(n) or split_of(n) for n in folder[:-1]):
                continue
            domain = "".join(n for n in folder[:-1] if _CONDITION.fullmatch(n))
            split = "".join(split_of(n) or "" for n in folder[:-1] if not _CONDITION.fullmatch(n))
            if folder[-1].lower() == "real":
                places[folder] = Place(REAL, SHARED_REAL, domain, split)
            elif _GENERATOR.fullmatch(folder[-1]):
                places[folder] = Place(FAKE, folder[-1], domain, split)
        return places


LAYOUTS = {"raid": Raid()}
