"""How canvases are attacked: a batch at a time, several attacks of one family together.

Attacks that take their one gradient at the image itself (FGSM at several eps) share it: the second one
is answered from memory, so its bits are those it would have had alone. What the honesty checks need
besides the scores is found here too, on a few images a chunk.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from attacks.base import Attack, LogitFn, NotAttackableError
from attacks.search import fooled
from bench.batches import Batch, Place, layout
from bench.lanes import plainly
from bench.remember import Remembered
from bench.seeding import seed_for

if TYPE_CHECKING:
    from bench.condition import Condition
    from bench.datasets import ImageRecord
    from bench.plan import Unit
    from bench.replicas import Replicas

PROBES = 4
FLOATS = ("linf", "l2", "steps")


@dataclass(frozen=True, slots=True)
class Job:
    """One attack to run.

    Attributes:
        attack: The attack.
        purpose: What its seeds are drawn for.
        climbed: Makes the logit function it climbs, anew for each batch: the target's own, a
            surrogate's, or one behind corruptions.
    """

    attack: Attack
    purpose: str
    climbed: Callable[[], LogitFn]


@dataclass(frozen=True, slots=True)
class Setting:
    """What all jobs have in common.

    Attributes:
        logits: The target's logit function.
        size: Images in a batch.
        device: Where it runs.
        seed: The run's.
        threshold: Logit above which an image is called fake.
        each: Does one thing for every item, perhaps in several threads.
    """

    logits: LogitFn
    size: int
    device: torch.device
    seed: int
    threshold: float = 0.0
    each: Callable[[Callable[[Any], Any], Iterable[Any]], list[Any]] = plainly


@dataclass(slots=True)
class Attacked:
    """What one attack did to n canvases; nan where an image was not attacked or not looked at.

    Attributes:
        moved: What the detector will see: (3, h, w) uint8, or float32 where not quantised.
        linf: (n,) size of the change; ``l2`` likewise.
        steps: (n,) gradients or queries spent.
        grad_zero: (n,) share of exact zeros in the first gradient of the image's batch.
        unbounded: (n,) 1 where an unbounded budget fools the detector, 0 where it does not.
        unrounded: (n,) logit of the picture before it was rounded to 8 bits.
        error: Why it could not be done.
    """

    moved: list[Any]
    linf: NDArray[np.float64]
    l2: NDArray[np.float64]
    steps: NDArray[np.float64]
    grad_zero: NDArray[np.float64]
    unbounded: NDArray[np.float64]
    unrounded: NDArray[np.float64]
    error: Exception | None = None

    @classmethod
    def nothing(cls, n: int) -> Attacked:
        """Nothing done yet."""
        linf, l2, steps, zero, unbounded, unrounded = (np.full(n, np.nan) for _ in range(6))
        return cls([None] * n, linf, l2, steps, zero, unbounded, unrounded)


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


def surrogate_logits(surrogate: Replicas) -> LogitFn:
    """A surrogate's logits on another detector's canvases, resized where its own are of other size."""
    side = surrogate.card.input.size

    def logits(images: Tensor) -> Tensor:
        if side is not None and images.shape[2:] != (side, side):
            images = F.interpolate(images, (side, side), mode="bilinear", antialias=True)
            images = images.clamp(0, 1)
        return surrogate.checked_logits(images)

    return logits


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
