"""A gate's result as documents: Markdown, JSON, JUnit XML, and what GitHub shows."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

from bench.errors import OutputError
from bench.results.gate import GateResult
from bench.support.files import write_text
from bench.version import __version__
from leaderboards.render import gate as render
from leaderboards.render.text import escape

NAMES = {"md": "gate.md", "json": "gate.json", "junit": "gate.junit.xml"}
_SAID = {
    "PASS": "no regression found",
    "FAIL": "regression",
    "INCONCLUSIVE": "not enough to tell",
    "INCOMPLETE": "scores are missing",
}


def to_markdown(result: GateResult) -> str:
    """For people: the word, the rules, a table of verdicts, floors, notes."""
    rules = result.rules
    counts = {v: sum(x.decision == v for x in result.verdicts) for v in _SAID}
    lines = [
        f"# Gate: {result.decision} ({_SAID[result.decision]})",
        "",
        f"{escape(result.candidate)} against {escape(result.baseline)}, on {escape(result.dataset)}: "
        + ", ".join(f"{n} {word}" for word, n in counts.items() if n)
        + ".",
        "",
        f"Mode {rules.mode}; metric {rules.metric}, margin {rules.margin:g}, level {rules.level:g} "
        f"(Holm over {sum(not math.isnan(v.p) for v in result.verdicts)} tests); "
        f"threshold {escape(result.policy)}"
        + (" (ORACLE: fitted on the scored images)" if result.policy == "oracle" else "")
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


def to_json(result: GateResult) -> str:
    """For programs; names verbatim, undefined as null."""
    document = {
        "schema_version": 1,
        "bench": __version__,
        "decision": result.decision,
        "exit_code": result.exit_code,
        "candidate": result.candidate,
        "baseline": result.baseline,
        "dataset": result.dataset,
        "threshold_policy": result.policy,
        "rules": result.rules.model_dump(mode="json"),
        "verdicts": [render.verdict_record(v) for v in result.verdicts],
        "floors": [{"metric": m, **render.verdict_record(v)} for m, v in result.floors],
        "notes": list(result.notes),
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def to_junit(result: GateResult) -> str:
    """For CI systems: a test case a gated cell."""
    cases = [(result.rules.metric, v) for v in result.verdicts]
    cases += [(f"{metric} floor", v) for metric, v in result.floors]
    return render.junit(cases, "bench gate")


def write(result: GateResult, folder: Path) -> list[Path]:
    """Write all three documents into a folder."""
    texts = {"md": to_markdown(result), "json": to_json(result), "junit": to_junit(result)}
    for kind, text in texts.items():
        write_text(folder / NAMES[kind], text)
    return [folder / NAMES[kind] for kind in texts]


def github_error(message: str) -> str:
    """The one ``::error`` line of a gate that could not judge at all."""
    return render.github_error("bench gate", message)


def github(result: GateResult) -> list[str]:
    """Append the step summary, where GitHub asks for one, and give the ``::error`` lines to print.

    Raises:
        OutputError: The summary cannot be written.
    """
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if path:
        try:
            used = Path(path).stat().st_size if Path(path).exists() else 0
            with Path(path).open("a", encoding="utf-8") as stream:
                stream.write(render.trimmed(to_markdown(result), render.SUMMARY_BYTES - used))
        except OSError as error:
            raise OutputError(f"cannot write the step summary {path} ({error.strerror})") from error
    if result.exit_code == 0:
        return []
    everything = [*result.verdicts, *(v for _, v in result.floors)]
    blocking = [v for v in everything if v.decision != "PASS"]
    return render.github_errors(blocking)
