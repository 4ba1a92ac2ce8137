"""Folders of AI-generated images only, one a generator: the reals lie elsewhere (``--reals``)."""

from __future__ import annotations

from collections.abc import Mapping

from bench.datasets.layouts.base import UNKNOWN, Folder, FolderLayout, Place, Tree
from bench.datasets.layouts.folder_names import splits_in, without_splits
from bench.datasets.layouts.words import label_of, split_of
from bench.datasets.record import FAKE


class Generators(FolderLayout):
    """Folders ``[split/]<generator>/...``: every image is AI-generated, as Synthbuster's nine folders.

    Nothing in such folders says so, which is why it has to be stated, or reals given beside it.
    """

    name = "generators"
    summary = "<generator>/ folders of AI-generated images only, the real ones elsewhere (--reals)"
    specificity = 0
    automatic = False

    def places(self, tree: Tree) -> Mapping[Folder, Place]:
        """Place every folder by its first name below the split, or by the name of the whole."""
        whole = tree.name
        if label_of(whole) is not None or split_of(whole) is not None or not whole:
            whole = UNKNOWN
        places: dict[Folder, Place] = {}
        for folder in tree.folders:
            splits = splits_in(folder)
            names = [name for name in without_splits(folder) if label_of(name) != FAKE]
            split = splits[0] if splits else ""
            places[folder] = Place(FAKE, names[0] if names else whole, split=split)
        return places


LAYOUTS = {"generators": Generators()}
