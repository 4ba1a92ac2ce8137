"""Write the set's README.md and ATTRIBUTION.md, and the sample sheet, from what was built."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from .checks import SPLITS, Shortcut, read
from .photos import PHOTOS

_NOT_FAKE = {"photo": "photo (real)", "resampled": "resampled (real, control)"}
_LICENCE_URLS = {
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC-BY-2.0": "https://creativecommons.org/licenses/by/2.0/",
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
}


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Format a Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def write_attribution(folder: Path) -> None:
    """Write ATTRIBUTION.md: one row a photograph.

    Args:
        folder: Where the Parquet files are and the document goes.
    """
    counts: Counter[tuple[object, bool]] = Counter()
    for split in SPLITS:
        counts.update(
            (row["group"], row["label"] == 1) for row in read(folder, split) if not row["control"]
        )
    rows = [
        (
            photo.id,
            photo.title,
            photo.author,
            f"`{photo.file}` in {photo.package}",
            f"[{photo.licence}]({_LICENCE_URLS[photo.licence]})"
            if photo.licence in _LICENCE_URLS
            else photo.licence,
            photo.split,
            photo.domain,
            counts[photo.id, False],
            counts[photo.id, True],
        )
        for photo in PHOTOS
    ]
    header = (
        "photo",
        "title",
        "author",
        "source",
        "licence",
        "split",
        "domain",
        "real tiles",
        "fakes",
    )
    template = Path(__file__).with_name("attribution.in.md").read_text(encoding="utf-8")
    text = template.replace("@PHOTOS@", table(header, rows))
    (folder / "ATTRIBUTION.md").write_text(text, encoding="utf-8")


def write_photographs(folder: Path) -> None:
    """Write photographs.json: each photograph's source, author and licence, for programs to read.

    Args:
        folder: Where it goes.
    """
    text = json.dumps([dataclasses.asdict(photo) for photo in PHOTOS], indent=1, ensure_ascii=False)
    (folder / "photographs.json").write_text(text + "\n", encoding="utf-8")


def _counts(folder: Path) -> tuple[str, str]:
    by_generator: Counter[tuple[object, str]] = Counter()
    by_domain: Counter[tuple[object, str, object]] = Counter()
    for split in SPLITS:
        for row in read(folder, split):
            by_generator[row["generator"], split] += 1
            by_domain[row["domain"], split, row["label"]] += 1
    names = sorted(
        {str(name) for name, _ in by_generator}, key=lambda name: (name not in _NOT_FAKE, name)
    )
    first = [
        (_NOT_FAKE.get(name, name), *(by_generator[name, s] for s in SPLITS)) for name in names
    ]
    domains = sorted({str(domain) for domain, _, _ in by_domain})
    second = [
        (domain, *(f"{by_domain[domain, s, 0]} + {by_domain[domain, s, 1]}" for s in SPLITS))
        for domain in domains
    ]
    return table(("generator", *SPLITS), first), table(("domain (real + fake)", *SPLITS), second)


def write_readme(folder: Path, shortcuts: Sequence[Shortcut]) -> None:
    """Write README.md from its template with counts, shortcut checks and digests.

    Args:
        folder: Where the Parquet files are and the document goes.
        shortcuts: What `checks.measure` found.
    """
    by_generator, by_domain = _counts(folder)
    files = []
    for split in SPLITS:
        data = (folder / f"pocket-{split}.parquet").read_bytes()
        files.append(
            (f"`pocket-{split}.parquet`", f"{len(data):,}", f"`{hashlib.sha256(data).hexdigest()}`")
        )
    checks = [
        (s.generator, f"{s.metadata:.3f}", f"{s.colour:.3f}", f"{s.payload:.3f}") for s in shortcuts
    ]
    text = Path(__file__).with_name("readme.in.md").read_text(encoding="utf-8")
    for mark, value in {
        "@GENERATORS@": by_generator,
        "@DOMAINS@": by_domain,
        "@CHECKS@": table(
            ("generator", "file metadata", "colour means", "stream size, padding undone"), checks
        ),
        "@FILES@": table(("file", "bytes", "sha256"), files),
    }.items():
        text = text.replace(mark, value)
    (folder / "README.md").write_text(text, encoding="utf-8")
