"""A protocol in parts, each one number a detector: the worst, image by image, of a list of conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from leaderboards.statistics.intervals import NAN, Interval, auc_interval, delong, wilson
from leaderboards.statistics.operating import mean_of_two
from leaderboards.statistics.thresholds import called_fake
from leaderboards.tables.cells import CLEAN, ScoreColumn, cell_state
from leaderboards.tables.further.certified import CertificateFacts, certificates
from leaderboards.tables.slicing import Slice, pool

if TYPE_CHECKING:
    from leaderboards.tables.attacks import AttackFacts

_RATES: Final = ("value", "fakes", "reals")
PART_COLUMNS: Final = (
    "detector", "part", "headline", "conditions", "status", "reason", "n_real", "n_fake", "metric",
    *(f"{rate}{end}" for rate in _RATES for end in ("", "_lo", "_hi")),
)  # fmt: skip
CLEAN_AUC: Final = "AUC, clean"
# Rounding in a stored distance that a budget may be exceeded by; in L2 that of all pixels adds up.
_SLACK: Final = {"linf": 1e-6, "l2": 3e-5}


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFacts:
    """One part of a protocol.

    Attributes:
        name: What the board calls it.
        conditions: Conditions as spelt, the worst of which counts for each image, with ``clean``.
        headline: Title of the headline number that it is; "" for none.
        eps: The largest change that counts, in units of [0, 1]: an attack that looks for the smallest change
            counts where it needs no more; None counts every change.
        radius: L2 radius that a certificate must reach; None where nothing is certified.
    """

    name: str
    conditions: tuple[str, ...]
    headline: str = ""
    eps: float | None = None
    radius: float | None = None


class _Judged(NamedTuple):
    """Whether each image is judged rightly under the whole part; a reason where nobody knows."""

    right: NDArray[np.bool_]
    reason: str = ""


def parts(
    samples: pd.DataFrame,
    cuts: Sequence[Slice],
    columns: Sequence[ScoreColumn],
    thresholds: Mapping[str, float],
    asked: Sequence[PartFacts],
    *,
    attacks: Mapping[str, AttackFacts],
    proofs: Mapping[str, CertificateFacts],
) -> pd.DataFrame:
    """Measure every part of a protocol, each image counted once.

    An image counts as right where its verdict is right on the clean image and under every condition of the
    part, so a part is never above the weakest of its conditions. Where a condition has no result, the part
    has none; an attack that its checks call unreliable still counts, as it can only lower the number, beside
    one that is reliable.

    Args:
        samples: One row an image.
        cuts: Slices of the samples; an image that is in none does not count.
        columns: Score columns.
        thresholds: Detector to the logit above which an image is called fake.
        asked: The parts in their order.
        attacks: Condition to what boards compare of its attack.
        proofs: Condition to its certificate.

    Returns:
        Columns ``PART_COLUMNS``, a row a detector and part. ``value`` is in the first row the AUC on
        clean images, in the others the mean of the share of fakes and of reals judged rightly, with
        Newcombe's interval, the two with Wilson's; nan where undefined, and the reason says why.
    """
    if not asked:
        return pd.DataFrame(columns=list(PART_COLUMNS))
    everything = pool(samples, cuts)
    records: list[dict[str, Any]] = []
    for detector in dict.fromkeys(column.detector for column in columns):
        own = {column.condition: column for column in columns if column.detector == detector}
        records.append(_clean_auc(detector, own.get(CLEAN), everything))
        threshold = thresholds.get(detector, NAN)
        for part in asked:
            judged = _judge(part, own, everything, threshold, attacks=attacks, proofs=proofs)
            records.append(_record(detector, part, judged, everything))
    return pd.DataFrame(records, columns=list(PART_COLUMNS))


def _judge(
    part: PartFacts,
    own: Mapping[str, ScoreColumn],
    everything: Slice,
    threshold: float,
    *,
    attacks: Mapping[str, AttackFacts],
    proofs: Mapping[str, CertificateFacts],
) -> _Judged:
    nothing = np.zeros(everything.rows.size, dtype=bool)
    if np.isnan(threshold):
        return _Judged(nothing, "its threshold is not chosen")
    labels, right, reliable = everything.labels == 1, np.ones(nothing.size, dtype=bool), 0
    for name in (CLEAN, *(name for name in part.conditions if name != CLEAN)):
        column = own.get(name)
        if column is None:
            return _Judged(nothing, f"{name} was not run")
        state = cell_state(column, everything.rows)
        if state.status not in ("ok", "attack unreliable"):
            return _Judged(nothing, f"{name} is {state.status}: {state.reason}")
        reliable += state.status == "ok" and name != CLEAN
        if part.radius is not None and name != CLEAN:
            if name not in proofs:
                return _Judged(nothing, f"{name} certifies nothing")
            right &= _proven(column, everything, proofs[name], part.radius)
            continue
        held = called_fake(column.logits[everything.rows], threshold) == labels
        right &= held | _too_far(column, everything.rows, part.eps, attacks.get(name))
    if not reliable and any(name != CLEAN for name in part.conditions):
        return _Judged(nothing, "the checks believe none of its attacks")
    return _Judged(right)


def _proven(
    column: ScoreColumn, everything: Slice, proof: CertificateFacts, radius: float
) -> NDArray[np.bool_]:
    if column.votes is None or column.pilot_votes is None:
        return np.zeros(everything.rows.size, dtype=bool)
    rows = everything.rows
    given = certificates(column.pilot_votes[rows], column.votes[rows], proof)
    holds: NDArray[np.bool_] = (given.verdict == everything.labels) & (given.radius >= radius)
    return holds


def _too_far(
    column: ScoreColumn, rows: NDArray[np.int64], eps: float | None, facts: AttackFacts | None
) -> NDArray[np.bool_]:
    """Mark images whose smallest change found is larger than the part allows: it does not count.

    An attack of a fixed budget counts wherever it ends: that its budget is the part's, the protocol says.
    """
    if eps is None or facts is None or not facts.finds_distance:
        return np.zeros(rows.size, dtype=bool)
    sizes = column.linf if facts.norm == "linf" else column.l2
    if sizes is None:
        return np.zeros(rows.size, dtype=bool)
    return np.asarray(sizes, dtype=np.float64)[rows] > eps + _SLACK[facts.norm]


def _record(detector: str, part: PartFacts, judged: _Judged, everything: Slice) -> dict[str, Any]:
    fake = everything.labels == 1
    head = (detector, part.name, part.headline, "; ".join(part.conditions))
    status = "n/a" if judged.reason else "ok"
    state = (status, judged.reason, int((~fake).sum()), int(fake.sum()), "balanced accuracy")
    rates = [_share(judged.right[fake]), _share(judged.right[~fake])]
    if judged.reason or any(np.isnan(value) for value, _ in rates):
        return dict(zip(PART_COLUMNS, (*head, *state, *([NAN] * 9)), strict=True))
    (of_fakes, fakes), (of_reals, reals) = rates
    balanced = (of_fakes + of_reals) / 2
    interval = mean_of_two(fakes, reals, (of_fakes, of_reals))
    values = (balanced, *interval, of_fakes, *fakes, of_reals, *reals)
    return dict(zip(PART_COLUMNS, (*head, *state, *values), strict=True))


def _share(right: NDArray[np.bool_]) -> tuple[float, Interval]:
    if not right.size:
        return NAN, Interval(NAN, NAN)
    k = int(np.count_nonzero(right))
    return k / right.size, wilson(k, right.size)


def _clean_auc(detector: str, clean: ScoreColumn | None, everything: Slice) -> dict[str, Any]:
    """Measure AUC over all images that count, with DeLong's interval."""
    n_fake = int((everything.labels == 1).sum())
    n_real = everything.labels.size - n_fake
    state = None if clean is None else cell_state(clean, everything.rows)
    value, interval, reason = NAN, Interval(NAN, NAN), ""
    if clean is None or state is None or state.status != "ok" or not clean.ranked:
        reason = "clean has no ranks" if state is None or state.status == "ok" else state.reason
    else:
        estimate = delong(everything.labels, clean.logits[everything.rows])
        value, interval = estimate.auc, auc_interval(estimate, n_real, n_fake)
    values = (
        detector, "clean", CLEAN_AUC, CLEAN, "n/a" if reason else "ok", reason, n_real, n_fake,
        "auc", value, *interval, *([NAN] * 6),
    )  # fmt: skip
    return dict(zip(PART_COLUMNS, values, strict=True))
