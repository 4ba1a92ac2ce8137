"""ForenSynths (Wang et al., CVPR 2020) and its heirs: ``<generator>/[<class>/]{0_real,1_fake}``.

AIGCDetectBenchmark, AIGIBench and SAFE use the same folders; Chameleon is a bare
``{0_real,1_fake}``. Each generator is compared with the reals in its own folder.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from bench.datasets.layouts.base import (
    UNKNOWN,
    Folder,
    FolderLayout,
    Labelled,
    Place,
    Tree,
    labelled,
    real_place,
)
from bench.datasets.layouts.words import split_of
from bench.datasets.record import FAKE, REAL


def _set_of(words: str) -> frozenset[str]:
    return frozenset(words.split())


# The LSUN classes of ForenSynths' training set, all made by ProGAN; one of them is "train".
_PROGAN_CLASSES: Final = _set_of(
    "airplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike "
    "person pottedplant sheep sofa train tvmonitor"
)


class ForenSynths(FolderLayout):
    """``[split/]<generator>/[<class>/]{0_real,1_fake}`` and ``[split/]{0_real,1_fake}``."""

    name = "forensynths"
    summary = "ForenSynths / AIGCDetect: <generator>/[<class>/]{0_real,1_fake}, own reals each"
    specificity = 20

    def places(self, tree: Tree) -> Mapping[Folder, Place]:
        """Place by the names ``0_real`` and ``1_fake``, a class or split folder above them."""
        return {
            folder: _place(label, names, split)
            for folder, (label, names, split) in read_numbered(tree).items()
        }


def number_label(word: str) -> int | None:
    """The label of ``0_real`` and ``1_fake`` (any case), and of nothing else."""
    return {"0_real": REAL, "1_fake": FAKE}.get(word.lower())


def read_numbered(tree: Tree) -> dict[Folder, tuple[int, Folder, str]]:
    """Folders named by `number_label` -> label, the names above without a split, the split.

    The names are (), (generator,) or (generator, class); deeper folders are left out.
    """
    parts = {f: p for f in tree.folders if (p := labelled(f, number_label)) and not p.after}
    # A leading "train" is a split only where every first folder is one: it is also a class.
    firsts = {p.before[0] for p in parts.values() if p.before}
    split_first = bool(firsts) and all(split_of(name) for name in firsts)
    rest = {f: p.before[1:] if split_first else p.before for f, p in parts.items()}
    second_is_split = _generators_with_splits(rest)
    found: dict[Folder, tuple[int, Folder, str]] = {}
    for folder, names in rest.items():
        split = _leading_split(parts[folder], split_first)
        if len(names) == 2 and names[0] in second_is_split and not split:
            found[folder] = (parts[folder].label, names[:1], split_of(names[1]) or "")
        elif len(names) <= 2:
            found[folder] = (parts[folder].label, names, split)
    return _progan_training_set(found)


def _leading_split(parts: Labelled, split_first: bool) -> str:
    return (split_of(parts.before[0]) or "") if split_first and parts.before else ""


def _generators_with_splits(rest: Mapping[Folder, Folder]) -> set[str]:
    """Generators all of whose sub-folders are splits; other sub-folders are classes."""
    below: defaultdict[str, set[str]] = defaultdict(set)
    for names in rest.values():
        if len(names) == 2:
            below[names[0]].add(names[1])
    return {g for g, subs in below.items() if all(split_of(sub) for sub in subs)}


def _progan_training_set(
    found: dict[Folder, tuple[int, Folder, str]],
) -> dict[Folder, tuple[int, Folder, str]]:
    """Read folders that are all LSUN classes, within one split, as classes of ProGAN."""
    names_of: defaultdict[str, set[Folder]] = defaultdict(set)
    for _, names, split in found.values():
        names_of[split].add(names)
    progan = {
        split
        for split, names in names_of.items()
        if len(names) > 1 and all(len(n) == 1 and n[0] in _PROGAN_CLASSES for n in names)
    }
    return {
        folder: (label, ("progan", *names) if split in progan else names, split)
        for folder, (label, names, split) in found.items()
    }


def _place(label: int, names: Folder, split: str) -> Place:
    generator = names[0] if names else UNKNOWN
    if label == FAKE:
        return Place(FAKE, generator, split=split)
    return real_place(generator, "", split)


LAYOUTS = {"forensynths": ForenSynths()}
