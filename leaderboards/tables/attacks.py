"""What attacks say on a board: their threat models, curves over eps, the transfer matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from leaderboards.tables.cells import CLEAN
from leaderboards.tables.means import by_condition

TRANSFER = "transfer from "


# Attacks that earlier versions knew to be iterative.
_ITERATIVE = ("pgd", "apgd", "ensemble")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackFacts:
    """One attack condition, as far as boards compare it with others.

    Attributes:
        name: Name of the attack, as the registry knows it.
        family: Budget series: the condition with its eps left open, shared by what differs in eps only.
        ladder: The condition with its number of steps left open, shared by what differs in steps only.
        chain: The condition with the whole attack left open: corruptions before and after.
        norm: ``linf`` or ``l2``.
        eps: The budget, in units of [0, 1].
        goal: ``evade``, ``frame`` or ``both``.
        quantize: Whether results are 8-bit pictures.
        knowledge: ``white-box``, ``black-box`` or ``transfer from <surrogate>``.
        steps: Steps, or 0 where it has none.
        stops_early: Whether fooled images are left as they are, so that ranks mean nothing.
        iterative: Whether it searches step by step; ``None`` in runs of earlier versions.
        smaller: Smaller budgets, in units of [0, 1], whose worst pictures are kept.
        finds_distance: Whether it looks for the smallest change that fools, up to ``eps``.
    """

    name: str
    family: str
    ladder: str
    chain: str
    norm: str
    eps: float
    goal: str
    quantize: bool
    knowledge: str
    steps: int = 0
    stops_early: bool = False
    iterative: bool | None = None
    smaller: tuple[float, ...] = ()
    finds_distance: bool = False

    @property
    def climbs(self) -> bool:
        """Whether it searches step by step, and so must beat a single step."""
        if self.iterative is None:
            return self.name.partition("-")[0] in _ITERATIVE
        return self.iterative

    @property
    def is_delivered(self) -> bool:
        """Whether corruptions follow the attack, so that its own picture is not what is scored."""
        return not self.chain.endswith("*")

    @property
    def distance_norm(self) -> str:
        """Norm of the distances that it finds; "" where the pictures scored are at no such distance."""
        return self.norm if self.finds_distance and not self.is_delivered else ""

    @property
    def counts_queries(self) -> bool:
        """Whether its steps are the queries after which each image was first fooled."""
        return self.knowledge == "black-box" and self.stops_early and not self.is_delivered

    def describe(self) -> str:
        """Write the threat model in words."""
        norm = "L-inf" if self.norm == "linf" else "L2"
        victims = {"evade": "fakes only", "frame": "reals only", "both": "both classes"}[self.goal]
        grid = "8-bit" if self.quantize else "float"
        size = (
            f"smallest change up to {levels(self.eps)}" if self.finds_distance else levels(self.eps)
        )
        threat = f"{norm} {size}, {victims}, {self.knowledge}, {grid}"
        if self.smaller:
            threat += f", the worst of {', '.join(map(levels, (*self.smaller, self.eps)))}"
        return threat


def curves(rows: pd.DataFrame, attacks: Mapping[str, AttackFacts]) -> pd.DataFrame:
    """Compute areas under robust accuracy (and AUC) over eps, from clean to the largest, per unit of eps.

    ``sum_i (m_i + m_(i+1)) / 2 (eps_(i+1) - eps_i) / eps_max`` for a metric m, with m_0 clean.

    Returns:
        Columns ``detector, family, norm, eps, n_eps, accuracy_area, auc_area``: areas in [0, 1] by
        the trapezoid rule, ``eps`` the largest budget, ``family`` the budget series. nan where a point
        is unscored or undefined; series with one eps are left out.
    """
    means = by_condition(rows)
    records = []
    for detector in dict.fromkeys(means["detector"]):
        of_detector = means[means["detector"] == detector].set_index("condition")
        if CLEAN not in of_detector.index:
            continue
        for name, members in _budget_series(list(of_detector.index), attacks).items():
            eps = np.array([0.0, *(attacks[condition].eps for condition in members)])
            record = {"detector": detector, "family": name, "norm": attacks[members[0]].norm}
            record |= {"eps": eps[-1], "n_eps": len(members)}
            for metric in ("accuracy", "auc"):
                values = of_detector.loc[[CLEAN, *members], metric].to_numpy(dtype=np.float64)
                area = np.sum((values[1:] + values[:-1]) / 2 * np.diff(eps)) / eps[-1]
                record[f"{metric}_area"] = float(area)
            records.append(record)
    columns = ["detector", "family", "norm", "eps", "n_eps", "accuracy_area", "auc_area"]
    return pd.DataFrame(records, columns=columns)


def _budget_series(
    conditions: Sequence[str], attacks: Mapping[str, AttackFacts]
) -> dict[str, list[str]]:
    """Attacks that differ in eps only, by the smallest eps first; those with one eps left out."""
    series: dict[str, list[str]] = {}
    for condition in conditions:
        if condition in attacks:
            series.setdefault(attacks[condition].family, []).append(condition)
    return {
        name: sorted(members, key=lambda condition: attacks[condition].eps)
        for name, members in series.items()
        if len(members) > 1
    }


def transfer_matrix(rows: pd.DataFrame, attacks: Mapping[str, AttackFacts]) -> pd.DataFrame:
    """Lay out attack success by surrogate (rows, with the attack) and target (columns).

    Returns:
        Columns ``attack, surrogate`` and one a target; empty without any transfer. A target attacked
        from itself is white-box.
    """
    lines: dict[tuple[str, str], dict[str, object]] = {}
    for row in by_condition(rows).to_dict("records"):
        facts = attacks.get(row["condition"])
        if facts is None or not facts.knowledge.startswith(TRANSFER):
            continue
        surrogate = facts.knowledge.removeprefix(TRANSFER)
        attack = row["condition"].replace(f"surrogate={surrogate}", "surrogate=*")
        line = lines.setdefault((attack, surrogate), {"attack": attack, "surrogate": surrogate})
        line[row["detector"]] = row["attack_success"]
    return pd.DataFrame(list(lines.values()))


def levels(eps: float) -> str:
    """Write a budget in units of [0, 1]: in levels of 255 where it is a whole number of them."""
    levels = eps * 255
    whole = abs(levels - round(levels)) < 1e-6 and 0 < levels <= 255
    return f"{round(levels)}/255" if whole and eps != round(eps, 2) else f"{eps:g}"
