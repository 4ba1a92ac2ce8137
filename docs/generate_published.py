"""Write the table of docs/published.md from the methods themselves; ``--check`` only compares."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from bench import registry
from detectors.publication.method import Method

TARGET = Path(__file__).parent / "published.md"
START, END = "<!-- methods: python docs/generate_published.py -->\n", "<!-- end of methods -->\n"


def render() -> str:
    """Give the table of published methods, a line each, by name."""
    lines = [
        "| `--detector` | paper | weights | licence | trained on | attack by gradient |",
        "|---|---|---|---|---|---|",
    ]
    for name, method in sorted(registry.detectors().items()):
        if isinstance(method, Method):
            lines.append(_row(name, method))
    return "\n".join(lines) + "\n"


def _row(name: str, method: Method) -> str:
    published = method.publication
    backbone = published.backbone
    weights = f"[{f'`{published.file}`' if published.file else 'there'}]({published.url})"
    if backbone is not None:
        weights += f" and `--backbone`: timm's `{backbone.model}`"
    if published.beside is not None:
        weights += "".join(f", `{file}`" for file in published.beside.files.values()) + " beside it"
    data = published.training_data
    cells = (
        f"`{name}`",
        method.reference,
        weights,
        published.licence,
        "unknown" if data is None else data.dataset or ", ".join(data.generators),
        f"no: {published.not_attackable}" if published.not_attackable else "yes",
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def replaced(page: str) -> str:
    """Give the page with its table made anew."""
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return before + START + render() + END + after


def main() -> int:
    """Write or check; returns the exit code."""
    ending = runpy.run_path(str(Path(__file__).with_name("write_page.py")))
    code: int = ending["write_or_check"](
        TARGET, replaced(TARGET.read_text(encoding="utf-8")), __file__
    )
    return code


if __name__ == "__main__":
    sys.exit(main())
