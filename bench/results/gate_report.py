"""A gate's result as documents: Markdown, JSON, JUnit XML, and what GitHub shows."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from bench.errors import BenchError, OutputError
from bench.results.gate import GateResult
from bench.support.files import write_text
from bench.version import __version__
from leaderboards.gate import Decision, Verdict
from leaderboards.render import gate as render
from leaderboards.render.opening import caution_lines
from leaderboards.render.text import escape

FILE_NAMES = {
    "md": "gate.md",
    "json": "gate.json",
    "junit": "gate.junit.xml",
    "comment": "gate.comment.md",
}
# Begins a comment, so that the next run finds and replaces it.
MARK = "<!-- bench gate -->"
_MEANINGS: Mapping[Decision, str] = {
    "PASS": "no regression found",
    "FAIL": "regression",
    "INCONCLUSIVE": "not enough to tell",
    "INCOMPLETE": "scores are missing",
}


def to_markdown(result: GateResult) -> str:
    """Render the decision, the rules, a table of verdicts, floors and notes for people."""
    rules = result.rules
    n_tests = sum(not math.isnan(verdict.p) for verdict in result.verdicts)
    lines = [
        f"# Gate: {result.decision} ({_MEANINGS[result.decision]})",
        "",
        *caution_lines(result.cautions),
        f"{escape(result.candidate)} against {escape(result.baseline)}, on {escape(result.dataset)}: "
        + f"{_counted(result.verdicts)}{_floors(result)}.",
        "",
        f"Mode {rules.mode}; metric {rules.metric}, margin {rules.margin:g}, level {rules.level:g} "
        f"(Holm over {n_tests} tests); "
        f"threshold {escape(result.threshold_policy)}"
        + (" (ORACLE: fitted on the scored images)" if result.threshold_policy == "oracle" else "")
        + ".",
        "",
        *render.verdict_table(result.verdicts, rules.metric),
    ]
    if result.floors:
        lines += ["## Floors", "", *render.floor_table(result.floors)]
    if result.notes:
        lines += ["## Notes", "", *(f"- {escape(note)}" for note in result.notes), ""]
    lines += [
        "FAIL: dropped beyond the margin, significant after Holm. PASS: a drop beyond the margin is ruled "
        "out (one-sided lower bound). INCONCLUSIVE: neither; the number of images that would decide is "
        "given. Pairs are images scored by both.",
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def _counted(verdicts: Iterable[Verdict]) -> str:
    counts = Counter(verdict.decision for verdict in verdicts)
    return ", ".join(f"{counts[word]} {word}" for word in _MEANINGS if counts[word])


def _floors(result: GateResult) -> str:
    """Count the verdicts on floors, where there are any."""
    counted = _counted(floor.verdict for floor in result.floors)
    return f"; floors: {counted}" if counted else ""


def to_comment(result: GateResult) -> str:
    """Render what a pull request should say: the decision, what does not pass, and where the rest is.

    GitHub takes no comment of more than 65,536 characters: at most thirty cells are named.
    """
    shown, n_more = render.comment_rows(result.verdicts)
    failing = [floor for floor in result.floors if floor.verdict.decision != "PASS"]
    lines = [
        MARK,
        f"### bench gate: {result.decision} ({_MEANINGS[result.decision]})",
        "",
        f"{escape(result.candidate)} against {escape(result.baseline)}, on {escape(result.dataset)}: "
        f"{_counted(result.verdicts)}{_floors(result)}. Metric {result.rules.metric}, margin "
        f"{result.rules.margin:g}.",
        "",
        *caution_lines(result.cautions),
    ]
    if shown:
        lines += render.verdict_table(shown, result.rules.metric)
        lines += [f"{n_more} more cells stand in the report.", ""] if n_more else []
    if failing:
        lines += ["Floors that are not met:", "", *render.floor_table(failing[:30])]
    return render.trimmed("\n".join(lines).rstrip("\n") + "\n", render.COMMENT_BYTES)


def to_json(result: GateResult) -> str:
    """Render the result for programs; names verbatim, undefined numbers as null."""
    document = {
        "schema_version": 1,
        "bench": __version__,
        "decision": result.decision,
        "exit_code": result.exit_code,
        "candidate": result.candidate,
        "baseline": result.baseline,
        "dataset": result.dataset,
        "threshold_policy": result.threshold_policy,
        "warnings": [dataclasses.asdict(caution) for caution in result.cautions],
        "rules": result.rules.model_dump(mode="json"),
        "verdicts": [render.verdict_record(v) for v in result.verdicts],
        "floors": [
            {"metric": floor.metric, **render.verdict_record(floor.verdict)}
            for floor in result.floors
        ],
        "notes": list(result.notes),
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def to_junit(result: GateResult) -> str:
    """Render the result as JUnit XML, a test case a gated cell, for CI systems."""
    cases = [(result.rules.metric, verdict) for verdict in result.verdicts]
    cases += [(f"{floor.metric} floor", floor.verdict) for floor in result.floors]
    return render.junit(cases, "bench gate")


def write(result: GateResult, folder: Path) -> list[Path]:
    """Write all documents into a folder."""
    texts = {
        "md": to_markdown(result),
        "json": to_json(result),
        "junit": to_junit(result),
        "comment": to_comment(result),
    }
    return _write(texts, folder)


def refusal(error: BenchError) -> dict[str, str]:
    """Render the documents of a gate that could not judge: no baseline, other data, a wrong rule."""
    message = str(error)
    line = f"No verdict: {escape(message)}"
    document = {
        "schema_version": 1,
        "bench": __version__,
        "decision": "ERROR",
        "exit_code": error.exit_code,
        "reason": message,
    }
    return {
        "md": f"# Gate: ERROR (nothing was judged)\n\n{line}\n",
        "json": json.dumps(document, indent=2) + "\n",
        "junit": render.junit_of_error("bench gate", message),
        "comment": f"{MARK}\n### bench gate: ERROR (nothing was judged)\n\n{line[:60_000]}\n",
    }


def write_refusal(error: BenchError, folder: Path) -> list[Path]:
    """Write all documents of a gate that could not judge into a folder."""
    return _write(refusal(error), folder)


def _write(texts: Mapping[str, str], folder: Path) -> list[Path]:
    for kind, text in texts.items():
        write_text(folder / FILE_NAMES[kind], text)
    return [folder / FILE_NAMES[kind] for kind in texts]


def write_step_summary(markdown: str) -> None:
    """Append Markdown to GitHub's step summary, where there is one; cut to what GitHub accepts.

    Raises:
        OutputError: The summary cannot be written.
    """
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    try:
        used = Path(path).stat().st_size if Path(path).exists() else 0
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(render.trimmed(markdown, render.SUMMARY_BYTES - used))
    except OSError as error:
        raise OutputError(f"cannot write the step summary {path} ({error.strerror})") from error


def github_errors(result: GateResult) -> list[str]:
    """Render ``::error`` lines for what does not pass; none where the gate as a whole passes."""
    if result.exit_code == 0:
        return []
    verdicts = [*result.verdicts, *(floor.verdict for floor in result.floors)]
    return render.github_errors([v for v in verdicts if v.decision != "PASS"])


def github_error(message: str) -> str:
    """Render the one ``::error`` line of a gate that could not judge at all."""
    return render.github_error("bench gate", message)
