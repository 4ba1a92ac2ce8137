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

from bench.inference.batches import unit_floats
from bench.protocol.seeding import seed_for
from bench.training.settings import Settings
from detectors.card import InputSpec

WARM_UP = 0.05  # share of the steps


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch came to; losses are binary cross-entropies.

    Attributes:
        epoch: Number of the epoch, from 1.
        train_loss: Mean loss over the steps, with augmentation and dropout.
        train_accuracy: Share of training images right at logit 0, with augmentation and dropout.
        val_loss: Mean loss on the validation images.
        val_accuracy: Share of validation images right at logit 0.
        val_auc: Area under the ROC curve of the validation images.
        lr: Learning rate of the last step.
        ms_step: Milliseconds a training step, without loading the data.
        seconds: Seconds of the epoch, validation included.
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
        """Give the epoch as a line of the log."""
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
        batch = (unit_floats(images) - self.mean) / self.std
        out: Tensor = self.network(batch.contiguous(memory_format=torch.channels_last)).float()
        return out[:, 0] if out.shape[1] == 1 else out[:, 1] - out[:, 0]

    def configure_optimizers(self) -> Any:
        """Make the optimiser of the parameters that learn, and the schedule of its learning rate."""
        optimizer = self._optimizer([p for p in self.network.parameters() if p.requires_grad])
        if self.settings.schedule == "constant":
            return optimizer
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._cosine)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _optimizer(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        lr, decay = self.settings.lr, self.settings.weight_decay
        if self.settings.optimizer == "sgd":
            momentum = self.settings.momentum
            return torch.optim.SGD(parameters, lr, momentum=momentum, weight_decay=decay)
        if self.settings.optimizer == "adamw":
            return torch.optim.AdamW(parameters, lr, weight_decay=decay)
        return torch.optim.Adam(parameters, lr, weight_decay=decay)

    def _cosine(self, step: int) -> float:
        """Factor of the learning rate: a linear warm-up, then half a cosine down to zero."""
        warm = max(1, round(WARM_UP * self._steps))
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, self._steps - warm))))

    def on_train_epoch_start(self) -> None:
        """Start the clocks of the epoch."""
        self._sums, self._busy, self._began = [], 0.0, time.monotonic()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        """Seed dropout by (seed, epoch, step, process): a resumed training drops the same units."""
        place = f"{self.current_epoch}/{batch_idx}/{self.global_rank}"
        torch.manual_seed(seed_for(self.settings.seed, "training", place))
        self._step_began = time.monotonic()

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        """Add the step to the time spent training."""
        self._busy += time.monotonic() - self._step_began

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:  # noqa: ARG002
        """Compute the loss of one batch."""
        images, labels = batch
        logits = self(images)
        smooth = self.settings.label_smoothing
        targets = labels * (1 - smooth) + smooth / 2
        loss = functional.binary_cross_entropy_with_logits(logits, targets)
        right = ((logits.detach() > 0) == (labels > 0.5)).float().mean()
        self._sums.append(torch.stack([loss.detach(), right]))
        return loss

    def on_validation_epoch_start(self) -> None:
        """Forget the logits of the last validation."""
        self._logits, self._labels = [], []

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:  # noqa: ARG002
        """Score one batch of validation images."""
        self._logits.append(self(batch[0]))
        self._labels.append(batch[1])

    def on_validation_epoch_end(self) -> None:
        """Measure the epoch over all processes, and add it to the history."""
        if self.trainer.sanity_checking:
            return
        logits = self._everywhere(torch.cat(self._logits))
        labels = self._everywhere(torch.cat(self._labels))
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

    def _gathered(self, values: Tensor) -> Tensor:
        """The values of all processes along a leading axis; all must have one shape."""
        gathered = self.all_gather(values)
        assert isinstance(gathered, Tensor)
        return gathered

    def _everywhere(self, values: Tensor) -> Tensor:
        """The (N,) values of all processes in one; shorter shares are padded on the way."""
        if self.trainer.world_size == 1:
            return values
        length = torch.tensor(len(values), device=values.device)
        counts = self._gathered(length).reshape(-1).tolist()
        padded = functional.pad(values, (0, max(counts) - len(values)))
        gathered = self._gathered(padded).reshape(len(counts), -1)
        return torch.cat([gathered[i, :n] for i, n in enumerate(counts)])
