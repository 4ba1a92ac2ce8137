"""Edits of a run's folder: the board is the same, or is refused; the same command heals it."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.faults.child import Kind, command
from tests.faults.kinds.common import board_of, copied, finished, held, run
from tests.faults.outcome import Seen

Edit = Callable[[Path], object]


def _json(name: str, **changes: object) -> Edit:
    def edit(folder: Path) -> None:
        document = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**document, **changes}))

    return edit


def _write(name: str, content: bytes) -> Edit:
    return lambda folder: (folder / name).write_bytes(content)


def _cut(name: str, share: float) -> Edit:
    def edit(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * share)])

    return edit


def _replaced(name: str, make: Callable[[Path], object]) -> Edit:
    def edit(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return edit


def _shards(folder: Path) -> list[Path]:
    return sorted((folder / "store").rglob("*.parquet"))


def _swap(folder: Path) -> None:
    first, second, *_ = _shards(folder)
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)


def _logits(change: Callable[[float], float]) -> Edit:
    def edit(folder: Path) -> None:
        path = _shards(folder)[0]
        table = pq.read_table(path)
        values = pa.array([change(v) for v in table["logit"].to_pylist()], pa.float32())
        pq.write_table(table.set_column(1, "logit", values), path)

    return edit


def _table(name: str, change: Callable[[pa.Table], pa.Table]) -> Edit:
    return lambda folder: pq.write_table(change(pq.read_table(folder / name)), folder / name)


def _no_store(folder: Path) -> None:
    shutil.rmtree(folder / "store")


SIZE = 60 << 30
EDITS: dict[str, Edit] = {
    "run.json: no JSON": _write("run.json", b"{"),
    "run.json: empty": _write("run.json", b""),
    "run.json: zeros": _write("run.json", bytes(4096)),
    "run.json: deep": _write("run.json", b"[" * 200_000),
    "run.json: deep object": _write("run.json", b'{"a":' * 200_000),
    "run.json: a number": _write("run.json", b"7"),
    "run.json: long number": _write("run.json", b'{"schema_version": 1' + b"0" * 9000 + b"}"),
    "run.json: NaN": _write("run.json", b'{"schema_version": NaN}'),
    "run.json: surrogate": _write("run.json", b'{"schema_version": 1, "dataset": "\\ud800"}'),
    "run.json: another seed": _json("run.json", seed=3),
    "run.json: another limit": _json("run.json", limit=2),
    "run.json: another store": _json("run.json", store="/"),
    "run.json: another version": _json("run.json", schema_version=99),
    "run.json: half": _cut("run.json", 0.5),
    "run.json: a folder": _replaced("run.json", Path.mkdir),
    "run.json: a pipe": _replaced("run.json", os.mkfifo),
    "run.json: a link to itself": _replaced("run.json", lambda p: p.symlink_to(p)),
    "run.json: a device": _replaced("run.json", lambda p: p.symlink_to("/dev/zero")),
    "run.json: gone": lambda folder: (folder / "run.json").unlink(),
    "manifest: half": _cut("manifest.parquet", 0.5),
    "manifest: empty": _write("manifest.parquet", b""),
    "manifest: another order": _table("manifest.parquet", lambda t: t.take([*range(len(t))][::-1])),
    "manifest: a row less": _table("manifest.parquet", lambda t: t.slice(1)),
    "manifest: other labels": _table(
        "manifest.parquet",
        lambda t: t.set_column(
            t.schema.get_field_index("label"), "label",
            pa.array([1 - v for v in t["label"].to_pylist()], t.schema.field("label").type),
        ),
    ),
    "manifest: gone": lambda folder: (folder / "manifest.parquet").unlink(),
    "manifest: a pipe": _replaced("manifest.parquet", os.mkfifo),
    "manifest: 60 GB of nothing": _replaced(
        "manifest.parquet", lambda p: (p.touch(), os.truncate(p, SIZE))
    ),
    "units: half": _cut("units.parquet", 0.5),
    "units: swapped": _table("units.parquet", lambda t: t.take([*range(len(t))][::-1])),
    "units: none": _table("units.parquet", lambda t: t.slice(0, 0)),
    "units: a device": _replaced("units.parquet", lambda p: p.symlink_to("/dev/zero")),
    "failures: a number": _write("failures.json", b"7"),
    "failures: somebody else's": _write(
        "failures.json", b'[{"detector":"x","condition":"y","status":"failed","reason":"z"}]'
    ),
    "failures: gone": lambda folder: (folder / "failures.json").unlink(),
    "shards: swapped": _swap,
    "shards: signs": _logits(lambda v: -v),
    "shards: not a number": _logits(lambda v: float("nan")),
    "shards: cut": lambda folder: _cut(str(_shards(folder)[0].relative_to(folder)), 0.7)(folder),
    "shards: a pipe": lambda folder: (
        path := _shards(folder)[0], path.unlink(), os.mkfifo(path)
    ),
    "shards: all gone": _no_store,
}  # fmt: skip


def _other_numbers(shown: str, expected: str, said: str) -> str:
    """Say what is wrong with a board; a cell without scores is absent, with its reason, and told of."""
    before = {_cell(row): row for row in csv.DictReader(io.StringIO(expected, newline=""))}
    for row in csv.DictReader(io.StringIO(shown, newline="")):
        if row == before.get(_cell(row)):
            continue
        if row["status"] != "incomplete":
            return "the board shows other numbers"
        if row["auc"] != "n/a" or row["accuracy"] != "n/a" or not row["reason"]:
            return "a cell without scores has a number, or no reason"
        if "no result" not in said:
            return "nothing tells of cells without scores"
    return ""


def _cell(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(row[key] for key in ("detector", "generator", "condition"))


def _edit(base: Path, place: Path, case: str) -> Seen:
    folder, expected = copied(base, place), board_of(base / "run")
    EDITS[case](folder)
    seen, out = command("board", folder, "--format", "csv")
    if wrong := _other_numbers(out, expected.decode(), seen.said):
        return Seen(0, seen.said, wrong=wrong)
    if seen.code not in (0, 2, 12):
        return seen
    verified, _ = command("verify", folder)
    if verified.code == 0 and seen.code != 0:
        return Seen(0, verified.said, wrong="verify says same of what the board refuses")
    if verified.code not in (0, 2, 11, 13):
        return verified
    healed = held(run(base, folder), folder, expected)
    return healed if healed.code or healed.wrong or healed.lost else seen


FOLDERS = Kind("run-folder edits", tuple(EDITS), _edit, finished, few=5)
