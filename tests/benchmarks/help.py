"""`bench --help` beside importing what it is written with.

python -m tests.benchmarks.help [--rounds 15]
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from tests.benchmarks.rounds import interleaved, ratio, told


def run(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    sides = {
        "bench --help": lambda: run("-m", "bench", "--help"),
        "import typer, rich": lambda: run("-c", "import typer, rich"),
    }
    found = interleaved(sides, given.rounds, control="import typer, rich")
    print(told(found))
    ratio("help", found, "bench --help", "import typer, rich")
    ratio("control", found, "import typer, rich again", "import typer, rich")


if __name__ == "__main__":
    main()
