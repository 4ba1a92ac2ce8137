"""What a run has stored under one condition: its column of a board, and whether it can be believed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bench.results.stored.replay import open_slices
from bench.store.run_shards import StoredScores
from bench.store.run_spec import ConditionRecord
from leaderboards import CLEAN, ScoreColumn, Status
from leaderboards.tables.attack_checks import AttackScores, Check, check_attacks
from leaderboards.tables.rounds.stopping import Reach


@dataclass(frozen=True, slots=True, eq=False)
class ConditionScores:
    """The stored scores of one detector under one condition, and whether they can be believed."""

    detector: str
    record: ConditionRecord
    stored: StoredScores
    status: Status
    reason: str
    verdicts: bool = False  # logits say no more than real or fake
    reach: Reach | None = None

    def column(self, keep: NDArray[np.bool_]) -> ScoreColumn:
        """Restrict the scores to the images that are kept, (n,) bool, as a board needs them."""
        attack, facts = self.stored.attack if self.record.attack else None, self.record.facts
        likeness = self.stored.likeness if self.record.only else None
        votes = self.stored.votes if self.record.certificate else None
        return ScoreColumn(
            detector=self.detector,
            condition=self.record.spelled,
            logits=self.stored.logits[keep],
            status=self.status,
            reason=self.reason,
            linf=attack["linf"][keep] if attack else None,
            l2=attack["l2"][keep] if attack else None,
            steps=attack["steps"][keep] if attack else None,
            only=self.record.only,
            psnr=likeness["psnr"][keep] if likeness else None,
            ssim=likeness["ssim"][keep] if likeness else None,
            ranked=not self.verdicts and (facts is None or not facts.stops_early),
            pilot_votes=votes["pilot_votes"][keep] if votes else None,
            votes=votes["votes"][keep] if votes else None,
            reach=None if self.reach is None else self.reach.take(keep),
            distance_norm="" if facts is None else facts.distance_norm,
            counts_queries=facts is not None and facts.counts_queries,
        )


def stored_status(
    stored: StoredScores, record: ConditionRecord, reach: Reach | None = None
) -> tuple[Status, str]:
    """Judge stored scores of one condition: the status of its column, and the reason."""
    if reach is not None:
        if n_open := open_slices(reach):
            return (
                "incomplete",
                f"the next round of {n_open} slices is not scored yet: run the same command again",
            )
    elif stored.missing:
        return (
            "incomplete",
            f"{stored.missing} units are not scored yet: run the same command again",
        )
    if record.must_change and not stored.changed:
        return "failed", "the corruption left every pixel of every image as it was"
    return "ok", ""


def attack_checks(
    conditions: Iterable[ConditionScores],
    labels: NDArray[np.int64],
    keep: NDArray[np.bool_],
    thresholds: Mapping[str, float],
) -> list[Check]:
    """Check every attack that is wholly scored and has clean scores beside it.

    Args:
        conditions: Scores of every detector under every condition.
        labels: (n,) 1 = AI-generated.
        keep: (n,) which images count.
        thresholds: Detector to threshold.
    """
    complete = [scores for scores in conditions if scores.status == "ok"]
    clean = {scores.detector: scores for scores in complete if scores.record.spelled == CLEAN}
    checks: list[Check] = []
    for detector, unharmed in clean.items():
        attacks = [
            scores
            for scores in complete
            if scores.record.facts is not None and scores.detector == detector
        ]
        # Where scoring stopped at a target: the images that stand under every attack.
        common = keep & np.logical_and.reduce(
            [~np.isnan(scores.stored.logits) for scores in (unharmed, *attacks)]
        )
        found = [_attack_scores(scores, unharmed, common) for scores in attacks]
        checks += check_attacks(labels[common], found, thresholds)
    return checks


def _attack_scores(
    scores: ConditionScores, clean: ConditionScores, keep: NDArray[np.bool_]
) -> AttackScores:
    """Give what checks of an attack look at, for the images that are kept, (n,) bool."""
    facts, attack = scores.record.facts, scores.stored.attack
    assert facts is not None
    return AttackScores(
        detector=scores.detector,
        condition=scores.record.spelled,
        facts=facts,
        clean=clean.stored.logits[keep],
        logits=scores.stored.logits[keep],
        attacked=~np.isnan(attack["linf"][keep]),
        grad_zero=attack["grad_zero"][keep],
        unbounded=attack["unbounded"][keep],
        unrounded=attack["unrounded"][keep],
    )


def marked(
    conditions: Sequence[ConditionScores], failed: Mapping[tuple[str, str], str]
) -> list[ConditionScores]:
    """Mark what must not be believed, given (detector, condition) to the checks that failed."""
    return [
        replace(
            scores,
            status="attack unreliable",
            reason=failed[scores.detector, scores.record.spelled],
        )
        if (scores.detector, scores.record.spelled) in failed
        else scores
        for scores in conditions
    ]
