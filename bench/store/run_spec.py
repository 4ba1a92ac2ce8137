"""The resolved request of a run, as ``run.json`` holds it, and why cells of it have no scores."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from bench.protocol.suite import Suite
from leaderboards.tables.attacks import AttackFacts
from leaderboards.tables.notes import LeftOut

SCHEMA_VERSION = 1
# What a detector's remark begins with where its answers vary.
UNSTEADY = "not deterministic"


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
    """One condition: as spelled, with every parameter, what its steps promise, its severity curve."""

    spelled: str
    resolved: str
    attack: bool
    must_change: bool
    family: str = ""
    strength: int = 0
    facts: AttackFacts | None = None


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


class DataCardRecord(_Record):
    """Whose work the data set is, and whether that is its own card or that of the set it is laid out like."""

    reference: str
    licence: str
    citation: str = ""
    is_own: bool = True


class RunSpec(_Record):
    """The resolved request: every choice that was made, by the user or for them.

    ``left_out`` counts the images of the split that could not be used when the data were indexed.
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
    manifest_digest: str
    split: str
    limit: int | None
    n_images: int
    n_available: int
    detectors: tuple[DetectorRecord, ...]
    surrogates: dict[str, str] = {}
    conditions: tuple[ConditionRecord, ...]
    thresholds: dict[str, ThresholdRecord] = {}
    seed: int
    precision: Literal["fp32", "bf16"]
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
        }

    def differences(self, other: RunSpec) -> list[str]:
        """Name the keys of the request in which another run was asked for something else.

        Data are the same where they lie in one place or hold the same images, a detector where it is named
        alike or has the same identity: weights that have changed under their name are scored anew, not
        taken for another request.
        """
        here, there = self.request, other.request
        keys = [key for key in here if here[key] != there[key]]
        if self.manifest_digest == other.manifest_digest:
            keys = [key for key in keys if key not in ("data", "columns", "reals")]
        if len(self.detectors) == len(other.detectors) and all(
            one.label == two.label
            and (one.asked == two.asked != "" or one.identity == two.identity)
            for one, two in zip(self.detectors, other.detectors, strict=True)
        ):
            keys = [key for key in keys if key != "detectors"]
        return keys
