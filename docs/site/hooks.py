"""What the pages need on the site: links to files beyond the pages lead to the repository."""

from __future__ import annotations

import posixpath
import re
from typing import Any

_REPOSITORY = "https://github.com/detector-bench/detector-bench/blob/main/"
_LINK = re.compile(r"(\]\()((?:\.\./)+[^)#\s]*)([^)]*\))")
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Turn links that leave the folder of pages into links to the repository; code stays as it is."""
    folder = posixpath.dirname(f"docs/{page.file.src_uri}")

    def link(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, match[2]))
        return (
            match[0] if target.startswith("docs/") else f"{match[1]}{_REPOSITORY}{target}{match[3]}"
        )

    parts, end = [], 0
    for fence in _FENCE.finditer(markdown):
        parts += [_LINK.sub(link, markdown[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, _LINK.sub(link, markdown[end:])])
