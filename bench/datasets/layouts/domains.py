"""Folders that are domains, as in WildRF: ``test/{reddit,twitter,facebook}/{0_real,1_fake}``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from bench.datasets.layouts.base import UNKNOWN, Folder, FolderLayout, Match, Place, Tree
from bench.datasets.layouts.folder_names import find_label, splits_in, without_splits
from bench.datasets.layouts.forensynths import number_label
from leaderboards.tables.generator_names import is_listed

_WILDRF = frozenset({"reddit", "twitter", "facebook"})
# What names of generators look like that nobody has listed.
_GENERATOR: Final = re.compile(
    r"(?:gen|generator|model)[-_ ]?\w{1,2}|.*(?:gan|vae|diff|diffusion|flow|dit|flux)[-_ ]?(?:v?\d[\w.]*)?"
)
# Kinds of content and places of delivery that people name folders after.
_CONTENTS: Final = frozenset(
    [
        "face",
        "faces",
        "portrait",
        "portraits",
        "person",
        "persons",
        "people",
        "human",
        "humans",
        "animal",
        "animals",
        "pet",
        "pets",
        "cat",
        "cats",
        "dog",
        "dogs",
        "bird",
        "birds",
        "car",
        "cars",
        "vehicle",
        "vehicles",
        "food",
        "foods",
        "art",
        "arts",
        "artwork",
        "artworks",
        "painting",
        "paintings",
        "anime",
        "cartoon",
        "cartoons",
        "illustration",
        "illustrations",
        "landscape",
        "landscapes",
        "scene",
        "scenes",
        "scenery",
        "nature",
        "building",
        "buildings",
        "architecture",
        "indoor",
        "outdoor",
        "street",
        "streets",
        "city",
        "cities",
        "bedroom",
        "bedrooms",
        "church",
        "churches",
        "object",
        "objects",
        "product",
        "products",
        "document",
        "documents",
        "news",
        "satellite",
        "medical",
        "photo",
        "photos",
        "photograph",
        "photographs",
        "plant",
        "plants",
        "flower",
        "flowers",
        "fashion",
        "sport",
        "sports",
        "travel",
        "interior",
        "interiors",
        "reddit",
        "twitter",
        "facebook",
        "instagram",
        "telegram",
        "whatsapp",
        "wechat",
        "weibo",
        "tiktok",
        "flickr",
        "web",
        "social",
    ]
)


class Domains(FolderLayout):
    """Folders that are domains: ``[split/]<domain>/[<generator>/]{real,fake}``.

    A folder above ``real`` and ``fake`` is otherwise a generator, so this is recognised by itself
    only for WildRF (Cavia et al. 2024), whose three platforms have known names, and where two folders
    stand above the label of which the names tell that the lower one is a generator.
    """

    name = "domains"
    summary = "<domain>/[<generator>/]{real,fake}: the folder is a domain, not a generator"
    specificity = 30

    def match(self, tree: Tree) -> Match | None:
        """Match where every named domain is one of WildRF's, or the names tell domain and generator."""
        places = self.places(tree).values()
        domains = {place.domain for place in places} - {""}
        if not domains:
            return None
        if {domain.lower() for domain in domains} <= _WILDRF or _tells(tree):
            return super().match(tree)
        return None

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


def _tells(tree: Tree) -> bool:
    """Whether every labelled folder has two names above it, of which the lower is a generator's.

    One folder above all that says nothing is the data set's own; nobody's content.
    """
    above = [
        without_splits(path.parents) for folder in tree.folders if (path := find_label(folder))
    ]
    if not above or any(len(names) != 2 for names in above):
        return False
    upper, lower = ({names[i] for names in above} for i in (0, 1))
    if any(_is_generator(name) for name in upper):
        return False
    speaks = any(_is_generator(name) for name in lower)
    contents = {re.sub(r"[\W\d_]+", "", name.lower()) for name in upper} <= _CONTENTS
    numbered = all(number_label(folder[-1]) is not None for folder in tree.image_folders)
    if numbered and len(upper) == 1:
        return contents and speaks
    return speaks or contents


def _is_generator(name: str) -> bool:
    return is_listed(name) or _GENERATOR.fullmatch(name.lower()) is not None


LAYOUTS = {"domains": Domains()}
