"""How every generated page ends up on disk: written, or with ``--check`` compared with what is there.

Each ``generate_*.py`` runs this file by its path, so that it is found however the script is started.
"""

from __future__ import annotations

import sys
from pathlib import Path


def write_or_check(target: Path, text: str, script: str) -> int:
    """Write a page, or check it where the command line says ``--check``; returns the exit code.

    Args:
        target: The page.
        text: What it should hold.
        script: Path of the script that makes it, for whoever must run it again.
    """
    if "--check" not in sys.argv[1:]:
        target.write_text(text, encoding="utf-8")
    elif target.read_text(encoding="utf-8") != text:
        sys.stderr.write(f"{target} is out of date: run python docs/{Path(script).name}\n")
        return 1
    return 0
