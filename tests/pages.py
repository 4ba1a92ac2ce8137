"""Command blocks of the pages: which of them run on the embedded data, and running them.

A block runs as it stands, or says in its first line why it cannot (``# Needs CUDA.``), or names data that are
not here (``/data/...``). ``python -m tests.pages`` runs all that run, each page in a folder of its own.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Made by other means: from the commands' own --help, whose examples name files of a user's.
GENERATED = ("docs/cli.md",)
TUTORIALS = (
    "docs/tutorials/researcher.md",
    "docs/tutorials/engineer.md",
    "docs/tutorials/trust-and-safety.md",
)
# .ci/run pastes the README's two commands; what the gate's page shows, tests of the gate and the action run.
TESTED_ELSEWHERE = ("README.md", "docs/gate.md")
_BLOCK = re.compile(r"^```(?:sh|console|bash|shell)\b[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ENDS = re.compile(r"# Ends with (\d+)")


@dataclass(frozen=True, slots=True)
class Block:
    """One block of commands.

    Attributes:
        page: Its page, relative to the repository.
        line: Line of the page at which it begins.
        text: The commands.
    """

    page: str
    line: int
    text: str

    @property
    def reason(self) -> str:
        """Why it does not run here, as a reader sees it; "" where it runs."""
        first = self.text.partition("\n")[0]
        if first.startswith("# Needs "):
            return first.removeprefix("# ")
        found = re.search(r"/(?:data|scratch)/\w*", self.text)
        return f"Needs {found[0]}." if found else ""

    @property
    def code(self) -> int:
        """Exit code with which its last command ends."""
        found = _ENDS.search(self.text)
        return int(found[1]) if found else 0


def blocks() -> list[Block]:
    """Read every block of commands of the README and the pages, in the order of the pages."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    found = []
    for page in pages:
        text, name = page.read_text(encoding="utf-8"), page.relative_to(ROOT).as_posix()
        for match in _BLOCK.finditer(text):
            found.append(Block(name, text[: match.start()].count("\n") + 1, match[1]))
    return found


def runnable() -> dict[str, list[Block]]:
    """Give the blocks that run on the embedded data, by page."""
    pages: dict[str, list[Block]] = {}
    for block in blocks():
        if not block.reason and block.page not in (*GENERATED, *TESTED_ELSEWHERE):
            pages.setdefault(block.page, []).append(block)
    return pages


def prepare(folder: Path) -> None:
    """Lay out what the pages take for given: a folder of images, and a detector of one's own with weights."""
    import pyarrow.parquet as pq
    import torch

    table = pq.read_table(ROOT / "bench/datasets/pocket/pocket-test.parquet", columns=["image"])
    (folder / "inbox").mkdir()
    for row in range(0, table.num_rows, 60):
        picture = table["image"][row].as_py()["bytes"]
        (folder / "inbox" / f"{row:04d}.png").write_bytes(picture)
    quickstart = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
    code = next(
        b for b in re.findall(r"```python\n(.*?)```", quickstart, re.DOTALL) if "class Mine" in b
    )
    (folder / "mine.py").write_text(code, encoding="utf-8")
    torch.manual_seed(0)
    torch.save(torch.nn.Conv2d(3, 1, 3).state_dict(), folder / "mine.pth")


def main() -> int:
    """Run every block that runs; returns 1 where one ends otherwise than its page says."""
    failures = 0
    for page, chosen in runnable().items():
        environment = {k: v for k, v in os.environ.items() if k != "CI"} | {"PYTHONPATH": str(ROOT)}
        if page == "docs/quickstart.md":
            environment["BENCH_LIMIT"] = "24"  # whole suites, of fewer images
        with tempfile.TemporaryDirectory() as folder:
            prepare(Path(folder))
            for block in chosen:
                script = ["bash", "-eo", "pipefail", "-c", block.text]
                done = subprocess.run(
                    script, cwd=folder, env=environment, capture_output=True, text=True, check=False
                )
                good = done.returncode == block.code
                failures += not good
                sys.stdout.write(
                    f"{'ok  ' if good else 'FAIL'} {page}:{block.line} ended with {done.returncode}\n"
                )
                if not good:
                    sys.stdout.write(done.stderr[-2000:])
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
