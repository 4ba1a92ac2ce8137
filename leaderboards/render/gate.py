"""The gate's verdicts for people and machines: Markdown, JSON rows, JUnit XML, GitHub's commands."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree as ET

from leaderboards.gate import Verdict
from leaderboards.render.text import UNDEFINED, escape, rate, table, visible
from leaderboards.statistics.paired_cells import MACRO
from leaderboards.tables.slicing import POOLED

MAX_ERRORS = 10
SUMMARY_BYTES = 1_000_000
# GitHub takes 65,536 characters; so many bytes are never more characters.
COMMENT_BYTES = 65_000
_COMMENT_ROWS = 30
_TRIMMED = "\n\n**Trimmed to fit; the whole report is in the run's output.**\n"
_ORDER = ("FAIL", "INCOMPLETE", "INCONCLUSIVE", "PASS")
# Characters no XML 1.0 document may hold, escaped or not.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def cell_name(name: tuple[str, str, str, str]) -> str:
    """Name a cell in words: detector, slice, condition."""
    detector, generator, domain, condition = name
    parts = [detector, generator, *([domain] if domain not in ("", POOLED) else [])]
    return " / ".join(parts) + (f" under {condition}" if condition else "")


def verdict_table(verdicts: Sequence[Verdict], metric: str) -> list[str]:
    """Write verdicts as a Markdown table, the worst first."""
    ordered = sorted(verdicts, key=lambda v: _ORDER.index(v.decision))
    header = ["Verdict", "Detector", "Slice", "Condition", f"{metric} then", "Now",
              "Change [95% interval]", "Adjusted p", "Real", "Fake", "Why"]  # fmt: skip
    body = []
    for v in ordered:
        detector, generator, domain, condition = v.name
        cut = generator if domain in ("", POOLED) else f"{generator} / {domain}"
        body.append(
            [
                v.decision, escape(detector), escape(cut), escape(condition or "all gated"),
                rate(v.baseline), rate(v.candidate), _change(v), _p(v.p_adjusted),
                str(v.n_real), str(v.n_fake), escape(v.reason),
            ]
        )  # fmt: skip
    return table(header, body, left=4)


def comment_rows(verdicts: Sequence[Verdict]) -> tuple[list[Verdict], int]:
    """Choose what a comment shows: what does not pass, the worst first; and count what it leaves out."""
    ordered = sorted(verdicts, key=lambda v: _ORDER.index(v.decision))
    shown = [v for v in ordered if v.decision != "PASS"][:_COMMENT_ROWS]
    return shown, len(ordered) - len(shown)


def floor_table(floors: Sequence[tuple[str, Verdict]]) -> list[str]:
    """Write absolute floors as a Markdown table."""
    body = [
        [
            v.decision,
            metric,
            escape(cell_name(v.name)),
            rate(v.candidate),
            rate(v.lower),
            escape(v.reason),
        ]
        for metric, v in floors
    ]
    return table(["Verdict", "Metric", "Cell", "Value", "Lower bound", "Why"], body, left=3)


def _change(v: Verdict) -> str:
    if math.isnan(v.change):
        return UNDEFINED
    return f"{v.change:+.4f} [{v.lo:+.4f}, {v.hi:+.4f}]"


def _p(p: float) -> str:
    return UNDEFINED if math.isnan(p) else f"{p:.2g}"


def verdict_record(v: Verdict) -> dict[str, Any]:
    """Turn a verdict into a record for JSON: names verbatim, undefined as None."""
    detector, generator, domain, condition = v.name
    numbers = ("baseline", "candidate", "change", "lo", "hi", "lower", "p", "p_adjusted")
    return {
        "detector": detector, "generator": generator, "domain": domain, "condition": condition,
        "macro": generator == MACRO, "verdict": v.decision, "reason": v.reason,
        "n_real": v.n_real, "n_fake": v.n_fake, "needed": v.needed, "blind": v.blind,
        **{name: None if math.isnan(getattr(v, name)) else getattr(v, name) for name in numbers},
    }  # fmt: skip


def junit(verdicts: Sequence[tuple[str, Verdict]], name: str) -> str:
    """Write JUnit XML, a test case a verdict; whatever does not pass in its own right is marked.

    Args:
        verdicts: Name of the metric and verdict of each.
        name: Name of the test suite.
    """
    counts = {word: sum(v.decision == word for _, v in verdicts) for word in _ORDER}
    # Shown as a failure, an error, a skipped test: the three that every reader of JUnit knows.
    suite = ET.Element(
        "testsuite",
        name=_xml(name), tests=str(len(verdicts)), failures=str(counts["FAIL"]),
        errors=str(counts["INCOMPLETE"]), skipped=str(counts["INCONCLUSIVE"]),
    )  # fmt: skip
    kinds = {"FAIL": "failure", "INCOMPLETE": "error", "INCONCLUSIVE": "skipped"}
    for metric, v in verdicts:
        case = ET.SubElement(
            suite, "testcase", classname=_xml(f"gate.{v.name[0]}"),
            name=_xml(f"{metric}: {cell_name(v.name)}"),
        )  # fmt: skip
        if v.decision in kinds:
            mark = ET.SubElement(case, kinds[v.decision], message=_xml(f"{v.decision}: {v.reason}"))
            mark.text = _xml(_change(v))
    return _document(suite)


def junit_of_error(name: str, message: str) -> str:
    """Write JUnit XML of a gate that could not judge: one test case, with an error."""
    suite = ET.Element(
        "testsuite", name=_xml(name), tests="1", failures="0", errors="1", skipped="0"
    )
    case = ET.SubElement(suite, "testcase", classname="gate", name="comparison")
    ET.SubElement(case, "error", message=_xml(message))
    return _document(suite)


def _document(suite: ET.Element) -> str:
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _xml(text: str) -> str:
    return _NO_XML.sub("\ufffd", visible(text))


def github_errors(verdicts: Sequence[Verdict]) -> list[str]:
    """Write at most ten ``::error`` lines, the worst first; the last says how many more there are."""
    blocking = [v for word in _ORDER if word != "PASS" for v in verdicts if v.decision == word]
    shown = blocking if len(blocking) <= MAX_ERRORS else blocking[: MAX_ERRORS - 1]
    lines = [
        github_error(f"bench gate: {v.decision}", f"{cell_name(v.name)}: {v.reason}") for v in shown
    ]
    if len(shown) < len(blocking):
        n_more = len(blocking) - len(shown)
        lines.append(github_error("bench gate", f"{n_more} more cells do not pass"))
    return lines


def github_error(title: str, message: str) -> str:
    """Write one ``::error`` line, whatever the texts hold."""
    return f"::error title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    # What GitHub's own toolkit escapes; visible() leaves no line break and no terminal sequence.
    return visible(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def trimmed(markdown: str, limit: int = SUMMARY_BYTES) -> str:
    """Cut Markdown at a line so that its UTF-8 stays under a limit in bytes, and say so."""
    if len(markdown.encode()) <= limit:
        return markdown
    room = limit - len(_TRIMMED.encode())
    if room <= 0:
        return ""
    kept = markdown.encode()[:room].decode(errors="ignore")
    return kept[: kept.rfind("\n") + 1].rstrip("\n") + _TRIMMED
