"""What a reader must know to read a board rightly: how it was made, on what, with what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leaderboards.tables.attack_checks import Check
    from leaderboards.tables.attacks import AttackFacts
    from leaderboards.tables.further.arithmetic import DetectorForm
    from leaderboards.tables.further.certified import CertificateFacts
    from leaderboards.tables.further.parts import PartFacts
    from leaderboards.tables.further.stopping import Stopping

# The end of a caution's code, on a board of equalised images.
_RAW = " (raw)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caution:
    """Why numbers of a board must not be taken at face value; stands wherever they stand.

    Attributes:
        code: The same in a few words, for a column of a table.
        title: What is wrong, with its figures, and the detector's name where it is about one; begins
            with a word in capitals, ends without a full stop.
        advice: What that means and what to do, in sentences.
        detector: The detector it is about; "" for all of them.
    """

    code: str
    title: str
    advice: str
    detector: str = ""

    @property
    def sentence(self) -> str:
        """Title and advice as plain text on one line."""
        return f"{self.title}. {self.advice}"

    @property
    def is_of_raw(self) -> bool:
        """Whether it is about the raw images of a board of equalised ones, and about no other number."""
        return self.code.endswith(_RAW)

    def of_raw(self) -> Caution:
        """Say of images as they lie what a board of equalised images must not claim of its other rows.

        Example:
            >>> Caution(code="format", title="WARNING: format alone tells", advice="Mend it.").of_raw().title
            'WARNING: in the images as they lie, format alone tells'
        """
        word, _, rest = self.title.partition(": ")
        return replace(
            self,
            code=self.code + _RAW,
            title=f"{word}: in the images as they lie, {rest}",
            advice="Of this board that spoils what is called `raw`; all other numbers are behind the chain "
            "that equalises both classes, and the shortcuts called equalised say what it leaves.",
        )

    def of_equalised(self) -> Caution:
        """Say that it stands even behind the chain that equalises images."""
        word, _, rest = self.title.partition(": ")
        return replace(
            self,
            code=f"{self.code}, equalised",
            title=f"{word}: even equalised, {rest}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Images of one kind that cannot be used, left out for every detector alike.

    Attributes:
        label: 1 = AI-generated, 0 = real; None where the data do not say.
        generator: Generator of the fakes, or source of the reals; "" where the data do not say.
        domain: Domain of the images; "" where none is named.
        images: Number of images.
    """

    label: int | None
    generator: str
    domain: str
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortcutRow:
    """How well some facts of the files tell real from fake, without a picture being looked at.

    Attributes:
        name: What is looked at: ``metadata``, ``bytes per pixel``, ``border`` or ``colour``.
        auc: Area under the ROC curve, out of fold; None where undefined.
        lo: Lower end of its 95% interval.
        hi: Upper end of its 95% interval.
        warns: Whether the lower bound passes the level of warning, over all or for one generator.
        n_real: Number of real images behind it.
        n_fake: Number of AI-generated images behind it.
        generator: Generator that is told apart best; "" where there is none.
        generator_auc: Its area under the ROC curve.
        accuracy: Mean over generators of the balanced accuracy of a classifier that saw no image of that
            generator; None where there are fewer than two.
    """

    name: str
    auc: float | None
    lo: float | None
    hi: float | None
    warns: bool
    n_real: int
    n_fake: int
    generator: str = ""
    generator_auc: float | None = None
    accuracy: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardNotes:
    """The protocol behind a board. Nothing here may depend on the clock or on where files lie.

    Attributes:
        suite: Name of the suite.
        dataset: Name of the data set.
        layout: Layout that the data set was recognised as.
        threshold_policy: How the threshold came about, in words.
        pairing: Generator to the real sources its fakes are compared with.
        limit: Number of images asked for, where the run was limited; None where it was not.
        until: Where cells stopped at a target; None where everything was to be scored.
        n_images: Number of images scored; where cells stopped at a target, of those to choose from.
        n_available: Number of images before the limit; None where there was none.
        bad_images: Number of images left out, for every detector alike: found when the data were
            indexed, or when they were decoded.
        left_out: The same by class, generator and domain.
        cautions: Why the numbers must not be taken at face value; a limited run is not among them.
        shortcuts: How well the files alone tell real from fake; empty where that was not asked.
        seed: Seed of random starts and of noise.
        precision: Arithmetic of the detectors, for example "fp32".
        forms: The arithmetic that was chosen for each detector; empty where one was asked for.
        device: Kind of device, for example "cpu".
        tool_version: Version of bench.
        versions: Library to version.
        weights: Detector to the digest of its weights.
        training: Detector to its training data, in words; "" where its card does not say.
        equaliser: Corruptions set before every condition but "raw"; "" where images are as they lie.
        conditions: Condition as spelt to the parameters it was run with.
        curves: Condition to its severity series and its strength there, from 1 (mild) on.
        attacks: Attack condition as spelt to what boards compare of it.
        parts: Parts of the protocol that are one number each.
        certificates: Condition as spelt to what boards need to know of its certificate.
        checks: The honesty checks of every attack.
        extra: Further lines, one remark each.
        data_card: Whose work the data set is: reference, licence and citation, in that order; empty where
            nobody says.
    """

    suite: str
    dataset: str
    layout: str = ""
    threshold_policy: str = "logit 0"
    pairing: Mapping[str, Sequence[str]] = field(default_factory=dict)
    limit: int | None = None
    until: Stopping | None = None
    n_images: int = 0
    n_available: int | None = None
    bad_images: int = 0
    left_out: tuple[LeftOut, ...] = ()
    cautions: tuple[Caution, ...] = ()
    shortcuts: tuple[ShortcutRow, ...] = ()
    seed: int = 0
    precision: str = "fp32"
    forms: tuple[DetectorForm, ...] = ()
    device: str = "cpu"
    tool_version: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)
    training: Mapping[str, str] = field(default_factory=dict)
    equaliser: str = ""
    conditions: Mapping[str, str] = field(default_factory=dict)
    curves: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    attacks: Mapping[str, AttackFacts] = field(default_factory=dict)
    parts: tuple[PartFacts, ...] = ()
    certificates: Mapping[str, CertificateFacts] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    extra: tuple[str, ...] = ()
    data_card: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[Caution, ...]:
        """Every caution, that of a limited run first: the one list that all formats show."""
        cheaper = [caution for form in self.forms for caution in form.cautions]
        stopped = [] if self.until is None else [self.until.caution]
        if self.limit is None:
            return (*stopped, *cheaper, *self.cautions)
        total = "" if self.n_available is None else f" of {self.n_available}"
        limited = Caution(
            code="limited run",
            title=f"LIMITED RUN: {self.n_images}{total} images (limit {self.limit})",
            advice="Good for a trial, not for a comparison.",
        )
        return (limited, *stopped, *cheaper, *self.cautions)


