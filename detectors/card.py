"""What travels with a detector's weights: everything needed to use its number honestly.

The idea of a card bound to the weights follows timm's ``PretrainedCfg``: without input size, fit
rule, normalisation and label direction a checkpoint is only half published.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from detectors.errors import DetectorError
from detectors.inputs.spec import IMAGENET_MEAN, IMAGENET_STD, InputSpec

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "DetectorCard",
    "FakeLogit",
    "InputSpec",
    "TrainingData",
    "WeightsRef",
    "card_beside",
    "read_card",
]

FakeLogit = Literal["z", "-z", "z1-z0", "z0-z1"]
Output = Literal["logit", "probability"]

_MOST_BYTES = 16 << 20  # of a card


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WeightsRef(_Frozen):
    """Where the weights come from.

    Attributes:
        sha256: Hash of the file, 64 hex digits, or of the hashes of several in their order; empty where the
            file is the user's own.
        url: Where it was published; empty where it ships with bench.
        part: Which of several sets of weights in the file, such as ``state_dict_ema``; empty where it
            holds one.
        key_map: Prefixes of the checkpoint's keys and what replaces them, longest first.
        revision: Commit of the place it was published at; empty where that has none.
        files: By name, the sha256 of every file that the detector was made from, where there are several.
        backbone_sha256: Hash of the file that a backbone was read from; empty where one file holds all.
    """

    sha256: str = ""
    url: str = ""
    part: str = ""
    key_map: dict[str, str] = Field(default_factory=dict)
    revision: str = ""
    files: dict[str, str] = Field(default_factory=dict)
    backbone_sha256: str = ""


class TrainingData(_Frozen):
    """What the detector saw in training: these generators and domains count as *seen*.

    Attributes:
        dataset: Name of the training set.
        generators: Generators whose fakes were trained on.
        domains: Content or delivery domains trained on; empty where the set names none.
        digest: Hash of the training data, where known.
        n_real: Real training images.
        n_fake: Fake training images.
    """

    dataset: str = ""
    generators: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    digest: str = ""
    n_real: int | None = None
    n_fake: int | None = None


class DetectorCard(_Frozen):
    """The facts that a detector's scores and its line on a board depend on.

    Attributes:
        name: ``arch`` or ``arch.tag``.
        arch: Architecture, by its usual name.
        reference: Paper or code the architecture comes from.
        licence: SPDX name of the weights' licence; ``unknown`` where nobody said.
        fake_logit: How the head's outputs become one logit that is > 0 for AI-generated:
            ``z`` or ``-z`` for one output, ``z1-z0`` or ``z0-z1`` for two.
        fake_labels: Of a classifier with labels: those that mean AI-generated.
        real_labels: Of a classifier with labels: those that mean real.
        output: What the head gives; ``None`` for logits that need no mention.
        fake_outputs: Positions of the outputs that mean AI-generated, for a head of several; empty where
            ``fake_logit`` says it.
        ignored_outputs: Positions of outputs that count for neither side.
        input: Geometry and normalisation.
        weights: Origin of the weights; ``None`` where there are none.
        training_data: What was trained on; ``None`` where unknown, so that nothing counts as unseen.
        differentiable: False where gradients through the detector mean nothing.
        training: Free facts of the training run (seed, epochs, date, validation AUC).
    """

    name: str
    arch: str
    reference: str = ""
    licence: str = "unknown"
    fake_logit: FakeLogit = "z"
    fake_labels: tuple[str, ...] = ()
    real_labels: tuple[str, ...] = ()
    output: Output | None = None
    fake_outputs: tuple[int, ...] = ()
    ignored_outputs: tuple[int, ...] = ()
    input: InputSpec = Field(default_factory=InputSpec)
    weights: WeightsRef | None = None
    training_data: TrainingData | None = None
    differentiable: bool = True
    training: dict[str, str | int | float | bool | list[str] | None] = Field(default_factory=dict)

    def describe_logit(self) -> str:
        """Say in words what the logit is of, as it stands under a board."""
        if self.fake_labels:
            return (
                f"logit of {' or '.join(self.fake_labels)} against {' or '.join(self.real_labels)}"
            )
        outputs = f"fake logit {self.fake_logit}"
        if self.fake_outputs:
            outputs = f"fake outputs {', '.join(map(str, self.fake_outputs))}"
        return outputs + (
            " of log-odds of its probabilities" if self.output == "probability" else ""
        )

    @field_validator("training")
    @classmethod
    def _finite(cls, value: dict[str, object]) -> dict[str, object]:
        for name, fact in value.items():
            if isinstance(fact, float) and not abs(fact) < float("inf"):
                raise ValueError(f"{name} is {fact}: give a finite number")
        return value

    @property
    def outputs(self) -> int:
        """Number of outputs that the head must have for ``fake_logit`` to make sense."""
        return 1 if self.fake_logit in ("z", "-z") else 2


def card_beside(weights: Path) -> Path:
    """Give the path of the card of a weights file: ``NAME.json`` beside ``NAME.safetensors``."""
    return weights.with_suffix(".json")


def read_card(path: Path) -> DetectorCard:
    """Read a card from a JSON file.

    Raises:
        DetectorError: If it is missing or does not fit the schema; names the key at fault.
    """
    try:
        # Neither a pipe, which would wait for ever, nor a file that no memory holds.
        if path.exists() and (not path.is_file() or path.stat().st_size > _MOST_BYTES):
            raise DetectorError(f"card {path}: no regular file, or far too large for a card")
        return DetectorCard.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise DetectorError(f"no card at {path}") from None
    except OSError as error:
        raise DetectorError(f"card {path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise DetectorError(f"card {path}: {where}: {first['msg']}") from error
