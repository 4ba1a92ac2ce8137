"""A layout: two folders of words of their own."""

from collections.abc import Mapping

from bench.datasets.layouts.base import Folder, FolderLayout, Place, Tree


class Studio(FolderLayout):
    """Folders ``camera/<source>`` and ``synthetic/<generator>``; every real is for every generator."""

    name = "studio"
    summary = "studio: camera/<source> and synthetic/<generator>"
    specificity = 30  # the highest that matches wins; plain words have 10

    def places(self, tree: Tree) -> Mapping[Folder, Place]:
        labels = {"camera": 0, "synthetic": 1}  # 1 = AI-generated
        return {
            folder: Place(labels[folder[0]], folder[1])
            for folder in tree.folders
            if len(folder) == 2 and folder[0] in labels
        }


LAYOUTS = {"studio": Studio()}
