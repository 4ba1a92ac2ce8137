"""Generators named to break a format: every output still parses, holds each name, and steers nothing."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

from PIL import Image

from tests.conftest import TOY
from tests.faults.child import Kind, command
from tests.faults.kinds.common import SUITE, pixels
from tests.faults.outcome import Seen

HOSTILE = (
    'a|b', '|', '||', 'a\\|b', '`x`', '**b**', '[a](http://x)', '![x](y)', '<b>', '</td></tr>',
    '</script>', '<script>alert(1)</script>', '<img src=x onerror=alert(1)>', '&lt;', '&amp;',
    '&#x3c;', '"', "'", '""', 'a,b', 'a;b', '=1+1', '=cmd()', '+1', '-1', '@x', '\t=1', "'=1",
    '%s', '%d{}', '{x}', '{{x}}', '{% x %}', '$x$', '\\', '\\n', '50%&_#', '~^',
    '\\input{/etc/passwd}', '\\end{tabular}', '$(touch ran)', '`touch ran`', '../../x', '/etc/x',
    'C:\\x', 'con', '.hidden', '::error::x', '##[error]x', '::set-output name=a::b',
    '\x1b[31mred', '\x1b]0;title\x07', '\x9b31m', '\u202egnp', '\u200bx', 'a\nb', 'a\r\nb',
    'a\u2028b', 'a\x00b', "x" * 300, '---', 'null', 'NaN', ']]>', '<!--', '<![CDATA[x]]>',
    '# head', '1. x', '\u0130', 'e\u0301', '\U0001f600', '[/red]',
)  # fmt: skip
OUTPUTS: dict[str, tuple[object, ...]] = {
    "board.md": ("board", "run"),
    "board.csv": ("board", "run", "--format", "csv"),
    "board.json": ("board", "run", "--format", "json"),
    "export.tex": ("export", "run", "--format", "latex"),
    "card.md": ("export", "run", "--format", "hf"),
    "compare.md": ("compare", "run", "run"),
    "compare.csv": ("compare", "run", "run", "--format", "csv"),
    "gate.md": ("gate", "run", "-b", "base"),
    "gate.json": ("gate", "run", "-b", "base", "--json"),
    "gate.xml": ("gate", "run", "-b", "base", "--format", "junit"),
    "scores.csv": ("scores", "export", "run", "--out", "scores.out"),
    "verify.json": ("verify", "run", "--json"),
    "report.txt": ("report", "run", "--out", "report.html"),
}


def _prepare(base: Path) -> None:
    """One run whose generators have all the names, and every output of it."""
    import os

    root = base / "images"
    root.mkdir()
    rows = []
    for i in range(4):
        Image.fromarray(pixels(2 * i)).save(root / f"real{i}.png")
        rows.append({"path": f"real{i}.png", "label": "real", "generator": ""})
    for i, name in enumerate(HOSTILE):
        for copy in range(2):
            path = f"{i}-{copy}.png"
            Image.fromarray(pixels(2 * (10 * i + copy) + 1)).save(root / path)
            rows.append({"path": path, "label": "fake", "generator": name})
    (root / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (base / "toy.py").write_text(TOY)
    (base / "suite.toml").write_text(re.sub(r"conditions.*", 'conditions = ["clean"]', SUITE))
    os.chdir(base)
    said: dict[str, str] = {}
    for name, arguments in {
        "run.txt": ("run", "-q", "-d", f"{base}/toy.py:Toy", "--suite", base / "suite.toml",
                    "--data", root / "t.jsonl", "--out", "run"),
        "index.txt": ("data", "index", root / "t.jsonl"),
        "base.txt": ("baseline", "update", "run", "--to", "base", "--reason", "x"),
        **OUTPUTS,
    }.items():  # fmt: skip
        seen, out = command(*arguments)
        (base / name).write_text(out, newline="")
        said[name] = json.dumps([seen.code, seen.said])
    (base / "said.json").write_text(json.dumps(said))


def _check(base: Path, place: Path, case: str) -> Seen:
    """Find one name in every output that holds names, spelt so that a reader gets it back."""
    name = HOSTILE[int(case.partition(":")[0])]
    codes = {k: json.loads(v) for k, v in json.loads((base / "said.json").read_text()).items()}
    for output, (code, said) in codes.items():
        if code not in (0, 11, 12):
            return Seen(code, said or f"{output} was not made")
        if bad := steering(said) or (
            steering((base / output).read_text()) and output.endswith("txt")
        ):
            return Seen(0, wrong=f"{output}: {bad!r} goes to the terminal")
    if list(base.rglob("ran")):
        return Seen(0, wrong="a name was run")
    wrong = [f"{o}: {why}" for o, reads in READERS.items() if (why := reads(base / o, name))]
    return Seen(0, wrong="; ".join(wrong))


def steering(text: str) -> list[str]:
    """Lines that a CI system takes for commands, and characters that a terminal acts on."""
    lines = [li for li in text.split("\n") if li.lstrip().startswith("::") or "##[" in li]
    return lines + [c for c in text if not c.isprintable() and c not in "\n"]


def _in_csv(path: Path, name: str) -> str:
    # As bytes: Python's text files would read a carriage return in a name as the end of a line.
    rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode(), newline="")))
    widths = {len(row) for row in rows}
    given = {row["generator"] for row in rows}
    plain = {re.sub(r"^'(?='*[=+\-@\t\r\n])", "", value) for value in given}
    if len(widths) != 1 or any(None in row for row in rows):
        return "rows of several widths"
    # Most readers of CSV end a file at a zero byte: it is spelt out.
    spelt = _stored(name).replace("\0", "\\x00")
    return "" if spelt in plain | given else "the name does not come back"


def _stored(name: str) -> str:
    """The name as a manifest has it: without spaces around it."""
    return name.strip()


def _in_json(key: str) -> Callable[[Path, str], str]:
    def reads(path: Path, name: str) -> str:
        found = {row["generator"] for row in json.loads(path.read_text())[key]}
        return "" if _stored(name) in found else "the name does not come back"

    return reads


def _in_xml(path: Path, name: str) -> str:
    del name
    cases = ET.parse(path).getroot().findall(".//testcase")
    return "" if len(cases) > len(HOSTILE) else f"{len(cases)} cases"


class _Page(HTMLParser):
    """Collects what a browser would run or fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for key, value in attributes:
            if key.startswith("on") or (key == "src" and not (value or "").startswith("data:")):
                self.found.append(f"{tag} {key}={value}")


