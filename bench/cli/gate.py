"""``bench gate``: has a detector become worse? For CI."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from bench.cli import options
from bench.cli.effect import choose_format
from bench.cli.examples import examples
from bench.cli.output import put, say, say_command
from bench.cli.values import check_choice
from bench.errors import BenchError

EXAMPLES = examples(
    "bench gate runs/candidate --baseline baseline/baseline.json --min auc=0.8",
    "bench gate runs/candidate -b baseline/baseline.json --sequential --margin 0.02",
    "bench gate runs/candidate -b baseline/baseline.json --rules gate.toml --out gate -f junit",
)

Candidate = Annotated[Path, typer.Argument(help="The --out folder of the run to judge.")]
Baseline = Annotated[
    Path,
    typer.Option(
        "--baseline", "-b", envvar="BENCH_BASELINE", help="A run's folder, or a baseline.json."
    ),
]
Rules = Annotated[
    Path | None,
    typer.Option(
        envvar="BENCH_GATE_RULES",
        help="TOML file of rules; gate.toml of the working folder where there is one.",
    ),
]
Mode = Annotated[
    str | None,
    typer.Option(
        help="regression (block on FAIL; the default) or non-inferior (every cell must PASS)."
    ),
]
Metric = Annotated[str | None, typer.Option(help="Metric to test; auc by default.")]
Margin = Annotated[
    float | None, typer.Option(help="A drop up to this is no regression; 0.01 by default.")
]
Minimum = Annotated[
    list[str],
    typer.Option("--min", help="Floor for the lower bound: METRIC[@CONDITION]=VALUE. Repeatable."),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        help="Folder for gate.md, .json, .junit.xml and .comment.md, also where nothing can be judged.",
    ),
]
Sequential = Annotated[
    bool,
    typer.Option(
        "--sequential",
        help="Look at growing shares of the images until FAIL, PASS or the end, and say how much that saves; "
        "for runs with --until gate=BASELINE, and any other.",
    ),
]
Format = Annotated[str, typer.Option("--format", "-f", help="What to print: md, json or junit.")]


def command(
    context: typer.Context,
    *,
    candidate: Candidate,
    baseline: Baseline,
    rules: Rules = None,
    mode: Mode = None,
    metric: Metric = None,
    margin: Margin = None,
    minimum: Minimum = [],
    sequential: Sequential = False,
    out: Out = None,
    form: Format = "md",
    as_json: options.FormatJson = False,
) -> None:
    """Hold a run against a baseline, image by image; exit 0, 10, 11 or 12.

    0: no regression. 10: a cell dropped beyond the margin, significantly, or lies under its floor. 11: not
    enough to tell, or no baseline. 12: scores are missing, or a run is limited. Never 1.
    """
    form = choose_format(context, form, as_json=as_json)
    check_choice("--format", form, ("md", "json", "junit"))
    from bench.results import gate as gating
    from bench.results import gate_report
    from bench.results.sequential.gate import cost_sentence, gate_in_looks

    overrides = {"mode": mode, "metric": metric, "margin": margin}
    github = os.environ.get("GITHUB_ACTIONS") == "true"
    try:
        chosen = gating.load_rules(rules, overrides, minimum)
        if sequential:
            result, ruling = gate_in_looks(candidate, baseline, chosen)
            say(cost_sentence(ruling))
        else:
            result = gating.gate(candidate, baseline, chosen)
    except BenchError as error:
        if out is not None:
            gate_report.write_refusal(error, out)
        if github:
            gate_report.write_step_summary(gate_report.refusal(error)["md"])
            say_command(gate_report.github_error(str(error)))
        raise
    for caution in result.cautions:
        say(caution.sentence)
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
        gate_report.write_step_summary(gate_report.to_markdown(result))
        for line in gate_report.github_errors(result):
            say_command(line)
    say(f"gate: {result.decision}")
    raise typer.Exit(result.exit_code)
