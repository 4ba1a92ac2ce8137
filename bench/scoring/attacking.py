"""How canvases are attacked: a batch at a time, several attacks of one family together.

Attacks that take their one gradient at the image itself (FGSM at several eps) share it: the second one
is answered from memory, so its bits are those it would have had alone. What the honesty checks need
besides the scores is found here too, on a few images a chunk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from attacks.base import LogitFn
from bench.inference.batches import Batch, Place, layout
from bench.protocol.seeding import seed_for
from bench.scoring.attack_job import Attacked, Job, Setting
from bench.scoring.logit_functions import Remembered
from bench.scoring.probes import _probe

if TYPE_CHECKING:
    from bench.datasets import ImageRecord
    from bench.protocol.condition import Condition
    from bench.store.units import Unit

FLOATS = ("linf", "l2", "steps")


def families(
    units: Sequence[Unit], conditions: Mapping[str, Condition], *, free_clean: bool
) -> list[list[Unit]]:
    """Units that share work: attacks with one gradient at the image, and the clean scores it gives.

    Args:
        units: Of one detector, with the same corruptions before the attack.
        conditions: By canonical spelling.
        free_clean: Whether the gradient's forward pass is the one that scores.
    """
    shared: dict[tuple[Any, ...], list[Unit]] = {}
    plain: list[Unit] = []
    giver: list[Unit] | None = None
    for unit in units:
        attack = conditions[unit.condition].attack
        key: tuple[Any, ...] = (unit.condition,)
        if attack is not None and attack.shares_gradient:
            key = (attack.name, attack.goal, getattr(attack, "loss", ""))
        family = shared.setdefault(key, [])
        family.append(unit)
        if attack is None:
            plain = plain or family
        elif attack.shares_gradient and attack.goal == "both":
            giver = giver or family
    if not (free_clean and plain and giver):
        return list(shared.values())
    others = [family for family in shared.values() if family is not plain and family is not giver]
    return [[*plain, *giver], *others]


def attack_all(
    jobs: Sequence[Job],
    canvases: Sequence[NDArray[Any] | None],
    records: Sequence[ImageRecord],
    setting: Setting,
) -> tuple[list[Attacked], NDArray[np.float32] | None]:
    """Run every job on every canvas.

    Args:
        jobs: Several only where they may share a gradient.
        canvases: One an image; None where there is none.
        records: Their labels and ids.
        setting: Detector, batch size, device, seed.

    Returns:
        One outcome a job, and the clean logits, where a shared gradient gave those of all images.

    Raises:
        torch.OutOfMemoryError: The batch is too large.
    """
    found = [Attacked.nothing(len(canvases)) for _ in jobs]
    clean = np.full(len(canvases), np.nan, dtype=np.float32)
    shared = bool(jobs) and all(job.attack.shares_gradient for job in jobs)

    def attack(place: Place) -> list[Exception | None]:
        memory = Remembered(jobs[0].climbed()) if shared else None
        batch, errors = place.fill(canvases), list[Exception | None]()
        for job, into in zip(jobs, found, strict=True):
            errors.append(None)
            if into.error is None:
                try:
                    _attack_batch((job, memory or job.climbed()), batch, records, setting, into)
                except torch.OutOfMemoryError:
                    raise
                except Exception as error:  # the user's own code may raise anything
                    # The others may leave this job be; which error is told is settled below.
                    into.error = errors[-1] = error
        if memory is not None and memory.logits is not None and len(memory.logits) == setting.size:
            clean[batch.rows] = memory.logits.detach().cpu().numpy()[: len(batch.rows)]
        return errors

    for errors in reversed(setting.each(attack, layout(canvases, setting.size))):
        for error, into in zip(errors, found, strict=True):
            into.error = error or into.error
    setting.each(
        lambda done: _probe(done[0], canvases, records, setting, done[1]),
        [(job, into) for job, into in zip(jobs, found, strict=True) if into.error is None],
    )
    whole = all(
        bool(np.isfinite(clean[i])) for i, canvas in enumerate(canvases) if canvas is not None
    )
    return found, clean if shared and whole else None


def _attack_batch(
    what: tuple[Job, LogitFn],
    batch: Batch,
    records: Sequence[ImageRecord],
    setting: Setting,
    into: Attacked,
) -> None:
    job, logit_fn = what
    mine = [records[i] for i in batch.index]
    done = job.attack(
        logit_fn,
        batch.tensor(setting.device),
        torch.tensor([record.label for record in mine], device=setting.device),
        [seed_for(setting.seed, job.purpose, record.sample_id) for record in mine],
        threshold=setting.threshold,
    )
    count = len(batch.rows)
    attacked = done.attacked[:count].cpu().numpy()
    for name in FLOATS:
        values = getattr(done, name)[:count].cpu().numpy().astype(np.float64)
        getattr(into, name)[batch.rows] = np.where(attacked, values, np.nan)
    into.grad_zero[batch.rows] = np.where(attacked, done.grad_zero, np.nan)
    for row, image in zip(batch.rows, done.adversarial[:count].cpu().numpy(), strict=True):
        into.moved[row] = np.round(image * 255).astype(np.uint8) if job.attack.quantize else image
