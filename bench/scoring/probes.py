"""A few images of a chunk attacked again, for what the attack checks need besides the scores.

Each probe asks what an honest attack must do: change nothing at eps 0, lose nothing by rounding that the
budget allows, and win where the budget is lifted.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attacks.base import Attack, NotAttackableError
from attacks.search import fooled
from bench.inference.batches import Batch, layout
from bench.protocol.seeding import seed_for
from bench.scoring.attack_job import Attacked, Job, Probe, Target

if TYPE_CHECKING:
    from bench.datasets import ImageRecord

# Images probed in a chunk: enough of either class to tell an attack that does nothing, or the wrong thing,
# from one that is out of luck; more cost more than they tell.
PROBES = 8


def is_probed(attack: Attack | None) -> bool:
    """Tell whether an attack is probed: it climbs the detector's own gradient, within a budget."""
    if attack is None or attack.eps == 0:
        return False
    return attack.threat.knowledge == "white-box" and attack.needs_gradient


def probe(
    job: Job,
    canvases: Sequence[NDArray[Any] | None],
    records: Sequence[ImageRecord],
    target: Target,
    attacked: Attacked,
) -> Probe | None:
    """Attack a few images again, without rounding and without a budget.

    Returns:
        The probe; ``None`` where there is nothing to probe: no attacked image, an attack without
        gradients, or a gradient that is not the detector's own.

    Raises:
        RuntimeError: The attack changes the image at eps 0.
    """
    attack = job.attack
    if not is_probed(attack):
        return None
    rows = _probe_rows(canvases, records, target, attacked)
    if not len(rows):
        return None
    images = [canvas for row in rows if (canvas := canvases[row]) is not None]
    batch = Batch(rows, np.stack(images), rows).tensor(target.device)
    labels = torch.tensor([records[row].label for row in rows], device=target.device)
    seeds = [seed_for(target.seed, job.purpose, records[row].sample_id) for row in rows]

    def logits_under(variant: Attack) -> Tensor:
        images = variant(job.logit_function(), batch, labels, seeds, target.threshold).adversarial
        with torch.inference_mode():
            return target.logits(images)

    unmoved = dataclasses.replace(attack, eps=0.0)(job.logit_function(), batch, labels, seeds)
    if not torch.equal(unmoved.adversarial, batch):
        raise RuntimeError(f"{attack.name} changes the image at eps 0: mend the attack")
    unrounded, unbounded = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    try:
        if attack.quantize:
            plain = logits_under(dataclasses.replace(attack, quantize=False))
            unrounded = plain.float().cpu().numpy().astype(np.float64)
        if attack.iterative:
            unlimited = attack.unbounded(batch[0].numel())
            wrong = fooled(logits_under(unlimited) - target.threshold, labels)
            unbounded = wrong.cpu().numpy().astype(np.float64)
    except NotAttackableError:
        # The unrounded logits, where there are any, still count.
        pass
    return Probe(rows, unrounded, unbounded)


def _probe_rows(
    canvases: Sequence[NDArray[Any] | None],
    records: Sequence[ImageRecord],
    target: Target,
    attacked: Attacked,
) -> NDArray[np.int64]:
    """Choose at most ``PROBES`` attacked images of one shape, half of them of either class.

    Images that the detector judges rightly come first: of the others an attack shows nothing.
    """
    rows = [row for row in range(len(canvases)) if not np.isnan(attacked.linf[row])]
    if not rows:
        return np.empty(0, dtype=np.int64)
    shapes = {row: getattr(canvases[row], "shape", None) for row in rows}
    of_one_shape = [row for row in rows if shapes[row] == shapes[rows[0]]]
    candidates = _candidates(of_one_shape, lambda row: (records[row].label, records[row].sample_id))
    wrong = _wrong_when_clean([*candidates[0], *candidates[1]], canvases, records, target)
    preferred = [sorted(rows, key=lambda row: wrong[row]) for rows in candidates]
    # In turn from either class; where one runs out, the other fills up.
    in_turn = [row for pair in itertools.zip_longest(*preferred) for row in pair if row is not None]
    return np.asarray(sorted(in_turn[:PROBES]), dtype=np.int64)


def probe_candidates(labels: Sequence[int], sample_ids: Sequence[str]) -> list[int]:
    """Choose the images of a chunk that probes may be made of, whatever a goal leaves out.

    Args:
        labels: Labels of the chunk's images.
        sample_ids: Ids of the same images.

    Returns:
        Their positions, ascending.
    """
    either = _candidates(range(len(labels)), lambda row: (labels[row], sample_ids[row]))
    return sorted([*either[0], *either[1]])


def _candidates(
    rows: Iterable[int], label_and_id: Callable[[int], tuple[int, str]]
) -> list[list[int]]:
    """Give the rows of either class that come first by their ids' hash, twice as many as are probed."""
    # By id alone: which images are probed must not depend on a seed that no score depends on.
    ordered = sorted(rows, key=lambda row: seed_for(0, "probe", label_and_id(row)[1]))
    return [
        [row for row in ordered if label_and_id(row)[0] == label][: 2 * PROBES] for label in (0, 1)
    ]


def _wrong_when_clean(
    rows: Sequence[int],
    canvases: Sequence[NDArray[Any] | None],
    records: Sequence[ImageRecord],
    target: Target,
) -> dict[int, bool]:
    """Ask the detector about some images as they are, in batches of the size it takes."""
    wrong: dict[int, bool] = {}
    of_rows = [canvases[row] for row in rows]
    for place in layout(of_rows, target.batch_size):
        batch = place.fill(of_rows)
        with torch.inference_mode():
            logits = target.logits(batch.tensor(target.device))[: len(batch.rows)]
        of_batch = [rows[position] for position in batch.rows.tolist()]
        labels = torch.tensor([records[row].label for row in of_batch], device=logits.device)
        verdicts = fooled(logits - target.threshold, labels).tolist()
        wrong |= dict(zip(of_batch, verdicts, strict=True))
    return wrong
