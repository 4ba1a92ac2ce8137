"""What the names on the path of a folder say: real or fake, and which split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.datasets.layouts.words import label_of, split_of
from bench.datasets.sources.tree import Folder


@dataclass(frozen=True, slots=True)
class LabelledFolder:
    """A folder's path, taken apart at the name that says real or fake.

    Attributes:
        parents: names above the label, the outermost first.
        label: 1 = AI-generated, 0 = real.
        children: names below the label, the outermost first.
    """

    parents: Folder
    label: int
    children: Folder


def find_label(
    folder: Folder, label_of: Callable[[str], int | None] = label_of
) -> LabelledFolder | None:
    """Take a folder apart at the first name that is a label.

    Args:
        folder: its names, relative to the root.
        label_of: the label a name stands for, or None.

    Returns:
        The parts; None where no name is a label, or two contradict each other.

    Example:
        >>> find_label(("test", "sdxl", "fake", "cats"))
        LabelledFolder(parents=('test', 'sdxl'), label=1, children=('cats',))
        >>> find_label(("fake", "real")) is None
        True
    """
    labels = {i: label for i, name in enumerate(folder) if (label := label_of(name)) is not None}
    if len(set(labels.values())) != 1:
        return None
    first = min(labels)
    return LabelledFolder(folder[:first], labels[first], folder[first + 1 :])


def splits_in(names: Folder) -> list[str]:
    """List the splits that names stand for, in order.

    Example:
        >>> splits_in(("sdxl", "training", "cats"))
        ['train']
    """
    return [split for name in names if (split := split_of(name)) is not None]


def without_splits(names: Folder) -> Folder:
    """Drop the names that stand for a split.

    Example:
        >>> without_splits(("sdxl", "training", "cats"))
        ('sdxl', 'cats')
    """
    return tuple(name for name in names if split_of(name) is None)
