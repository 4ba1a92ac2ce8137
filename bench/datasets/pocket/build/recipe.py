"""The recipe of a detector trained on `pocket`."""

from __future__ import annotations

import argparse
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one detector is trained; kept in its `.train.json`.

    Attributes:
        detector: `resnet50` or `genimage-cnn`.
        generators: Generators whose fakes are trained on; the others stay unseen.
        side: Side of the network's input in px: random crops in training, the centre crop when scored.
        mean: Channel means of the normalisation, on [0, 1].
        std: Channel deviations of the normalisation.
        epochs: Passes over the real tiles.
        batch: Images a step, half of them fake.
        lr: Peak learning rate of AdamW: linear warm-up over the first 5% of steps, then a cosine to zero.
        weight_decay: Of AdamW.
        seed: Of weights, order and augmentation.
        bf16: Whether the forward pass runs under bfloat16 autocast.
    """

    detector: str
    generators: tuple[str, ...]
    side: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    epochs: int
    batch: int
    lr: float
    weight_decay: float
    seed: int
    bf16: bool


IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
AUGMENTATION = (
    "mirror and quarter turns, the same for both of a pair; "
    "random crop if the input is smaller than a tile"
)


def recipe_from(args: argparse.Namespace) -> Recipe:
    """Make the recipe the command line asks for."""
    small = args.detector == "genimage-cnn"
    mean, std = HALF if small else IMAGENET
    return Recipe(
        detector=args.detector,
        generators=tuple(sorted(args.generators.split(","))),
        side=32 if small else 64,
        mean=mean,
        std=std,
        epochs=args.epochs,
        batch=args.batch,
        lr=args.lr,
        weight_decay=0.01 if small else 0.05,
        seed=args.seed,
        bf16=args.bf16,
    )
