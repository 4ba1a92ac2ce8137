"""Folders that are domains, as in WildRF: ``test/{reddit,twitter,facebook}/{0_real,1_fake}``."""

from __future__ import annotations

from collections.abc import Mapping

from bench.datasets.layouts.base import UNKNOWN, Folder, FolderLayout, Match, Place, Tree
from bench.datasets.layouts.folder_names import find_label, splits_in, without_splits

_WILDRF = frozenset({"reddit", "twitter", "facebook"})


class Domains(FolderLayout):
    """Folders that are domains: ``[split/]<domain>/[<generator>/]{real,fake}``.

    A folder above ``real`` and ``fake`` is otherwise a generator, so this is recognised by itself
    only for WildRF (Cavia et al. 2024), whose three platforms have known names.
    """

    name = "domains"
    summary = "<domain>/[<generator>/]{real,fake}: the folder is a domain, not a generator"
    specificity = 30

    def match(self, tree: Tree) -> Match | None:
        """Match where every named domain is one of WildRF's."""
        domains = {place.domain for place in self.places(tree).values()} - {""}
        if not domains or not {domain.lower() for domain in domains} <= _WILDRF:
            return None
        return super().match(tree)

    def places(self, tree: Tree) -> Mapping[Folder, Place]:
        """Place every folder with one label and at most a domain and a generator above it."""
        places: dict[Folder, Place] = {}
        for folder in tree.folders:
            path = find_label(folder)
            if path is None:
                continue
            names, splits = without_splits(path.parents), splits_in(path.parents)
            if len(names) > 2 or len(splits) > 1:
                continue
            places[folder] = Place.of_generator(
                path.label,
                generator=names[1] if len(names) == 2 else UNKNOWN,
                domain=names[0] if names else "",
                split=splits[0] if splits else "",
            )
        return places


LAYOUTS = {"domains": Domains()}
