"""``bench gate``: has a detector become worse? For CI."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from bench.cli.output import put, say
from bench.errors import BenchError

EXAMPLE = "Example: bench gate runs/candidate --baseline baseline/baseline.json --min auc=0.8"


def command(
    candidate: Path = typer.Argument(..., help="The --out folder of the run to judge."),
    baseline: Path = typer.Option(
        ..., "--baseline", "-b", envvar="BENCH_BASELINE", help="A run's folder, or a baseline.json."
    ),
    rules: Path | None = typer.Option(
        None,
        envvar="BENCH_GATE_RULES",
        help="TOML file of rules; gate.toml of the working folder where there is one.",
    ),
    mode: str | None = typer.Option(
        None, help="regression (block on FAIL; the default) or non-inferior (every cell must PASS)."
    ),
    metric: str | None = typer.Option(None, help="Metric to test; auc by default."),
    margin: float | None = typer.Option(
        None, help="A drop up to this is no regression; 0.01 by default."
    ),
    minimum: list[str] = typer.Option(
        [], "--min", help="Floor for the lower bound: METRIC[@CONDITION]=VALUE. Repeatable."
    ),
    out: Path | None = typer.Option(
        None, "--out", "-o", help="Folder for gate.md, gate.json and gate.junit.xml."
    ),
    form: str = typer.Option("md", "--format", "-f", help="What to print: md, json or junit."),
    as_json: bool = typer.Option(False, "--json", help="The same as --format json."),
) -> None:
    """Hold a run against a baseline, image by image; exit 0, 10, 11 or 12.

    0: no regression. 10: a cell dropped beyond the margin, significantly, or lies under its floor. 11: not
    enough to tell, or no baseline. 12: scores are missing, or a run is limited. Never 1.
    """
    form = "json" if as_json else form
    if form not in ("md", "json", "junit"):
        raise BenchError(f"--format {form}: choose md, json or junit")
    from bench.results import gate as gating
    from bench.results import gate_report

    given = {"mode": mode, "metric": metric, "margin": margin}
    github = os.environ.get("GITHUB_ACTIONS") == "true"
    try:
        result = gating.gate(candidate, baseline, gating.load_rules(rules, given, minimum))
    except BenchError as error:
        if github:
            say(gate_report.github_error(str(error)))
        raise
    render = {
        "md": gate_report.to_markdown,
        "json": gate_report.to_json,
        "junit": gate_report.to_junit,
    }
    put(render[form](result))
    if out is not None:
        for path in gate_report.write(result, out):
            say(f"written: {path}")
    if github:
        gate_report.write_step_summary(result)
        for line in gate_report.github_errors(result):
            say(line)
    say(f"gate: {result.decision}")
    raise typer.Exit(result.exit_code)
