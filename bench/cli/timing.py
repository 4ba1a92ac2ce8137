"""Tables of times: what a run spent (``--profile``), and what it would take (``--dry-run``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.cli.output import table

if TYPE_CHECKING:
    from bench.inference.profiling import Profile
    from bench.runs.estimate import Estimate
    from bench.scoring.engine import Counts


def counts_line(counts: Counts, seconds: float) -> str:
    """Say in one line what a run decoded and scored, and how fast."""
    work = f"{counts.decoded} images decoded, {counts.scored} scored in this run"
    if not counts.scored:
        return work
    return f"{work}, in {seconds:.1f} s: {counts.scored / seconds:.4g} a second"


def profile_table(profile: Profile) -> str:
    """Lay out the stages of a run with their seconds and their share of the whole."""
    whole = profile.whole or 1.0
    stages = [*profile.stages.items(), ("other", profile.other), ("whole", profile.whole)]
    forward = "n/a" if profile.forward_share is None else f"{profile.forward_share:.1%}"
    cells = [
        *((stage, f"{seconds:.2f}", f"{seconds / whole:.1%}") for stage, seconds in stages),
        ("pure forward", "", forward),
        (f"on the clock, {profile.cores} threads", f"{profile.wall:.2f}", ""),
    ]
    head = ("stage", f"{profile.unit} seconds", "share")
    return table([dict(zip(head, row, strict=True)) for row in cells])


def profile_json(profile: Profile) -> dict[str, Any]:
    """Give a profile as plain values for JSON."""
    import dataclasses

    return {**dataclasses.asdict(profile), "forward_share": profile.forward_share}


def estimate_table(plan: Estimate) -> str:
    """Lay out what a run would do and about how long it would take."""
    return table([{"what": name, "value": value} for name, value in _estimate_lines(plan)])


def _estimate_lines(plan: Estimate) -> list[tuple[str, str]]:
    limited = f" of {plan.available} (limited)" if plan.images < plan.available else ""
    source = ", as given" if plan.given else f", measured on {plan.device}, {plan.threads} threads"
    clock_hours = plan.seconds and plan.seconds / 3600
    return [
        ("dataset", plan.dataset),
        ("images", f"{plan.images}{limited}"),
        ("detector x condition pairs", str(plan.cells)),
        ("units of work", f"{plan.units}, {plan.stored} stored already"),
        *_until_line(plan),
        ("images to decode", str(plan.decodes)),
        ("forward passes", str(plan.forwards)),
        ("gradients", f"{plan.gradients} (each takes about three forward passes)"),
        *_checks_line(plan),
        *(
            (f"rate: {name}", f"{rate:.4g} forward passes a second{source}")
            for name, rate in plan.rates.items()
        ),
        ("networks", _about(plan.device_hours, f"hours on {plan.device}")),
        ("images", _about(plan.cpu_hours, "CPU-hours to decode, corrupt and fit")),
        ("estimate", _about(clock_hours, f"h here, {plan.threads} threads")),
        *((f"missing: {name}", reason) for name, reason in plan.missing_weights.items()),
    ]


def _checks_line(plan: Estimate) -> list[tuple[str, str]]:
    """Say what a run with attacks computes beside: the same for few images as for many."""
    if not plan.gradients:
        return []
    return [
        (
            "beside these",
            "checks of the attacks, on at most eight images a chunk of 256: not counted",
        )
    ]


def _until_line(plan: Estimate) -> list[tuple[str, str]]:
    """Say what is expected of a run that stops at a target."""
    if not plan.until:
        return []
    supposed = "" if plan.until.startswith("gate=") else ", were the metric 0.9 everywhere"
    return [(f"until {plan.until}", f"about {plan.expected} of {plan.units} units{supposed}")]


def _about(hours: float | None, unit: str) -> str:
    return "n/a" if hours is None else f"about {hours:.3g} {unit}"
