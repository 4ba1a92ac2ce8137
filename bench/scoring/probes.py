"""A few images attacked again, for the honesty checks."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attacks.base import Attack, NotAttackableError
from attacks.search import fooled
from bench.inference.batches import Batch
from bench.protocol.seeding import seed_for
from bench.scoring.attack_job import Attacked, Job, Setting

if TYPE_CHECKING:
    from bench.datasets import ImageRecord


PROBES = 4


def _probe(
    job: Job,
    canvases: Sequence[NDArray[Any] | None],
    records: Sequence[ImageRecord],
    setting: Setting,
    into: Attacked,
) -> None:
    """Attack a few images again without rounding, and without a budget."""
    attack = job.attack
    if attack.eps == 0 or attack.threat.knowledge != "white-box" or not attack.needs_gradient:
        return
    rows = _probed(canvases, records, setting.seed, into)
    if not len(rows):
        return
    images = [canvas for row in rows if (canvas := canvases[row]) is not None]
    batch = Batch(rows, np.stack(images), rows).tensor(setting.device)
    labels = torch.tensor([records[row].label for row in rows], device=setting.device)
    seeds = [seed_for(setting.seed, job.purpose, records[row].sample_id) for row in rows]

    def logits_of(variant: Attack) -> Tensor:
        moved = variant(job.climbed(), batch, labels, seeds, setting.threshold).adversarial
        with torch.inference_mode():
            return setting.logits(moved)

    nothing = dataclasses.replace(attack, eps=0.0)(job.climbed(), batch, labels, seeds)
    if not torch.equal(nothing.adversarial, batch):
        into.error = RuntimeError(f"{attack.name} changes the image at eps 0: mend the attack")
        return
    try:
        if attack.quantize:
            plain = logits_of(dataclasses.replace(attack, quantize=False))
            into.unrounded[rows] = plain.float().cpu().numpy()
        if not attack.shares_gradient:
            wrong = fooled(logits_of(_without_budget(attack, batch)) - setting.threshold, labels)
            # What a small budget reaches, a large one reaches too.
            moved = Batch(rows, np.stack([into.moved[row] for row in rows]), rows)
            with torch.inference_mode():
                reached = setting.logits(moved.tensor(setting.device)) - setting.threshold
            wrong |= fooled(reached, labels)
            into.unbounded[rows] = wrong.cpu().numpy().astype(np.float64)
    except NotAttackableError:
        return


def _probed(
    canvases: Sequence[NDArray[Any] | None],
    records: Sequence[ImageRecord],
    seed: int,
    into: Attacked,
) -> NDArray[np.int64]:
    """A sixteenth of the attacked images of one shape, at most ``PROBES``, by seed and id."""
    found = [row for row in range(len(canvases)) if not np.isnan(into.linf[row])]
    if not found:
        return np.empty(0, dtype=np.int64)
    shapes = {row: getattr(canvases[row], "shape", None) for row in found}
    same = [row for row in found if shapes[row] == shapes[found[0]]]
    same.sort(key=lambda row: seed_for(seed, "probe", records[row].sample_id))
    return np.asarray(sorted(same[: max(1, min(PROBES, len(same) // 16))]), dtype=np.int64)


def _without_budget(attack: Attack, batch: Tensor) -> Attack:
    """The attack with the whole range to itself, in steps small enough to follow the gradient."""
    eps = 1.0 if attack.norm == "linf" else float(np.sqrt(batch[0].numel()))
    known = {field.name for field in dataclasses.fields(attack)}
    changes: dict[str, Any] = {"eps": eps}
    if {"step", "steps"} <= known:
        changes |= {"step": eps / 50, "steps": max(25, int(getattr(attack, "steps", 1)))}
    if "random_start" in known:
        changes["random_start"] = False
    if changes.get("random_start") is False and "restarts" in known:
        changes["restarts"] = 1
    return dataclasses.replace(attack, **changes)
