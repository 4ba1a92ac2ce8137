"""The recipes of the detectors trained on `pocket`, by the name of their weights in the zoo."""

from __future__ import annotations

from dataclasses import dataclass, replace

GENERATORS = ("diffusion", "realesrgan", "span", "vae", "vqgan")
# Not diffusion: its tiles lack the lattice that an enlarging decoder leaves, and what gives them away on five
# photographs did not carry over to others (`genimage-cnn.diffusion` on the board shows it).
SEEN = ("span", "vae")
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# A small deviation makes fine structure large: it is weak beside what a tile shows.
FINE = ((0.5, 0.5, 0.5), (0.1, 0.1, 0.1))
PLAIN = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one detector is trained; kept in its `.train.json`.

    Attributes:
        detector: Architecture, by its name in `detectors`.
        generators: Generators whose fakes are trained on; the others stay unseen.
        outputs: Numbers the head gives: 1 (above 0 = fake) or 2 (real, fake).
        side: Side of the network's input in px: random crops in training, the centre crop when scored.
        mean: Channel means of the normalisation, on [0, 1].
        std: Channel deviations of the normalisation.
        epochs: Passes over the real tiles.
        batch: Images a step, half of them fake.
        lr: Peak learning rate of AdamW: linear warm-up over the first 5% of steps, then a cosine to zero.
        weight_decay: Of AdamW.
        seed: Of weights, order and augmentation.
        bf16: Whether the forward pass runs under bfloat16 autocast.
        colours: Whether channels change places and tiles are turned into negatives, both of a pair alike.
        zero_head: Whether the last layer starts at zero, that is, at an even guess.
    """

    detector: str
    generators: tuple[str, ...] = SEEN
    outputs: int = 1
    side: int = 64
    mean: tuple[float, float, float] = FINE[0]
    std: tuple[float, float, float] = FINE[1]
    epochs: int = 40
    batch: int = 64
    lr: float = 1e-3
    weight_decay: float = 0.05
    seed: int = 1
    bf16: bool = True
    colours: bool = True
    zero_head: bool = False

    @property
    def augmentation(self) -> str:
        """What happens to a tile in training, in words."""
        colours = "channels in random order, negatives, " if self.colours else ""
        return (
            f"mirror and quarter turns, {colours}the same for both of a pair; "
            "random crop if the input is smaller than a tile"
        )


_SMALL = Recipe(
    detector="genimage-cnn",
    outputs=2,
    side=32,
    epochs=80,
    weight_decay=0.01,
    bf16=False,
)

# `pocket` is the tag of the training set that all architectures share. The others show what a detector
# learns from one generator alone, and from all but one: `genimage-cnn` is the quickest to train.
RECIPES: dict[str, Recipe] = {
    # These two on the VAE alone: with SPAN among its fakes, neither reached .9 on SPAN (AUC .87 and .88).
    "resnet50.pocket": Recipe(
        detector="resnet50",
        generators=("vae",),
        mean=IMAGENET[0],
        std=IMAGENET[1],
        epochs=60,
        colours=False,
    ),
    "vit.pocket": Recipe(detector="vit", generators=("vae",), epochs=30, lr=5e-4, zero_head=True),
    "mobilenetv2_100.pocket": Recipe(
        detector="mobilenetv2_100",
        epochs=60,
        lr=3e-3,
        weight_decay=0.01,
        bf16=False,
        zero_head=True,
    ),
    "dalle2-art-cnn.pocket": Recipe(
        detector="dalle2-art-cnn",
        outputs=2,
        mean=PLAIN[0],
        std=PLAIN[1],
        weight_decay=0.01,
        epochs=30,
    ),
    "genimage-cnn.pocket": _SMALL,
    **{
        f"genimage-cnn.{name}": replace(_SMALL, generators=(name,), epochs=50, zero_head=True)
        for name in GENERATORS
    },
    "genimage-cnn.not-vqgan": replace(
        _SMALL,
        generators=tuple(name for name in GENERATORS if name != "vqgan"),
        epochs=50,
        zero_head=True,
    ),
}
