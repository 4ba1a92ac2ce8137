"""What a training depends on, in one place: recorded, and held against what a folder was begun with."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from bench.errors import BenchError
from bench.support.toml import first_fault
from bench.training.images.augment import parse_augmentation

Leaks = Literal["error", "drop", "keep"]
Init = Literal["imagenet", "scratch"]
Precision = Literal["fp32", "bf16", "fp16"]
Fit = Literal["resize", "shortest-crop", "crop"]


_Side = Annotated[int, Field(ge=8, le=4096)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Settings(_Strict):
    """Everything that decides the weights a training ends with.

    Attributes:
        detector: Name of the architecture.
        size: Side of the canvas in px, or height and width; ``None`` takes the architecture's own.
        fit: How images become the canvas; ``None`` takes the architecture's own.
        outputs: Outputs of the head: 1 (one logit) or 2 (softmax over real, fake).
        optimizer: Usual name of the optimiser.
        lr: Learning rate at its highest.
        weight_decay: Decoupled for AdamW, L2 for the other two.
        momentum: Momentum of SGD; the other two have their own.
        schedule: ``constant``, or ``cosine`` to zero after a warm-up of 5% of the steps.
        epochs: Largest number of epochs.
        batch: Images a step, over all devices.
        balanced: Half of every batch AI-generated; the larger class is then cut to the smaller
            one each epoch.
        label_smoothing: Share of the target given to the other class; off by default.
        clip: Largest norm of the gradient; 0 leaves it alone.
        early_stop: Stop after so many epochs without a better validation AUC; 0 never does.
        augment: Corruptions by name with ranges and probabilities, in this order.
        init: ImageNet weights, or random ones.
        precision: Precision of the forward pass; weights stay float32.
        seed: Seed of weights, order, augmentations, dropout and splits.
        generators: Fakes to train on; empty takes all.
        domains: Domains to train on; empty takes all.
        shares: Train, validation and test shares of data that come without splits.
        val: Share of the training images held out for validation where the data have no validation split.
        spare_val: Hold validation images out of training although the data have a validation split, which
            then serves as the test.
        unseen_to_test: Of data without splits, images of generators and domains not trained on are test
            images, all of them.
        limit: At most so many training images; ``None`` takes all.
        leaks: What to do about byte-identical images in training and another split: refuse, leave the
            training copies out, or keep them and say so.
    """

    detector: str
    size: _Side | tuple[_Side, _Side] | None = None
    fit: Fit | None = None
    outputs: Literal[1, 2] = 1
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    lr: Annotated[float, Field(gt=0, le=10)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    schedule: Literal["constant", "cosine"] = "constant"
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 10
    batch: Annotated[int, Field(ge=2, le=1 << 20)] = 128
    balanced: bool = False
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    clip: Annotated[float, Field(ge=0)] = 0.0
    early_stop: Annotated[int, Field(ge=0)] = 0
    augment: tuple[str, ...] = ()
    init: Init = "imagenet"
    precision: Precision = "fp32"
    seed: Annotated[int, Field(ge=0, lt=1 << 31)] = 0
    generators: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    shares: tuple[float, float, float] = (0.7, 0.2, 0.1)
    val: Annotated[float, Field(gt=0, lt=1)] = 0.1
    spare_val: bool = False
    unseen_to_test: bool = False
    limit: Annotated[int, Field(ge=4)] | None = None
    leaks: Leaks = "error"

    @field_validator("augment")
    @classmethod
    def _canonical(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(parse_augmentation(text)) for text in value)

    @field_validator("shares")
    @classmethod
    def _add_up(cls, value: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(value) < 0 or value[0] <= 0 or value[1] <= 0 or abs(sum(value) - 1) > 1e-6:
            raise ValueError(
                f"shares {value}: three shares that add up to 1, train and val above 0"
            )
        return value


def make_settings(values: dict[str, Any]) -> Settings:
    """Make settings from plain values.

    Raises:
        BenchError: Names the first value at fault.
    """
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        key, says = first_fault(error, Settings)
        raise BenchError(f"{key}: {says}") from error
