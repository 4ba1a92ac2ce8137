"""The check itself: the same chunks in both forms of arithmetic, and what is chosen by them.

Scores of a run have one form for each detector: in bf16 all of them, or none. Where a run attacks, all scores
are fp32, clean ones too, and at most the gradients are bf16: what an attack claims is then claimed in fp32,
against clean scores in fp32.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.inference.numerics import Arithmetic
from bench.runs.arithmetic.candidates import MOST_SHARE, asks_again, looks, refusals
from bench.runs.prepare import Prepared
from bench.runs.settled import Settled
from bench.store.run_spec import Failure
from bench.store.units import Chunk, Plan, Unit
from bench.support.progress import Progress
from leaderboards.statistics.paired import cluster_codes
from leaderboards.tables.further.arithmetic import (
    Checked,
    Chosen,
    DetectorForm,
    FormCheck,
    bounds,
    check_attack,
    check_scores,
    summary,
)

Score = Callable[[Plan, Mapping[int, Sequence[Unit]], Settled, str], list[Failure]]
"""Scores some units of a plan, by chunk, as far as the store lacks them, under a title; says what failed."""


def with_arithmetic(
    prepared: Prepared, settled: Settled, score: Score, progress: Progress
) -> Settled:
    """Choose the arithmetic of every detector, by scores of a few chunks in both forms.

    What is chosen follows from these scores alone, so a run that goes on, one with more threads and one on
    a cluster choose alike.

    Args:
        prepared: A run whose arithmetic is to be chosen.
        settled: Batch sizes and thresholds, the latter for fp32.
        score: Scores units into the store of the run.
        progress: Says what was chosen.

    Returns:
        The settled values with it.

    Raises:
        ShardDamagedError: Stored scores are damaged; they have been set aside.
    """
    plain = dict.fromkeys(prepared.detectors, Arithmetic())
    chunks = looks(prepared)
    reasons = {**refusals(prepared, chunks), **settled.given_up}
    candidates = [label for label in prepared.detectors if label not in reasons]
    forms = {label: _plain(label, reason) for label, reason in reasons.items()}
    arithmetic = plain
    if candidates:
        check = _Check(
            prepared, settled, chunks, "bf16 gradients" if asks_again(prepared) else "bf16"
        )
        forms |= check.run(candidates, score)
        arithmetic = {label: _ARITHMETIC[forms[label].chosen] for label in prepared.detectors}
    for label in prepared.detectors:
        progress.note(f"{label}: {forms[label].chosen}: {forms[label].reason}")
    return dataclasses.replace(
        settled, arithmetic=arithmetic, forms=tuple(forms[label] for label in prepared.detectors)
    )


_ARITHMETIC: Mapping[Chosen, Arithmetic] = {
    "fp32": Arithmetic(),
    "bf16": Arithmetic("bf16"),
    "bf16 gradients": Arithmetic("fp32", "bf16"),
}


def _plain(label: str, reason: str) -> DetectorForm:
    return DetectorForm(detector=label, chosen="fp32", reason=reason)


class _Column(NamedTuple):
    """One detector under one condition, of the n images of a check.

    Attributes:
        logits: (n,) float32; nan where an image could not be read.
        attacked: (n,) whether an attack touched the image.
    """

    logits: NDArray[np.float32]
    attacked: NDArray[np.bool_]


@dataclasses.dataclass(frozen=True, slots=True)
class _Check:
    """A check of one cheaper form.

    Attributes:
        prepared: The run.
        settled: Batch sizes and thresholds.
        looks: The chunks of every look, each with those of the one before.
        cheaper: The form that is checked.
    """

    prepared: Prepared
    settled: Settled
    looks: Sequence[Sequence[Chunk]]
    cheaper: Chosen

    def run(self, labels: Sequence[str], score: Score) -> dict[str, DetectorForm]:
        """Score chunks in both forms for some detectors, look by look, until each is decided."""
        found = dict[str, DetectorForm]()
        for number, chunks in enumerate(self.looks, start=1):
            open_ = [label for label in labels if label not in found]
            if not open_:
                break
            is_last = number == len(self.looks)
            found |= self._look(open_, chunks, score, f"look {number}", is_last=is_last)
        return found

    def _look(
        self,
        labels: Sequence[str],
        chunks: Sequence[Chunk],
        score: Score,
        title: str,
        *,
        is_last: bool,
    ) -> dict[str, DetectorForm]:
        """Score the chunks of a look in both forms; gives the detectors that are decided by it."""
        plans, found = dict[Chosen, Plan](), dict[str, DetectorForm]()
        for form in ("fp32", self.cheaper):
            arithmetic = dict.fromkeys(self.prepared.detectors, _ARITHMETIC[form])
            settled = dataclasses.replace(self.settled, arithmetic=arithmetic)
            plans[form] = self.prepared.plan(settled)
            units = self._units(plans[form], chunks, [name for name in labels if name not in found])
            for failed in score(plans[form], units, settled, f"{title}, {form}"):
                reason = f"{form} fails in the check, under {failed.condition}: {failed.reason}"
                found.setdefault(failed.detector, _plain(failed.detector, reason))
        for label in labels:
            if label in found:
                continue
            decided = self._judged(label, chunks, plans, is_last=is_last)
            if decided is not None:
                found[label] = decided
        return found

    def _units(
        self, plan: Plan, chunks: Sequence[Chunk], labels: Sequence[str]
    ) -> dict[int, list[Unit]]:
        """List the units that are checked, one entry a chunk of the plan."""
        indices, conditions = {chunk.index for chunk in chunks}, self._conditions
        return {
            chunk.index: [
                unit
                for unit in plan.by_chunk[chunk.index]
                if chunk.index in indices
                and unit.detector in labels
                and unit.condition in conditions
            ]
            for chunk in plan.chunks
        }

    @property
    def _conditions(self) -> list[str]:
        """Spell the conditions whose arithmetic would change."""
        conditions = self.prepared.conditions.items()
        return [name for name, c in conditions if self.cheaper == "bf16" or c.climbs]

    def _judged(
        self, label: str, chunks: Sequence[Chunk], plans: Mapping[Chosen, Plan], *, is_last: bool
    ) -> DetectorForm | None:
        """Choose a detector's form; None where a larger look may still tell."""
        threshold, images = self.settled.threshold(label), self._images(chunks)
        checks: list[FormCheck] = []
        for condition in self._conditions:
            one, two = (self._column(plan, chunks, label, condition) for plan in plans.values())
            there = np.isfinite(one.logits) & np.isfinite(two.logits)
            compare = check_scores
            if self.cheaper != "bf16":
                there &= one.attacked
                compare = check_attack
            if not there.any():
                return _plain(label, f"no image of the check has a score under {condition}.")
            part = images.among(there)
            checks.append(compare(condition, part, one.logits[there], two.logits[there], threshold))
        open_ = [check for check in checks if check.verdict != "within"]
        if not open_:
            return DetectorForm(
                detector=label, chosen=self.cheaper, reason=summary(checks), checks=tuple(checks)
            )
        if outside := [check for check in open_ if check.verdict == "outside"]:
            reason = f"{self.cheaper} is out of bounds"
        elif is_last:
            outside, reason = (
                open_,
                f"{MOST_SHARE:.0%} of the images do not show {self.cheaper} in bounds",
            )
        else:
            return None
        names = ", ".join(check.condition for check in outside[:3])
        reason = f"{reason} under {names}: {summary(outside)} {bounds(self.cheaper)}"
        return DetectorForm(detector=label, chosen="fp32", reason=reason, checks=tuple(checks))

    def _images(self, chunks: Sequence[Chunk]) -> Checked:
        rows = np.concatenate([chunk.rows for chunk in chunks])
        table = self.prepared.manifest.table.select(["label", "group", "sha256"]).take(rows)
        clusters = cluster_codes(table["group"].to_pylist(), table["sha256"].to_pylist())
        return Checked(table["label"].to_numpy().astype(np.int64), clusters)

    def _column(self, plan: Plan, chunks: Sequence[Chunk], label: str, condition: str) -> _Column:
        logits, attacked = list[NDArray[np.float32]](), list[NDArray[np.bool_]]()
        ids = self.prepared.manifest.table["sample_id"]
        for chunk in chunks:
            unit = next(
                unit
                for unit in plan.by_chunk[chunk.index]
                if (unit.detector, unit.condition) == (label, condition)
            )
            shard = self.prepared.store.read(
                unit.fingerprint, ids.take(chunk.rows).combine_chunks()
            )
            logits.append(shard["logit"].to_numpy(zero_copy_only=False).astype(np.float32))
            attacked.append(~np.isnan(shard["linf"].to_numpy(zero_copy_only=False).astype(float)))
        return _Column(np.concatenate(logits), np.concatenate(attacked))