def _in_html(path: Path, name: str) -> str:
    page = _Page()
    text = path.read_text()
    page.feed(text)
    if page.found:
        return f"it runs or fetches {page.found[0]}"
    return f"{name!r} stands raw in it" if name.startswith("<script") and name in text else ""


def _in_markdown(path: Path, name: str) -> str:
    del name
    from markdown_it import MarkdownIt

    text = path.read_text()
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    page = _Page()
    page.feed(html)
    if page.found or "<script" in html.lower():
        return "a name is read as HTML"
    for table in re.findall(r"<table>.*?</table>", html, re.DOTALL):
        rows = re.findall(r"<tr>.*?</tr>", table, re.DOTALL)
        if len({len(re.findall(r"<t[dh]", row)) for row in rows}) > 1:
            return "rows of several widths"
    return ""


READERS: dict[str, Callable[[Path, str], str]] = {
    "board.csv": _in_csv,
    "compare.csv": _in_csv,
    "board.json": _in_json("cells"),
    "gate.json": _in_json("verdicts"),
    "gate.xml": _in_xml,
    "board.md": _in_markdown,
    "compare.md": _in_markdown,
    "gate.md": _in_markdown,
    "report.html": _in_html,
}
NAMES = Kind(
    "hostile names",
    tuple(f"{i}: {name.encode('unicode_escape').decode()[:40]}" for i, name in enumerate(HOSTILE)),
    _check,
    _prepare,
    few=len(HOSTILE),
)