def count_left_out(
    images: Iterable[tuple[int | None, str | None, str | None]], earlier: Sequence[LeftOut] = ()
) -> tuple[LeftOut, ...]:
    """Count images left out by what is known of them.

    Args:
        images: Label, generator and domain of each; None where nobody knows.
        earlier: Counts to add to.
    """
    counts = Counter({(k.label, k.generator, k.domain): k.images for k in earlier})
    counts.update((label, generator or "", domain or "") for label, generator, domain in images)
    order = sorted(counts, key=lambda kind: (kind[0] is None, kind[0] or 0, kind[1], kind[2]))
    return tuple(
        LeftOut(
            label=label, generator=generator, domain=domain, images=counts[label, generator, domain]
        )
        for label, generator, domain in order
    )


def count_by_class(left_out: Sequence[LeftOut]) -> str:
    """Say how many images of each class and generator are left out; "" for none.

    Example:
        >>> count_by_class([LeftOut(label=1, generator="sdxl", domain="", images=3)])
        '0 real; 3 fake (sdxl 3)'
    """
    if not left_out:
        return ""
    parts = []
    for label, word in ((0, "real"), (1, "fake"), (None, "of a class not known")):
        names: dict[str, int] = {}
        for kind in left_out:
            if kind.label == label:
                names[kind.generator] = names.get(kind.generator, 0) + kind.images
        total = sum(names.values())
        named = ", ".join(f"{name} {n}" for name, n in sorted(names.items()) if name)
        if total or label is not None:
            parts.append(f"{total} {word}" + (f" ({named})" if named else ""))
    return "; ".join(parts)
