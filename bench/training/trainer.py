"""Lightning, set up for one training: device, precision, loggers, loaders, and its advice kept quiet."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch.utils.data import DataLoader

from bench.errors import BenchError
from bench.inference.device import pick_device, quiet_numerics
from bench.training.images.batches import AllSteps, EpochSteps, TrainingImages, ValidationImages
from bench.training.images.pixels import Pixels
from bench.training.options import TrainOptions
from bench.training.plan import TrainingPlan
from detectors.global_state import kept_environment

if TYPE_CHECKING:
    import lightning.pytorch as pl

PRECISIONS: dict[str, Literal["32-true", "bf16-mixed", "16-mixed"]] = {
    "fp32": "32-true",
    "bf16": "bf16-mixed",
    "fp16": "16-mixed",
}


def require_lightning() -> None:
    """Make sure that the extra is installed.

    Raises:
        BenchError: If it is not.
    """
    try:
        import lightning.pytorch  # noqa: F401, PLC0415
    except ImportError as error:
        raise BenchError(
            f"training needs the extra `train` ({error}): pip install 'detector-bench[train]'"
        ) from error


def make_trainer(plan: TrainingPlan, callbacks: list[pl.Callback]) -> pl.Trainer:
    """Set up Lightning for a plan.

    Raises:
        BenchError: If there is no such device.
    """
    import lightning.pytorch as pl  # noqa: PLC0415

    options, settings = plan.options, plan.settings
    accelerator, devices = _accelerator(options)
    logger: Any = False
    if options.tensorboard:
        from lightning.pytorch.loggers import TensorBoardLogger  # noqa: PLC0415

        logger = TensorBoardLogger(plan.folder, name="tensorboard", version="")
    return pl.Trainer(
        accelerator=accelerator,
        devices=devices,
        strategy="ddp" if options.devices > 1 else "auto",
        precision=PRECISIONS[settings.precision],
        max_epochs=settings.epochs,
        gradient_clip_val=settings.clip or None,
        callbacks=callbacks,
        logger=logger,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        deterministic="warn",
        default_root_dir=plan.folder,
    )


def _accelerator(options: TrainOptions) -> tuple[str, int | list[int]]:
    """Lightning's name of the kind of device, and which or how many of them."""
    device = pick_device(options.device)
    quiet_numerics(device)
    if device.type == "cpu":
        return "cpu", options.devices
    return "gpu", options.devices if device.index is None else [device.index]


def training_loader(plan: TrainingPlan, pixels: Pixels, *, rank: int, world: int) -> Any:
    """Load the training batches of one process of several."""
    labels = plan.manifest.table["label"].to_numpy().astype(np.int64)[plan.split.train]
    return _loader(
        TrainingImages(pixels, labels, plan.settings, plan.spec),
        EpochSteps(labels, plan.settings, rank=rank, world=world),
        plan.options.workers,
    )


def validation_loader(plan: TrainingPlan, pixels: Pixels, *, rank: int, world: int) -> Any:
    """Load the validation batches of one process of several."""
    labels = plan.manifest.table["label"].to_numpy().astype(np.int64)[plan.split.val]
    return _loader(
        ValidationImages(pixels, labels),
        AllSteps(len(labels), plan.settings.batch, rank=rank, world=world),
        plan.options.workers,
    )


def _loader(images: Any, sampler: Any, workers: int) -> Any:
    return DataLoader(
        images,
        batch_size=None,
        sampler=sampler,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )


@contextlib.contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep Lightning's advice to itself, and torch's determinism and the environment as they were."""
    strict = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with kept_environment(), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            warnings.filterwarnings("ignore", module=r"lightning(\.|$)")
            yield
    finally:
        torch.use_deterministic_algorithms(strict, warn_only=warn_only)
