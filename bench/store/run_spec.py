"""The resolved request of a run, as ``run.json`` holds it, and why cells of it have no scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict

from bench.protocol.attack_facts import attack_facts, certificate_facts
from bench.protocol.condition import Condition
from bench.protocol.suite import Suite
from leaderboards.tables.attacks import AttackFacts
from leaderboards.tables.further.arithmetic import DetectorForm
from leaderboards.tables.further.certified import CertificateFacts
from leaderboards.tables.notes import Caution, LeftOut, ShortcutRow

SCHEMA_VERSION = 1
# What a detector's remark begins with where its answers vary.
UNSTEADY = "not deterministic"
# What a file of scores made elsewhere may hold.
ScoreKind = Literal["logit", "probability", "verdict"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DetectorRecord(_Record):
    """One detector of a run: how it was asked for, its card, and the hash of all that decides its logits."""

    label: str
    requested: str
    asked: str = ""
    identity: str
    batch_size: int
    card: dict[str, Any]
    remarks: tuple[str, ...] = ()


class ConditionRecord(_Record):
    """One condition: as spelled, with every parameter, what its steps promise, its curve and class."""

    spelled: str
    resolved: str
    attack: bool
    must_change: bool
    family: str = ""
    strength: int = 0
    facts: AttackFacts | None = None
    only: str = ""
    certificate: CertificateFacts | None = None

    @classmethod
    def of(cls, condition: Condition, severity: Mapping[str, tuple[str, int]]) -> Self:
        """Describe a condition as a run records it.

        Args:
            condition: The condition itself.
            severity: Condition, as spelled, to its severity curve and its strength there.
        """
        series, strength = severity.get(str(condition), ("", 0))
        equaliser = type(condition)(condition.equaliser).corruptions
        remarks = [
            corruption.as_done
            for corruption in (*equaliser, *condition.corruptions)
            if corruption.as_done
        ]
        return cls(
            spelled=str(condition),
            resolved=": ".join(
                [condition.resolved, *(["; then ".join(remarks)] if remarks else [])]
            ),
            family=series,
            strength=strength,
            attack=condition.attack is not None,
            facts=attack_facts(condition),
            only=condition.only,
            certificate=certificate_facts(condition),
            must_change=any(not corruption.may_be_identity for corruption in condition.corruptions),
        )


class ThresholdRecord(_Record):
    """A chosen threshold, and the images it was chosen on.

    Attributes:
        value: Logit above which an image is called fake.
        n_real: Real images it was chosen on.
        n_fake: Fake images it was chosen on.
        generators: The generators among them, where only those of the training data counted.
    """

    value: float
    n_real: int
    n_fake: int
    generators: tuple[str, ...] = ()


class Failure(_Record):
    """Why one detector has no scores under one condition."""

    detector: str
    condition: str
    status: Literal["failed", "not attackable"]
    reason: str


class ImportedScores(_Record):
    """How one detector's scores stood in a file, and what was lost in them.

    Attributes:
        kind: What the file gave: logits, probabilities of the class AI-generated, or verdicts.
        n_clamped: Probabilities of (almost) exactly 0 or 1, brought to the largest log-odds.
        tied_pairs: Share of the pairs of a real and a fake image, clean, that have equal scores.
        n_missing: Scores that the file lacks or that are no numbers; their images were left out.
    """

    kind: ScoreKind
    n_clamped: int = 0
    tied_pairs: float = 0.0
    n_missing: int = 0


class Imported(_Record):
    """The file that scores were read from, where no detector of this run was run by bench.

    Attributes:
        file: Name of the file, without its folder.
        sha256: Hash of the file, 64 hex digits.
        scores: Detector to what the file gave of it.
    """

    file: str
    sha256: str
    scores: dict[str, ImportedScores]


class AuditRecord(_Record):
    """What the short audit before a run found.

    Attributes:
        images: Number of images whose files were read.
        shortcuts: How well the files alone tell real from fake.
        cautions: What of that makes numbers unusable.
    """

    images: int
    shortcuts: tuple[ShortcutRow, ...] = ()
    cautions: tuple[Caution, ...] = ()


class DataCardRecord(_Record):
    """Whose work the data set is, and whether that is its own card or that of the set it is laid out like."""

    reference: str
    licence: str
    citation: str = ""
    is_own: bool = True


class RunSpec(_Record):
    """The resolved request: every choice that was made, by the user or for them.

    ``left_out`` counts the images of the split that could not be used when the data were indexed;
    ``imported`` says where scores come from that were made elsewhere, ``copies`` counts images that were
    selected and dropped because another one shows the same (None: not asked), ``audit`` is what was found
    before the run, ``until`` is the target at which cells stop ("": everything is scored), ``forms`` says the
    arithmetic that was chosen for each detector (empty: one was asked for, or none is chosen yet).
    """

    schema_version: int = SCHEMA_VERSION
    suite: Suite
    data: str = ""
    columns: dict[str, str] = {}
    reals: tuple[str, ...] = ()
    dataset: str
    layout: str
    data_card: DataCardRecord | None = None
    pairing: dict[str, tuple[str, ...]]
    left_out: tuple[LeftOut, ...] = ()
    copies: tuple[LeftOut, ...] | None = None
    audit: AuditRecord | None = None
    manifest_digest: str
    split: str
    limit: int | None
    until: str = ""
    n_images: int
    n_available: int
    detectors: tuple[DetectorRecord, ...]
    surrogates: dict[str, str] = {}
    conditions: tuple[ConditionRecord, ...]
    thresholds: dict[str, ThresholdRecord] = {}
    imported: Imported | None = None
    seed: int
    precision: Literal["fp32", "bf16", "auto", "unknown"]
    forms: tuple[DetectorForm, ...] = ()
    device: str
    environment: dict[str, Any]
    decode: dict[str, Any]
    versions: dict[str, str]
    git: dict[str, Any]
    store: str
    files: dict[str, str] = {}

    @property
    def request(self) -> dict[str, Any]:
        """What was asked for, of all that moves a number: runs that agree in it may share a folder.

        Data and detectors stand as they were named; where the scores lie is no part of it, nor are batch
        sizes, threads and releases.
        """
        return {
            "suite": self.suite.name,
            "slices": list(self.suite.slices),
            "conditions": [condition.spelled for condition in self.conditions],
            "threshold": self.suite.threshold,
            "equalise": self.suite.equalise,
            "pairing": self.suite.pairing,
            "data": self.data,
            "columns": self.columns,
            "reals": list(self.reals),
            "split": self.split,
            "limit": self.limit,
            "seed": self.seed,
            "detectors": [[detector.label, detector.asked] for detector in self.detectors],
            "surrogates": sorted(self.surrogates),
            "precision": self.precision,
            "exact": self.environment.get("exact", True),
            "compile": self.environment.get("compiled", False),
            "device": self.device,
            # Only where it is asked for: folders of earlier runs are found again by what they hold.
            **({"drop duplicates": True} if self.copies is not None else {}),
            **({"until": self.until} if self.until else {}),
        }

    def differences(self, other: RunSpec) -> list[str]:
        """Name the keys of the request in which another run was asked for something else.

        Data are the same where they lie in one place or hold the same images, a detector where it is named
        alike or has the same identity: weights that have changed under their name are scored anew, not
        taken for another request.
        """
        here, there = self.request, other.request
        keys = [key for key in {**here, **there} if here.get(key) != there.get(key)]
        if self.manifest_digest == other.manifest_digest:
            keys = [key for key in keys if key not in ("data", "columns", "reals")]
        if len(self.detectors) == len(other.detectors) and all(
            one.label == two.label
            and (one.asked == two.asked != "" or one.identity == two.identity)
            for one, two in zip(self.detectors, other.detectors, strict=True)
        ):
            keys = [key for key in keys if key != "detectors"]
        return keys
