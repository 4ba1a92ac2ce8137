"""One network in training: the loss, the optimiser, the schedule, and what is measured each epoch."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from typing import Any

import lightning.pytorch as pl
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional

from bench.protocol.seeding import seed_for
from bench.training.settings import Settings
from detectors.card import InputSpec

WARM_UP = 0.05


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch came to; losses are binary cross-entropies.

    Attributes:
        epoch: From 1.
        train_loss: Mean over the steps, with augmentation and dropout.
        train_accuracy: Share right at logit 0, likewise.
        val_loss: On the validation images.
        val_accuracy: At logit 0.
        val_auc: Area under the ROC curve.
        lr: Learning rate of the last step.
        ms_step: Milliseconds a training step, without loading the data.
        seconds: Of the epoch, validation included.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    val_auc: float
    lr: float
    ms_step: float
    seconds: float

    def row(self) -> dict[str, float]:
        """As a line of the log."""
        return asdict(self)


class Training(pl.LightningModule):
    """Lightning's face of a detector's network; batches are uint8 canvases and float labels."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, settings: Settings, spec: InputSpec, steps: int) -> None:
        super().__init__()
        self.network = network
        self.settings = settings
        self._steps = steps  # of the whole training
        self.register_buffer("mean", torch.tensor(spec.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(spec.std).view(1, 3, 1, 1), persistent=False)
        self.history: list[Epoch] = []
        self._sums: list[Tensor] = []
        self._logits: list[Tensor] = []
        self._labels: list[Tensor] = []
        self._busy = self._began = self._step_began = 0.0

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 (N, 3, h, w) to the logit of *AI-generated*, float32 (N,)."""
        batch = (images.float() / 255 - self.mean) / self.std
        out: Tensor = self.network(batch.contiguous(memory_format=torch.channels_last)).float()
        return out[:, 0] if out.shape[1] == 1 else out[:, 1] - out[:, 0]

    def configure_optimizers(self) -> Any:
        """The optimiser over what learns, and the learning rate step by step."""
        s = self.settings
        learns = [p for p in self.network.parameters() if p.requires_grad]
        optimizer: torch.optim.Optimizer
        if s.optimizer == "sgd":
            optimizer = torch.optim.SGD(
                learns, s.lr, momentum=s.momentum, weight_decay=s.weight_decay
            )
        else:
            kind = torch.optim.AdamW if s.optimizer == "adamw" else torch.optim.Adam
            optimizer = kind(learns, s.lr, weight_decay=s.weight_decay)
        if s.schedule == "constant":
            return optimizer
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._cosine)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _cosine(self, step: int) -> float:
        warm = max(1, round(WARM_UP * self._steps))
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, self._steps - warm))))

    def on_train_epoch_start(self) -> None:
        """Start the clocks."""
        self._sums, self._busy, self._began = [], 0.0, time.monotonic()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        """Seed dropout by (seed, epoch, step, process): a resumed training drops the same units."""
        place = f"{self.current_epoch}/{batch_idx}/{self.global_rank}"
        torch.manual_seed(seed_for(self.settings.seed, "training", place))
        self._step_began = time.monotonic()

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        """Count the step's time."""
        self._busy += time.monotonic() - self._step_began

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:  # noqa: ARG002
        """The loss of one batch."""
        images, labels = batch
        logits = self(images)
        smooth = self.settings.label_smoothing
        targets = labels * (1 - smooth) + smooth / 2
        loss = functional.binary_cross_entropy_with_logits(logits, targets)
        right = ((logits.detach() > 0) == (labels > 0.5)).float().mean()
        self._sums.append(torch.stack([loss.detach(), right]))
        return loss

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation."""
        self._logits, self._labels = [], []

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:  # noqa: ARG002
        """Score one batch."""
        self._logits.append(self(batch[0]))
        self._labels.append(batch[1])

    def on_validation_epoch_end(self) -> None:
        """Measure the epoch, over all processes."""
        if self.trainer.sanity_checking:
            return
        logits, labels = (self._everywhere(torch.cat(x)) for x in (self._logits, self._labels))
        sums = torch.stack(self._sums)
        train = self._gathered(sums.mean(0)).reshape(-1, 2).mean(0)
        lr = self.trainer.optimizers[0].param_groups[0]["lr"]
        self.history.append(
            Epoch(
                epoch=self.current_epoch + 1,
                train_loss=float(train[0]),
                train_accuracy=float(train[1]),
                val_loss=float(functional.binary_cross_entropy_with_logits(logits, labels)),
                val_accuracy=float(((logits > 0) == (labels > 0.5)).float().mean()),
                val_auc=float(roc_auc_score(labels.cpu().numpy(), logits.cpu().numpy())),
                lr=float(lr),
                ms_step=1000 * self._busy / max(1, len(self._sums)),
                seconds=time.monotonic() - self._began,
            )
        )

    def _gathered(self, own: Tensor) -> Tensor:
        found = self.all_gather(own)
        assert isinstance(found, Tensor)
        return found

    def _everywhere(self, own: Tensor) -> Tensor:
        """A tensor of every process in one; shares differ by one image at most, so the shorter are padded."""
        if self.trainer.world_size == 1:
            return own
        counts = self._gathered(torch.tensor(len(own), device=own.device)).reshape(-1).tolist()
        padded = functional.pad(own, (0, max(counts) - len(own)))
        gathered = self._gathered(padded).reshape(len(counts), -1)
        return torch.cat([gathered[i, :n] for i, n in enumerate(counts)])
