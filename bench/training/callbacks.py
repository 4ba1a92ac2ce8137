"""What happens at the end of an epoch: the log, the best weights, and a checkpoint to resume from."""

from __future__ import annotations

import csv
import io
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Self

import lightning.pytorch as pl
import torch
from safetensors.torch import save

from bench.errors import BenchError
from bench.support.files import write_atomic, write_text
from bench.support.interruption import Interruption
from bench.support.progress import Progress
from bench.training.module import Epoch, Training

LAST, BEST, LOG = "last.ckpt", "best.safetensors", "log.csv"


class Keeper(pl.Callback):
    """Log, best weights and checkpoint, each written whole or not at all, in this order.

    A kill between two of them loses one epoch, which is then trained again to the same bits.
    """

    def __init__(self, folder: Path, patience: int, progress: Progress) -> None:
        self._folder, self._patience, self._progress = folder, patience, progress
        self.best: Epoch | None = None
        self.history: list[Epoch] = []

    @property
    def worn_out(self) -> bool:
        """Whether early stopping asks for an end of the training."""
        if not self._patience or self.best is None:
            return False
        return self.history[-1].epoch - self.best.epoch >= self._patience

    def state_dict(self) -> dict[str, Any]:
        """Give what a resumed training must know."""
        return {
            "history": [epoch.row() for epoch in self.history],
            "best": self.best.epoch if self.best else 0,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the state of an interrupted training back."""
        self.history = [Epoch(**row) for row in state_dict["history"]]
        self.best = next((e for e in self.history if e.epoch == state_dict["best"]), None)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep what the epoch came to: log, weights if best, checkpoint."""
        assert isinstance(pl_module, Training)
        epoch = pl_module.history[-1]
        self.history.append(epoch)
        better = self.best is None or _rank(epoch) > _rank(self.best)
        self.best = epoch if better else self.best
        for logger in trainer.loggers:
            logger.log_metrics({k: v for k, v in epoch.row().items() if k != "epoch"}, epoch.epoch)
        if self.worn_out:
            trainer.should_stop = True
        checkpoint = self._folder / f".{LAST}"
        trainer.save_checkpoint(checkpoint)  # on every process: some strategies gather here
        if not trainer.is_global_zero:
            return
        if better:
            state = {k: v.cpu().contiguous() for k, v in pl_module.network.state_dict().items()}
            write_atomic(self._folder / BEST, lambda stream: stream.write(save(state)))
        write_text(self._folder / LOG, log_text(self.history))
        checkpoint.replace(self._folder / LAST)
        self._progress.note(
            f"epoch {epoch.epoch}/{trainer.max_epochs}: loss {epoch.train_loss:.4f}, validation loss "
            f"{epoch.val_loss:.4f}, accuracy {epoch.val_accuracy:.4f}, AUC {epoch.val_auc:.5f}, "
            f"{epoch.ms_step:.0f} ms a step, {epoch.seconds:.0f} s"
            + (" (best so far)" if better else "")
        )


class Ticker(pl.Callback):
    """Progress over the whole training, so that the time left is that of all epochs."""

    def __init__(self, progress: Progress, name: str, steps_an_epoch: int, epochs: int) -> None:
        self._progress, self._name = progress, name
        self._steps, self._epochs = steps_an_epoch, epochs

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Begin with the epochs that are left."""
        left = (self._epochs - trainer.current_epoch) * self._steps
        self._progress.start(f"training {self._name}", left)

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Count one training step as done."""
        self._progress.advance()


class Finite(pl.Callback):
    """Stop at once where a loss is no number any more, instead of training noise for hours."""

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *args: Any
    ) -> None:
        """Look at the loss of two steps in fifty: each look waits for the GPU's queue to empty.

        Raises:
            BenchError: If the loss is not finite.
        """
        del args
        if trainer.global_step % 50 <= 1 and not bool(torch.isfinite(outputs["loss"])):
            lr = trainer.optimizers[0].param_groups[0]["lr"]
            raise BenchError(
                f"the loss is not finite at step {trainer.global_step} (epoch {pl_module.current_epoch + 1}, "
                f"learning rate {lr:g}): train with a lower --lr, or with --clip 1"
            )


class Interruptible(pl.Callback):
    """End at the next step where Ctrl-C was lost: Python drops what is raised while it destroys an object.

    Whoever took Ctrl-C before is asked first, and has it again afterwards: an interrupted training leaves
    it ignored otherwise, which would keep a notebook from ever being interrupted again.
    """

    def __init__(self) -> None:
        self._interrupted = False
        self._before: Callable[[int, FrameType | None], object] | None = None

    def __enter__(self) -> Self:
        """Remember a Ctrl-C from here on, unless the process is one that ignores it."""
        before = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and callable(before):
            self._before = before
            signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, *exception: object) -> None:
        """Leave Ctrl-C as it was."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any
    ) -> None:
        """End the training where a person has asked for it and it goes on.

        Raises:
            KeyboardInterrupt: If Ctrl-C came, and was lost.
        """
        del trainer, pl_module, args
        if self._interrupted:
            raise KeyboardInterrupt

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._interrupted = True
        if self._before is not None:
            try:
                self._before(number, frame)
            except KeyboardInterrupt:
                raise Interruption from None


def _rank(epoch: Epoch) -> tuple[float, float]:
    """What makes an epoch better; of equal AUCs, as on easy data where all are 1, the lower loss."""
    return epoch.val_auc, -epoch.val_loss


def log_text(history: list[Epoch]) -> str:
    """Write the log as CSV, a line an epoch."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(Epoch.__dataclass_fields__), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in epoch.row().items()}
        for epoch in history
    )
    return text.getvalue()
