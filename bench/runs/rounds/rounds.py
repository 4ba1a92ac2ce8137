"""The rounds of a run that stops at a target, whatever the target is."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from bench.errors import NothingSelectedError
from bench.protocol.until import GateTarget
from bench.results.gating.rules import load_rules
from bench.results.sequential.gate import gated_columns, next_share
from bench.runs.prepare import Prepared
from bench.runs.rounds.demand import Demand
from bench.runs.settled import Settled
from bench.store.units import Plan, Unit

Round = tuple[str, Mapping[int, Sequence[Unit]]]


def rounds_of(
    prepared: Prepared, settled: Settled, plan: Plan, given_up: Callable[[Unit], bool]
) -> Iterator[Round]:
    """Ask for scores, round by round; each is to be stored, or to have failed, before the next is taken.

    Args:
        prepared: Run with everything looked up, of which units are asked for.
        settled: Thresholds that it has settled.
        plan: Every unit there may be.
        given_up: Whether a unit's cell has failed.

    Yields:
        A title for a person, and units by chunk, one entry a chunk.
    """
    target = prepared.request.until
    if isinstance(target, GateTarget):
        yield from _until_gate(prepared, plan, target)
        return
    demand = Demand(prepared, settled, plan, given_up)
    for number, units in enumerate(demand.rounds(), start=1):
        yield f"round {number}, {demand.n_open} of {demand.n_cells} cells", units


def _until_gate(prepared: Prepared, plan: Plan, target: GateTarget) -> Iterator[Round]:
    """Score growing shares of the images until the gate is decided: what it asks for, and no other cell.

    Raises:
        NothingSelectedError: The run has no cell that the baseline has.
    """
    rules, folder = load_rules(None, {}, ()), prepared.request.folder
    wanted = set(gated_columns(target.baseline, rules))
    columns = {(unit.detector, unit.condition) for unit in plan.units}
    detectors = {detector for detector, _ in columns}
    if not wanted & columns and len(detectors) == len({name for name, _ in wanted}) == 1:
        (only,) = detectors  # one is held against the other
        wanted = {(only, condition) for _, condition in wanted}
    if not wanted & columns:
        raise NothingSelectedError(f"{target.baseline} holds no detector and condition of this run")
    assert prepared.looks is not None
    bounds = np.cumsum([0, *(len(chunk.rows) for chunk in plan.chunks)])
    used = np.unique(np.concatenate([cut.rows for cut in prepared.looks.cuts]))
    compared = np.isin(np.arange(bounds[-1]), used)
    first = [
        float(np.min(prepared.looks.places[start:stop][compared[start:stop]], initial=np.inf))
        for start, stop in itertools.pairwise(bounds)
    ]
    share, number = 0.0, 0
    while (following := next_share(folder, target.baseline, rules)) is not None:
        if following <= share:
            return  # a cell has failed: more images would not help
        share, number = following, number + 1
        end = share if share < 1 else np.inf
        units = {
            chunk.index: [
                unit
                for unit in plan.by_chunk[chunk.index]
                if (unit.detector, unit.condition) in wanted and first[chunk.index] < end
            ]
            for chunk in plan.chunks
        }
        yield f"round {number}, {share:.0%} of the images", units
