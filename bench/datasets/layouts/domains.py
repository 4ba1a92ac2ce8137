"""Folders that are domains, as in WildRF: ``test/{reddit,twitter,facebook}/{0_real,1_fake}``."""

from __future__ import annotations

from collections.abc import Mapping

from bench.datasets.layouts.base import (
    SHARED_REAL,
    UNKNOWN,
    Folder,
    FolderLayout,
    Match,
    Place,
    Tree,
    labelled,
    real_place,
    take_split,
)
from bench.datasets.record import FAKE, REAL

_WILDRF = frozenset({"reddit", "twitter", "facebook"})


class Domains(FolderLayout):
    """``[split/]<domain>/[<generator>/]{real,fake}``.

    A folder above ``real`` and ``fake`` is otherwise a generator, so this is recognised by itself
    only for WildRF (Cavia et al. 2024), whose three platforms have known names.
    """

    name = "domains"
    summary = "<domain>/[<generator>/]{real,fake}: the folder is a domain, not a generator"
    specificity = 30

    def match(self, tree: Tree) -> Match | None:
        """Match where every named domain is one of WildRF's."""
        domains = {p.domain for p in self.places(tree).values()} - {""}
        if not domains or not {d.lower() for d in domains} <= _WILDRF:
            return None
        return super().match(tree)

    def places(self, tree: Tree) -> Mapping[Folder, Place]:
        """Place every folder with one label word and a domain above it."""
        found: dict[Folder, Place] = {}
        for folder in tree.folders:
            parts = labelled(folder)
            context = take_split(parts.before) if parts else None
            if parts is None or context is None or len(context[0]) > 2:
                continue
            names, split = context
            domain = names[0] if names else ""
            generator = names[1] if len(names) == 2 else UNKNOWN
            if parts.label == FAKE:
                found[folder] = Place(FAKE, generator, domain, split)
            elif generator == UNKNOWN:
                found[folder] = Place(REAL, SHARED_REAL, domain, split)
            else:
                found[folder] = real_place(generator, domain, split)
        return found


LAYOUTS = {"domains": Domains()}
