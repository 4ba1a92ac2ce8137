"""TrueFake (Dell'Anna et al. 2025): ``<share>/{Fake,Real}/<subset>``, one image before and after upload."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Final

from bench.datasets.layouts.base import Entry, Folder, FolderLayout, Match, Place, Tree
from bench.datasets.layouts.words import label_of
from bench.datasets.record import REAL

_SHARES: Final = frozenset(
    [
        "pre",
        "fb",
        "tw",
        "tl",
        "presocial",
        "facebook",
        "twitter",
        "x",
        "telegram",
        "whatsapp",
        "instagram",
    ]
)


class TrueFake(FolderLayout):
    """Folders ``<share>/{Fake,Real}/<subset>``: the share is the domain, the subset generator or source.

    The same image under several shares is one group, as paired statistics take it.
    """

    name = "truefake"
    summary = "TrueFake: {pre,fb,tw,tl}/{Fake,Real}/<subset>, the share is the domain"
    specificity = 30

    def match(self, tree: Tree) -> Match | None:
        """Match where every first folder is the name of a share."""
        places = self.places(tree)
        shares = {folder[0].lower() for folder in places}
        return super().match(tree) if shares and shares <= _SHARES else None

    def places(self, tree: Tree) -> Mapping[Folder, Place]:
        """Place every folder by share, label and subset: ``<share>/<label>/<subset>[/...]``."""
        places: dict[Folder, Place] = {}
        for folder in tree.folders:
            label = label_of(folder[1]) if len(folder) >= 3 else None
            if label is not None:
                places[folder] = Place(label, folder[2], domain=folder[0])
        return places

    def entries(self, tree: Tree) -> Iterator[Entry]:
        """List the images, those of one name under several shares in one group."""
        for entry in super().entries(tree):
            kind = "real" if entry.label == REAL else "fake"
            below = PurePosixPath(*PurePosixPath(entry.sample_id).parts[2:]).with_suffix("")
            yield replace(entry, group=f"{kind}/{below.as_posix()}")


LAYOUTS = {"truefake": TrueFake()}
