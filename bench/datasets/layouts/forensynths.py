"""ForenSynths (Wang et al., CVPR 2020) and its heirs: ``<generator>/[<class>/]{0_real,1_fake}``.

AIGCDetectBenchmark, AIGIBench and SAFE use the same folders; Chameleon is a bare
``{0_real,1_fake}``. Each generator is compared with the reals in its own folder.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from bench.datasets.layouts.base import UNKNOWN, DataCard, Folder, FolderLayout, Place, Tree
from bench.datasets.layouts.folder_names import find_label
from bench.datasets.layouts.words import split_of
from bench.datasets.record import FAKE, REAL
from leaderboards.tables.generator_names import is_listed


def _set_of(words: str) -> frozenset[str]:
    return frozenset(words.split())


# The LSUN classes of ForenSynths' training set, all made by ProGAN; one of them is "train".
_PROGAN_CLASSES: Final = _set_of(
    "airplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike "
    "person pottedplant sheep sofa train tvmonitor"
)


class ForenSynths(FolderLayout):
    """Folders ``[split/]<generator>/[<class>/]{0_real,1_fake}`` and ``[split/]{0_real,1_fake}``."""

    name = "forensynths"
    summary = "ForenSynths / AIGCDetect: <generator>/[<class>/]{0_real,1_fake}, own reals each"
    specificity = 20
    card = DataCard(
        reference="Wang et al., CNN-generated images are surprisingly easy to spot... for now, "
        "CVPR 2020, arXiv:1912.11035",
        licence="CC BY-NC-SA 4.0 (the authors' repository)",
        citation="""\
@inproceedings{wang2020cnn,
  title = {{CNN}-generated images are surprisingly easy to spot... for now},
  author = {Wang, Sheng-Yu and Wang, Oliver and Zhang, Richard and Owens, Andrew and
            Efros, Alexei A.},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  year = {2020}
}""",
    )

    def places(self, tree: Tree) -> Mapping[Folder, Place]:
        """Place by the names ``0_real`` and ``1_fake``, a class or split folder above them."""
        return {
            folder: Place.of_generator(
                meaning.label,
                generator=meaning.names[0] if meaning.names else UNKNOWN,
                split=meaning.split,
            )
            for folder, meaning in read_numbered(tree).items()
        }


@dataclass(frozen=True, slots=True)
class Numbered:
    """What the path of a folder called ``0_real`` or ``1_fake`` says.

    Attributes:
        label: 1 = AI-generated, 0 = real.
        names: the names above it without a split: (), (generator,) or (generator, class).
        split: ``train``, ``val``, ``test`` or "".
    """

    label: int
    names: Folder
    split: str


def number_label(word: str) -> int | None:
    """Give the label of ``0_real`` and ``1_fake`` (any case); None for anything else."""
    return {"0_real": REAL, "1_fake": FAKE}.get(word.lower())


def read_numbered(tree: Tree) -> dict[Folder, Numbered]:
    """Read every folder called ``0_real`` or ``1_fake``; those too deep to read are left out."""
    folders: dict[Folder, Numbered] = {}
    for folder in tree.folders:
        path = find_label(folder, number_label)
        if path is not None and not path.children:
            folders[folder] = Numbered(path.label, path.parents, split="")
    folders = _take_leading_split(folders)
    folders = _drop_collection(folders)
    folders = _take_split_below_generator(folders)
    folders = {folder: read for folder, read in folders.items() if len(read.names) <= 2}
    return _name_progan(folders)


def _take_leading_split(folders: Mapping[Folder, Numbered]) -> dict[Folder, Numbered]:
    """Read the first names as splits, if all of them are: "train" alone is also a class."""
    if not all(split_of(read.names[0]) for read in folders.values() if read.names):
        return dict(folders)
    return {
        folder: Numbered(read.label, read.names[1:], split_of(read.names[0]) or "")
        if read.names
        else read
        for folder, read in folders.items()
    }


def _drop_collection(folders: Mapping[Folder, Numbered]) -> dict[Folder, Numbered]:
    """Drop one folder above all generators (``FakeBench/SDXL/1_fake``): it names none itself."""
    firsts = {read.names[0] if len(read.names) > 1 else "" for read in folders.values()}
    collection = next(iter(firsts), "")
    if len(firsts) != 1 or not collection or is_listed(collection):
        return dict(folders)
    if not any(is_listed(read.names[1]) for read in folders.values()):
        return dict(folders)
    return {folder: replace(read, names=read.names[1:]) for folder, read in folders.items()}


def _take_split_below_generator(folders: Mapping[Folder, Numbered]) -> dict[Folder, Numbered]:
    """Read sub-folders of a generator as splits, if all of them are; others are classes."""
    children: defaultdict[str, set[str]] = defaultdict(set)
    for read in folders.values():
        if len(read.names) == 2:
            generator, name = read.names
            children[generator].add(name)
    with_splits = {g for g, names in children.items() if all(split_of(name) for name in names)}
    return {
        folder: Numbered(read.label, read.names[:1], split_of(read.names[1]) or "")
        if len(read.names) == 2 and read.names[0] in with_splits and not read.split
        else read
        for folder, read in folders.items()
    }


def _name_progan(folders: Mapping[Folder, Numbered]) -> dict[Folder, Numbered]:
    """Read folders that are all LSUN classes, within one split, as classes of ProGAN."""
    names_of: defaultdict[str, set[Folder]] = defaultdict(set)
    for read in folders.values():
        names_of[read.split].add(read.names)
    progan = {
        split
        for split, paths in names_of.items()
        if len(paths) > 1 and all(len(p) == 1 and p[0] in _PROGAN_CLASSES for p in paths)
    }
    return {
        folder: replace(read, names=("progan", *read.names)) if read.split in progan else read
        for folder, read in folders.items()
    }


LAYOUTS = {"forensynths": ForenSynths()}
