"""From a request to trained weights: data, network, Lightning's loop, resume, export."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from bench.errors import BenchError
from bench.support.files import ensure_writable, write_text
from bench.support.progress import Progress, Silent
from bench.training.batches import (
    AllSteps,
    EpochSteps,
    TrainingImages,
    ValidationImages,
    augmentations,
    only_flips,
)
from bench.training.pixels import Pixels, open_pixels
from bench.training.report import RECORD
from bench.training.request import Trained, TrainRequest, lay_out

if TYPE_CHECKING:
    import lightning.pytorch as pl

    from bench.training.callbacks import Keeper

SETTINGS = "settings.json"


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
    if request.threads:
        torch.set_num_threads(request.threads)
    done = lay_out(request, progress)
    ensure_writable(done.folder)
    _same_training(done)
    if _finished(done):
        progress.note(f"{done.folder} holds this training, finished: nothing to do")
        return done
    for remark in done.split.remarks:
        progress.note(remark)
    progress.note(
        f"{done.name}: {len(done.split.train)} training and {len(done.split.val)} validation images, "
        f"canvas {done.spec.describe()}, started from {done.started_from}"
    )
    keeper = _fit(done, progress)
    done.history, done.best = keeper.history, keeper.best
    if first:
        export(done, progress)
        for name in (LAST, BEST):  # the weights stand under their own name now
            (done.folder / name).unlink(missing_ok=True)
    return done


def is_first_process() -> bool:
    """False in the further processes of a training on several devices."""
    return all(os.environ.get(name, "0") == "0" for name in ("LOCAL_RANK", "NODE_RANK"))


def _same_training(done: Trained) -> None:
    """Refuse to go on with a folder begun under other settings or other data."""
    split = done.split
    now = {
        **done.request.settings.model_dump(mode="json"),
        "data": done.manifest.digest,
        "started from": done.started_from,
        "images": [len(split.train), len(split.val)],
    }
    path = done.folder / SETTINGS
    if not path.is_file():
        write_text(path, json.dumps(now, indent=2) + "\n")
        return
    then = json.loads(path.read_text(encoding="utf-8"))
    for key, value in now.items():
        if then.get(key) != value:
            raise BenchError(
                f"{done.folder} holds a training with {key} {then.get(key)!r}, asked for is {value!r}: "
                "choose another --out, or remove that folder"
            )


def _finished(done: Trained) -> bool:
    """Whether the folder holds the end of this training; takes over what it came to."""
    from bench.training.export import weights_file  # noqa: PLC0415
    from bench.training.module import Epoch  # noqa: PLC0415

    path = done.folder / RECORD
    if not path.is_file() or not weights_file(done).is_file():
        return False
    record = json.loads(path.read_text(encoding="utf-8"))
    done.history = [Epoch(**row) for row in record["history"]]
    done.best = next(epoch for epoch in done.history if epoch.epoch == record["best_epoch"])
    return True


def _fit(done: Trained, progress: Progress) -> Keeper:

    from bench.training.callbacks import LAST, Finite, Keeper, Ticker  # noqa: PLC0415
    from bench.training.module import Training  # noqa: PLC0415

    request, settings = done.request, done.request.settings
    labels = done.manifest.table["label"].to_numpy().astype(np.int64)
    train_pixels, val_pixels = _pixels(done, progress)
    keeper = Keeper(done.folder, settings.early_stop, progress)
    steps = len(EpochSteps(labels[done.split.train], settings))
    network = done.network.to(memory_format=torch.channels_last)
    module = Training(network, settings, done.spec, steps * settings.epochs)
    last = done.folder / LAST
    if last.is_file():
        _peek(keeper, last)
        module.history = list(keeper.history)
    if keeper.history and (keeper.worn_out or len(keeper.history) >= settings.epochs):
        return keeper
    ticker = Ticker(progress, done.name, steps, settings.epochs)
    with quiet_lightning():
        trainer: pl.Trainer = _trainer(done, [keeper, ticker, Finite()])
        rank, world = trainer.global_rank, trainer.world_size
        loaders = (
            _loader(
                TrainingImages(train_pixels, labels[done.split.train], settings, done.spec),
                EpochSteps(labels[done.split.train], settings, rank=rank, world=world),
                request.workers,
            ),
            _loader(
                ValidationImages(val_pixels, labels[done.split.val]),
                AllSteps(len(done.split.val), settings.batch, rank=rank, world=world),
                request.workers,
            ),
        )
        try:
            trainer.fit(module, *loaders, ckpt_path=str(last) if last.is_file() else None)
        except SystemExit as error:  # what Lightning makes of Ctrl-C
            if trainer.interrupted:
                raise KeyboardInterrupt from error
            raise
    return keeper


@contextlib.contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep Lightning's advice to itself, and torch's determinism as it was."""
    strict, warn = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            warnings.filterwarnings("ignore", module=r"lightning(\.|$)")
            yield
    finally:
        torch.use_deterministic_algorithms(strict, warn_only=warn)


def _pixels(done: Trained, progress: Progress) -> tuple[Pixels, Pixels]:
    flips = only_flips(augmentations(done.request.settings))
    cache = done.request.cache
    return (
        open_pixels(
            done.manifest, done.split.train, done.spec, progress, fitted=flips, cache=cache
        ),
        open_pixels(done.manifest, done.split.val, done.spec, progress, fitted=True, cache=cache),
    )


def _peek(keeper: Keeper, path: Path) -> None:
    """What the checkpoint knows of the epochs behind it."""
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    key = next((k for k in state["callbacks"] if k.startswith("Keeper")), None)
    if key is not None:
        keeper.load_state_dict(state["callbacks"][key])


def _loader(images: Any, sampler: Any, workers: int) -> Any:
    from torch.utils.data import DataLoader  # noqa: PLC0415

    return DataLoader(
        images,
        batch_size=None,
        sampler=sampler,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )


def _trainer(done: Trained, callbacks: list[pl.Callback]) -> pl.Trainer:
    import lightning.pytorch as pl  # noqa: PLC0415

    request, settings = done.request, done.request.settings
    accelerator, devices = _accelerator(request)
    precision: dict[str, Literal["32-true", "bf16-mixed", "16-mixed"]] = {
        "fp32": "32-true",
        "bf16": "bf16-mixed",
        "fp16": "16-mixed",
    }
    logger: Any = False
    if request.tensorboard:
        from lightning.pytorch.loggers import TensorBoardLogger  # noqa: PLC0415

        logger = TensorBoardLogger(done.folder, name="tensorboard", version="")
    return pl.Trainer(
        accelerator=accelerator,
        devices=devices,
        strategy="ddp" if request.devices > 1 else "auto",
        precision=precision[settings.precision],
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
        default_root_dir=done.folder,
    )


def _accelerator(request: TrainRequest) -> tuple[str, Any]:
    from bench.inference.device import pick_device, quiet_numerics  # noqa: PLC0415

    device = pick_device("cuda" if request.device == "cuda" else request.device)
    quiet_numerics(device)
    if device.type == "cpu":
        return "cpu", request.devices
    return "gpu", [device.index] if device.index is not None else request.devices
