"""Batches by epoch and step, each a function of (seed, epoch, step): what makes resuming exact."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from bench.training.images.augment import Augmentation, Draws, parse_augmentation
from bench.training.images.pixels import Pixels
from detectors.card import InputSpec
from detectors.fit import fit_image

if TYPE_CHECKING:
    from bench.training.settings import Settings

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Step:
    """The images of one batch, and its epoch.

    Attributes:
        epoch: Epoch the batch belongs to, from 0.
        rows: (N,) positions in the training or validation set.
    """

    epoch: int
    rows: Rows


class TrainingImages(Dataset[tuple[Tensor, Tensor]]):
    """Whole batches of augmented canvases with their labels, by `Step`."""

    def __init__(self, pixels: Pixels, labels: Rows, settings: Settings, spec: InputSpec) -> None:
        self._pixels, self._labels, self._spec = pixels, labels.astype(np.float32), spec
        self._seed = settings.seed
        self._augmentations = parse_augmentations(settings)
        self._only_flips = only_flips(self._augmentations)
        self._draws: Draws | None = None

    def __getitem__(self, step: Step) -> tuple[Tensor, Tensor]:
        if self._draws is None or self._draws.epoch != step.epoch:
            self._draws = Draws(self._augmentations, self._seed, step.epoch, len(self._labels))
        images = self._flipped(step.rows) if self._only_flips else self._augmented(step.rows)
        return torch.from_numpy(images), torch.from_numpy(self._labels[step.rows])

    def _flipped(self, rows: Rows) -> NDArray[np.uint8]:
        assert self._draws is not None
        images = self._pixels.canvases(rows)
        for which, augmentation in enumerate(self._augmentations):
            flipped = self._draws.wanted(rows, which)
            images[flipped] = np.flip(images[flipped], axis=augmentation.axis)
        return images

    def _augmented(self, rows: Rows) -> NDArray[np.uint8]:
        draws = self._draws
        assert draws is not None
        return np.stack(
            [
                fit_image(draws.apply(self._pixels.image(int(row)), int(row)), self._spec)
                for row in rows
            ]
        )


class ValidationImages(Dataset[tuple[Tensor, Tensor]]):
    """Whole batches of canvases as they are with their labels, by `Step`."""

    def __init__(self, pixels: Pixels, labels: Rows) -> None:
        self._pixels, self._labels = pixels, labels.astype(np.float32)

    def __getitem__(self, step: Step) -> tuple[Tensor, Tensor]:
        canvases = torch.from_numpy(self._pixels.canvases(step.rows))
        return canvases, torch.from_numpy(self._labels[step.rows])


class EpochSteps(Sampler[Step]):
    """The steps of one epoch, in an order drawn from (seed, epoch); each process takes its share of a batch.

    The remainder that fills no batch is left out; another epoch leaves out others.
    """

    def __init__(self, labels: Rows, settings: Settings, *, rank: int = 0, world: int = 1) -> None:
        self._labels, self._settings = labels, settings
        self._rank, self._world = rank, world
        self._epoch = 0
        smaller_class = min(int((labels == k).sum()) for k in (0, 1))
        usable = 2 * smaller_class if settings.balanced else len(labels)
        self._batch = min(settings.batch, usable)
        self._steps = usable // self._batch

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch that is iterated next, from 0."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._steps

    def __iter__(self) -> Iterator[Step]:
        order = self._order(np.random.default_rng([self._settings.seed, self._epoch, 0]))
        for step in range(self._steps):
            batch = order[step * self._batch : (step + 1) * self._batch]
            yield Step(self._epoch, batch[self._rank :: self._world])

    def _order(self, rng: np.random.Generator) -> Rows:
        if not self._settings.balanced:
            return rng.permutation(len(self._labels))
        real, fake = (rng.permutation(np.flatnonzero(self._labels == k)) for k in (0, 1))
        count = min(len(real), len(fake))
        return np.stack([real[:count], fake[:count]], axis=1).reshape(-1)


class AllSteps(Sampler[Step]):
    """Every image once, in order; each process takes its share."""

    def __init__(self, count: int, batch: int, *, rank: int = 0, world: int = 1) -> None:
        self._rows = np.arange(rank, count, world)
        self._batch = batch

    def __len__(self) -> int:
        return math.ceil(len(self._rows) / self._batch)

    def __iter__(self) -> Iterator[Step]:
        for start in range(0, len(self._rows), self._batch):
            yield Step(0, self._rows[start : start + self._batch])


def parse_augmentations(settings: Settings) -> list[Augmentation]:
    """Parse the settings' augmentations, in the order in which they act."""
    return [parse_augmentation(text) for text in settings.augment]


def only_flips(augmentations: list[Augmentation]) -> bool:
    """Say whether canvases can be flipped in place of source images: flips and fitting commute."""
    return all(augmentation.mirrors for augmentation in augmentations)
