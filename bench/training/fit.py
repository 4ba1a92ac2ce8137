"""From a request to trained weights: plan, resume, Lightning's loop, export."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import torch

from bench.support.files import ensure_writable
from bench.support.progress import Progress, Silent
from bench.training.images.batches import EpochSteps, only_flips, parse_augmentations
from bench.training.images.pixels import Pixels, open_pixels
from bench.training.options import TrainRequest
from bench.training.plan import Trained, TrainingPlan, plan_training
from bench.training.resume import check_same_training, read_checkpoint, read_finished
from bench.training.trainer import (
    make_trainer,
    quiet_lightning,
    require_lightning,
    training_loader,
    validation_loader,
)

if TYPE_CHECKING:
    from bench.training.callbacks import Keeper


def train(request: TrainRequest, progress: Progress | None = None) -> Trained:
    """Train, or go on where a killed training stopped, and write weights and card.

    The same request ends with the same weights on the same kind of machine, however often it was killed.

    Raises:
        BenchError: On anything the user can mend, and where the folder holds another training.
    """
    require_lightning()
    from bench.training.callbacks import BEST, LAST  # noqa: PLC0415  (imports Lightning)
    from bench.training.export import export  # noqa: PLC0415

    # With several devices every further process runs the same command; the first one speaks and writes.
    first = is_first_process()
    progress = progress if progress and first else Silent()
    if request.options.threads:
        torch.set_num_threads(request.options.threads)
    plan = plan_training(request, progress)
    ensure_writable(plan.folder)
    check_same_training(plan)
    finished = read_finished(plan)
    if finished is not None:
        progress.note(f"{plan.folder} holds this training, finished: nothing to do")
        return finished
    for remark in plan.split.remarks:
        progress.note(remark)
    progress.note(
        f"{plan.name}: {len(plan.split.train)} training and {len(plan.split.val)} validation images, "
        f"canvas {plan.spec.describe()}, started from {plan.started_from}"
    )
    keeper = _fit(plan, progress)
    assert keeper.best is not None  # every training has an epoch, and the first is the best so far
    trained = Trained(plan, tuple(keeper.history), keeper.best)
    if first:
        export(trained, progress)
        for name in (LAST, BEST):  # the weights stand under their own name by then
            (plan.folder / name).unlink(missing_ok=True)
    return trained


def is_first_process() -> bool:
    """Say whether this is the first process of a training; further ones serve further devices."""
    return all(os.environ.get(name, "0") == "0" for name in ("LOCAL_RANK", "NODE_RANK"))


def _fit(plan: TrainingPlan, progress: Progress) -> Keeper:
    """Train the plan's network epoch by epoch, from its checkpoint where there is one."""
    from bench.training.callbacks import (  # noqa: PLC0415
        LAST,
        Finite,
        Interruptible,
        Keeper,
        Ticker,
    )
    from bench.training.module import Training  # noqa: PLC0415

    settings = plan.settings
    train_pixels, val_pixels = _open_pixels(plan, progress)
    keeper = Keeper(plan.folder, settings.early_stop, progress)
    steps = _steps_an_epoch(plan)
    network = plan.network.to(memory_format=torch.channels_last)
    module = Training(network, settings, plan.spec, steps * settings.epochs)
    checkpoint = plan.folder / LAST
    resumed = checkpoint.is_file()
    if resumed:
        read_checkpoint(checkpoint, keeper)
        module.history = list(keeper.history)
    if keeper.history and (keeper.worn_out or len(keeper.history) >= settings.epochs):
        return keeper
    with quiet_lightning(), Interruptible() as interruptible:
        ticker = Ticker(progress, plan.name, steps, settings.epochs)
        trainer = make_trainer(plan, [keeper, ticker, Finite(), interruptible])
        share = {"rank": trainer.global_rank, "world": trainer.world_size}
        try:
            trainer.fit(
                module,
                training_loader(plan, train_pixels, **share),
                validation_loader(plan, val_pixels, **share),
                ckpt_path=str(checkpoint) if resumed else None,
            )
        except SystemExit as error:  # what Lightning makes of Ctrl-C
            if trainer.interrupted:
                raise KeyboardInterrupt from error
            raise
    return keeper


def _steps_an_epoch(plan: TrainingPlan) -> int:
    labels = plan.manifest.table["label"].to_numpy().astype(np.int64)
    return len(EpochSteps(labels[plan.split.train], plan.settings))


def _open_pixels(plan: TrainingPlan, progress: Progress) -> tuple[Pixels, Pixels]:
    """Decode the training and the validation images, in this order."""
    flips = only_flips(parse_augmentations(plan.settings))
    manifest, split, cache = plan.manifest, plan.split, plan.options.cache
    return (
        open_pixels(manifest, split.train, plan.spec, progress, fitted=flips, cache=cache),
        open_pixels(manifest, split.val, plan.spec, progress, fitted=True, cache=cache),
    )
