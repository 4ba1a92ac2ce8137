"""Ask a GPU everything at once, and keep the answers.

    python -m tests.benchmarks.gpu [--minutes 8] [--out FILE.json] [--keep] [--device cpu] [--only NAME]

Needs torch with CUDA and the project's own dependencies; no network, no data, no file above 5 MB. Every
question has a process and a time of its own, so one that fails or hangs costs only itself. Without CUDA it
says so and exits with 2, unless ``--device cpu`` asks for the same code on little. Exits with 1 where a
question failed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.gpu.ask import put
from tests.benchmarks.gpu.machine import described
from tests.benchmarks.gpu.questions import QUESTIONS
from tests.benchmarks.gpu.setting import Setting
from tests.benchmarks.gpu.table import as_text

# Seconds that a question on a CPU may take at least: a busy machine is no failure.
PATIENCE = 150.0


def main() -> int:
    """Ask, print one table last, and give the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.gpu", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    names = [question.name for question in QUESTIONS]
    parser.add_argument("--minutes", type=float, default=8, help="for all questions together")
    parser.add_argument("--out", type=Path, help="write the answers here, as JSON")
    parser.add_argument(
        "--keep", action="store_true", help="what --out answers for this device stays"
    )
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME")
    options = parser.parse_args()
    record = described(options.device)
    if options.device == "cuda" and record["device"] is None:
        sys.stderr.write("no CUDA device here: use a machine with one, or --device cpu\n")
        return 2
    record |= {"minutes": options.minutes, "questions": kept(record, options.out, options.keep)}
    end = time.perf_counter() + 60 * options.minutes
    waiting = [
        question
        for question in QUESTIONS
        if question.name in options.only and question.name not in record["questions"]
    ]
    while waiting:
        question, *rest = waiting
        # What an earlier question left of its time is shared by those that follow.
        left = max(0.0, end - time.perf_counter())
        seconds = left * question.share / sum(each.share for each in waiting)
        small = options.device == "cpu"
        limit = max(seconds, PATIENCE) if small else seconds
        setting = Setting(options.device, seconds, limit, small)
        sys.stderr.write(f"{question.name}: {question.text}? (at most {limit:.0f} s)\n")
        answer = put(question, setting)
        sys.stderr.write(f"{question.name}: {answer.status} {answer.reason}\n")
        record["questions"][question.name] = {
            "asks": question.text, **vars(answer), "date": record["date"], "commit": record["commit"],
        }  # fmt: skip
        keep(record, options.out)
        waiting = rest
    print(as_text(record))
    statuses = [answer["status"] for answer in record["questions"].values()]
    return int(any(status in ("failed", "timed out") for status in statuses))


def kept(record: dict[str, Any], out: Path | None, wanted: bool) -> dict[str, Any]:
    """Give the answers of an earlier call that were had on such a device; none unless they are wanted."""
    if not wanted or out is None or not out.exists():
        return {}
    before = json.loads(out.read_text())
    if before["device"] != record["device"] or before["releases"] != record["releases"]:
        return {}
    return {name: each for name, each in before["questions"].items() if each["status"] == "ok"}


def keep(record: dict[str, Any], out: Path | None) -> None:
    """Write what there is so far: a machine that is taken away takes no answer with it."""
    if out is not None:
        out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
