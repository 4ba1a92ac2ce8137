"""What a reader must know to read a board rightly: how it was made, on what, with what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from leaderboards.tables.attack_checks import Check
from leaderboards.tables.attacks import AttackFacts


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
        n_images: Number of images scored.
        n_available: Number of images before the limit; None where there was none.
        bad_images: Number of images left out, for every detector alike, because they do not decode.
        seed: Seed of random starts and of noise.
        precision: Arithmetic of the detectors, for example "fp32".
        device: Kind of device, for example "cpu".
        tool_version: Version of bench.
        versions: Library to version.
        weights: Detector to the digest of its weights.
        training: Detector to its training data, in words; "" where its card does not say.
        conditions: Condition as spelt to the parameters it was run with.
        curves: Condition to its severity series and its strength there, from 1 (mild) on.
        attacks: Attack condition as spelt to what boards compare of it.
        checks: The honesty checks of every attack.
        extra: Further lines, one remark each.
    """

    suite: str
    dataset: str
    layout: str = ""
    threshold_policy: str = "logit 0"
    pairing: Mapping[str, Sequence[str]] = field(default_factory=dict)
    limit: int | None = None
    n_images: int = 0
    n_available: int | None = None
    bad_images: int = 0
    seed: int = 0
    precision: str = "fp32"
    device: str = "cpu"
    tool_version: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)
    training: Mapping[str, str] = field(default_factory=dict)
    conditions: Mapping[str, str] = field(default_factory=dict)
    curves: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    attacks: Mapping[str, AttackFacts] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    extra: tuple[str, ...] = ()
