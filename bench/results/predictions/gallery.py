"""Verdicts on a user's own images as one offline page with thumbnails."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from bench.datasets import BadImageError, DecodePolicy, decode, read_image_file
from bench.results.predictions.judging import Judged, Rule, counts
from leaderboards.render.text import visible

_FOLDER: Final = Path(__file__).parent
_SIDE: Final = 160  # px of a thumbnail's longer side
_BUDGET: Final = 4_000_000  # characters that thumbnails may take
_TITLES: Final = {
    "AI-generated": "Called AI-generated",
    "real": "Not called AI-generated",
    "unreadable": "Could not be judged",
}


class _Item(NamedTuple):
    """One image of the page: its verdict, its thumbnail as a data URL, and why there is none."""

    image: Judged
    thumbnail: str
    lacking: str


def gallery(
    judged: Sequence[Judged],
    rule: Rule,
    *,
    detector: str,
    warnings: Sequence[str] = (),
    images: bool = True,
) -> str:
    """Write the page: surest verdicts first, then what could not be judged with its reason.

    Args:
        judged: Verdicts.
        rule: What they rest on.
        detector: What a person calls the detector.
        warnings: What stands above all verdicts.
        images: Whether thumbnails are embedded, up to a budget.

    Returns:
        One HTML document that asks the network for nothing; the same text each time.
    """
    sheet = (_FOLDER / "gallery.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode("ascii")
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_spelt,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("gallery.html.jinja").render(
        groups=list(_groups(judged, rule, budget=_BUDGET if images else 0)),
        detector=detector,
        rule=rule,
        warnings=warnings,
        counts=counts(judged),
        policy=f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'none'",
        sheet=Markup(sheet),  # noqa: S704  (a file of ours)
    )


def _groups(
    judged: Sequence[Judged], rule: Rule, *, budget: int
) -> Iterator[tuple[str, list[_Item]]]:
    left = budget
    for verdict, title in _TITLES.items():
        of_kind = [image for image in judged if image.verdict == verdict]
        of_kind.sort(key=lambda image: -abs((image.logit or 0.0) - rule.threshold))
        items = []
        for image in of_kind:
            url = "" if left <= 0 or image.logit is None else _thumbnail(Path(image.path))
            if len(url) > left:
                url, left = "", 0
            left -= len(url)
            lacking = "" if url or image.logit is None else _lacking(budget, left)
            items.append(_Item(image, url, lacking))
        if items:
            yield f"{title} ({len(items)})", items


def _lacking(budget: int, left: int) -> str:
    if not budget:
        return "left out (--no-images)"
    return "not at hand" if left > 0 else "left out (the page would grow too large)"


def _thumbnail(path: Path) -> str:
    """Encode a small copy anew, so that nothing of the file but its look gets in; "" where it is not here."""
    try:
        small = Image.fromarray(decode(read_image_file(path), DecodePolicy()))
    except (BadImageError, OSError, MemoryError):
        return ""
    small.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=78)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"


def _spelt(value: Any) -> Any:
    """Spell controls out in every text that is not markup."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
