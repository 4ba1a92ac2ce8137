"""What a paper published of its detector: the weights, what they saw, and the figures. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from detectors.card import TrainingData

FORENSYNTHS = "ForenSynths"
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

# The 20 classes of LSUN that ForenSynths trains on; several papers take four of them.
PROGAN_20 = TrainingData(dataset="ForenSynths (20 LSUN classes)", generators=("progan",))
PROGAN_4 = TrainingData(
    dataset="ForenSynths (4 LSUN classes: car, cat, chair, horse)", generators=("progan",)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperFigure:
    """One number of a paper, to stand beside ours.

    Attributes:
        test_set: Name of the test set, such as ``ForenSynths``.
        generator: Generator of the fakes, as the test set's folders call it; empty for the mean over all.
        metric: Name of the metric, as our tables have it: ``accuracy``, ``average precision``, ``auc``,
            ``real accuracy``, ``fake accuracy``.
        value: The figure as a fraction of 1.
        source: Paper and table.
    """

    test_set: str
    generator: str = ""
    metric: str
    value: float
    source: str


def paper_figures(
    test_set: str,
    source: str,
    percentages: Mapping[str, tuple[float, ...]],
    *,
    metrics: tuple[str, ...] = ("accuracy", "average precision"),
) -> tuple[PaperFigure, ...]:
    """Write one table of a paper as figures.

    Args:
        test_set: Name of the test set.
        source: Paper and table.
        percentages: For every generator (``""`` for the mean over all) one percentage a metric.
        metrics: What the percentages are, in their order.

    Returns:
        A figure for every number, as a fraction of 1.

    Example:
        >>> row = {"biggan": (70.2, 84.5)}
        >>> [(f.metric, f.value) for f in paper_figures("ForenSynths", "its table 2", row)]
        [('accuracy', 0.702), ('average precision', 0.845)]
    """
    return tuple(
        PaperFigure(
            test_set=test_set,
            generator=generator,
            metric=metric,
            value=round(percentage / 100, 6),
            source=source,
        )
        for generator, row in percentages.items()
        for metric, percentage in zip(metrics, row, strict=True)
    )


@dataclass(frozen=True, slots=True)
class Backbone:
    """A published network inside a detector, whose weights the detector's own file leaves out.

    Attributes:
        model: Name that timm has for it.
        module: Name of the sub-module that it fills.
        unused: Prefixes of keys of the published file that the detector has no use for: its classifier.
    """

    model: str
    module: str
    unused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Beside:
    """Single tensors that a published detector needs and that lie in files of their own beside its weights.

    Attributes:
        module: Name of the sub-module that holds them.
        files: For each of its tensors the name of the file, with or without an ending.
    """

    module: str
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What a paper published of its detector, beside the network.

    Attributes:
        url: Where the weights are published.
        file: What the weights file is called there; empty where unknown.
        licence: Licence of the weights, by SPDX name; ``unknown`` where nobody said.
        sha256: Hash of the file, 64 hex digits; empty where unknown.
        training_data: What the weights were trained on; ``None`` where unknown, so that nothing counts
            as unseen.
        key_map: Prefixes of the file's keys and what replaces them, where they are not the network's.
        backbone: The part of the network that the file leaves out; ``None`` where it holds all.
        beside: Tensors in files beside it; ``None`` where it holds all.
        not_attackable: Why gradients through the detector mean nothing; empty where they do.
        figures: Numbers of the paper on its test sets.
        notes: What else a reader of the scores should know, a sentence each.
    """

    url: str
    file: str
    licence: str = "unknown"
    sha256: str = ""
    training_data: TrainingData | None = None
    key_map: Mapping[str, str] = field(default_factory=dict)
    backbone: Backbone | None = None
    beside: Beside | None = None
    not_attackable: str = ""
    figures: tuple[PaperFigure, ...] = ()
    notes: tuple[str, ...] = ()
