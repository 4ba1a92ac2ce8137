"""Attacks on canvases: a batch at a time, several attacks of one sharing group together.

Attacks that take their one gradient at the image itself (FGSM at several eps) share it: the second one is
answered from memory, so its bits are those it would have had alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from attacks.base import LogitFn
from attacks.inputs import named_by
from bench.inference.batches import Batch, Place, layout
from bench.inference.foreign import border
from bench.protocol.seeding import seed_for
from bench.scoring.attack_job import Attacked, BatchOutcome, Job, Target
from bench.scoring.logit_functions import Remembered
from bench.scoring.probes import probe

if TYPE_CHECKING:
    from bench.datasets import ImageRecord
    from bench.protocol.condition import Condition
    from bench.store.units import Unit

# Columns of an attack's own result, one value an image.
_RESULT_COLUMNS = ("linf", "l2", "steps")


def sharing_groups(
    units: Sequence[Unit], conditions: Mapping[str, Condition], *, free_clean: bool
) -> list[list[Unit]]:
    """Group units that share work: budgets in each other, and gradients at the image with clean scores.

    Args:
        units: Units of one detector, with the same corruptions before the attack.
        conditions: By canonical spelling.
        free_clean: Whether the forward pass of a gradient is the very one that scores.
    """
    groups: dict[tuple[Any, ...], list[Unit]] = {}
    unattacked: list[Unit] = []
    gradient_of_all: list[Unit] | None = None
    for unit in units:
        condition = conditions[unit.condition]
        attack, smaller = condition.attack, condition.smaller
        # Budgets that lie in each other are known by the smallest of them.
        key: tuple[Any, ...] = (str(smaller[0]) if smaller else unit.condition,)
        if attack is not None and attack.shares_gradient:
            key = (attack.name, attack.goal, getattr(attack, "loss", ""))
        group = groups.setdefault(key, [])
        group.append(unit)
        if condition.certificate is not None:
            continue
        if attack is None:
            unattacked = unattacked or group
        elif attack.shares_gradient and attack.goal == "both":
            # Only a gradient taken at every image brings the clean logits of every image.
            gradient_of_all = gradient_of_all or group
    if not (free_clean and unattacked and gradient_of_all):
        return list(groups.values())
    others = [g for g in groups.values() if g is not unattacked and g is not gradient_of_all]
    return [[*unattacked, *gradient_of_all], *others]


@dataclass(frozen=True, slots=True)
class GroupOutcome:
    """What the jobs of one sharing group did to n canvases.

    Attributes:
        attacked: One record a job, in the order of the jobs.
        clean: (n,) float32 clean logits, where a shared gradient gave those of all images.
    """

    attacked: list[Attacked]
    clean: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True)
class _BatchOutcomes:
    """One batch under every job: an outcome or an error each, and the clean logits of its rows."""

    rows: NDArray[np.int64]
    by_job: list[BatchOutcome | Exception]
    clean: NDArray[np.float32] | None


def attack_all(
    jobs: Sequence[Job],
    canvases: Sequence[NDArray[Any] | None],
    records: Sequence[ImageRecord],
    target: Target,
    *,
    probes: bool = True,
) -> GroupOutcome:
    """Run every job on every canvas.

    Args:
        jobs: Attacks to run; more than one only where they may share a gradient.
        canvases: One canvas an image; ``None`` where an image has none.
        records: Labels and ids of the images.
        target: The detector under attack.
        probes: Whether a few images are attacked again for the attack checks.

    Raises:
        torch.OutOfMemoryError: The batch is too large.
    """
    shared = bool(jobs) and all(job.attack.shares_gradient for job in jobs)

    def attack_batch(place: Place) -> _BatchOutcomes:
        return _attack_batch(jobs, place.fill(canvases), records, target, shared=shared)

    batches: list[_BatchOutcomes] = target.for_each(
        attack_batch, layout(canvases, target.batch_size)
    )
    attacked = [
        _assembled(len(canvases), [batch.by_job[number] for batch in batches])
        for number in range(len(jobs))
    ]

    def with_probe(number: int) -> Attacked:
        return _with_probe(jobs[number], canvases, records, target, attacked[number])

    return GroupOutcome(
        target.for_each(with_probe, range(len(jobs))) if probes else attacked,
        _clean_logits(len(canvases), batches) if shared else None,
    )


def probe_alone(
    job: Job,
    canvases: Sequence[NDArray[Any] | None],
    records: Sequence[ImageRecord],
    target: Target,
) -> Attacked:
    """Probe an attack whose batches are run elsewhere; what it does to them is left out."""
    labels = torch.tensor([record.label for record in records])
    attacked = Attacked.none(len(canvases))
    attacked.linf[named_by(job.attack.goal, labels).numpy()] = 0.0

    def with_probe(record: Attacked) -> Attacked:
        return _with_probe(job, canvases, records, target, record)

    probed: list[Attacked] = target.for_each(with_probe, [attacked])
    return probed[0]


def _assembled(count: int, outcomes: Sequence[BatchOutcome | Exception]) -> Attacked:
    """Put one job's batches together; the first failure, in the order of the batches, is its error."""
    errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    whole = Attacked.assembled(count, [o for o in outcomes if isinstance(o, BatchOutcome)])
    return whole.failed(errors[0]) if errors else whole


def _with_probe(
    job: Job,
    canvases: Sequence[NDArray[Any] | None],
    records: Sequence[ImageRecord],
    target: Target,
    attacked: Attacked,
) -> Attacked:
    if attacked.error is not None:
        return attacked
    try:
        with border(job.attack.name):
            outcome = probe(job, canvases, records, target, attacked)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # the user's own code may raise anything
        return attacked.failed(error)
    return attacked if outcome is None else attacked.with_probe(outcome)


def _clean_logits(count: int, batches: Sequence[_BatchOutcomes]) -> NDArray[np.float32] | None:
    """Put the clean logits of all batches together; None where a batch lacks them, or one is not finite."""
    clean = np.full(count, np.nan, dtype=np.float32)
    for batch in batches:
        if batch.clean is None or not np.isfinite(batch.clean).all():
            return None
        clean[batch.rows] = batch.clean
    return clean


def _attack_batch(
    jobs: Sequence[Job],
    batch: Batch,
    records: Sequence[ImageRecord],
    target: Target,
    *,
    shared: bool,
) -> _BatchOutcomes:
    memory = Remembered(jobs[0].logit_function()) if shared else None
    outcomes: list[BatchOutcome | Exception] = []
    for job in jobs:
        try:
            with border(job.attack.name):
                outcome = _run_job(job, memory or job.logit_function(), batch, records, target)
            outcomes.append(outcome)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # the user's own code may raise anything
            outcomes.append(error)
    clean = None
    if memory is not None and memory.logits is not None and len(memory.logits) == len(batch.index):
        clean = memory.logits.detach().cpu().numpy()[: len(batch.rows)]
    return _BatchOutcomes(batch.rows, outcomes, clean)


def _run_job(
    job: Job,
    logit_fn: LogitFn,
    batch: Batch,
    records: Sequence[ImageRecord],
    target: Target,
) -> BatchOutcome:
    images = [records[i] for i in batch.index]
    result = job.attack(
        logit_fn,
        batch.tensor(target.device),
        torch.tensor([record.label for record in images], device=target.device),
        [seed_for(target.seed, job.purpose, record.sample_id) for record in images],
        threshold=target.threshold,
    )
    count = len(batch.rows)
    attacked = result.attacked[:count].cpu().numpy()
    columns = {
        name: np.where(attacked, getattr(result, name)[:count].cpu().numpy(), np.nan)
        for name in _RESULT_COLUMNS
    }
    columns["grad_zero"] = np.where(attacked, result.grad_zero, np.nan)
    adversarial = result.adversarial[:count]
    if job.attack.quantize:
        # On the device: a quarter of the bytes come back.
        adversarial = (adversarial * 255).round().to(torch.uint8)
    return BatchOutcome(batch.rows, list(adversarial.cpu().numpy()), columns)
