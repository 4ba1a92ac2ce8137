"""An audit as a document: findings first, then shortcuts, copies and what the images are like."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from bench.audit.audit import Audit
from bench.audit.copies.duplicates import NO_FAULT
from bench.audit.shortcuts import Estimate
from bench.audit.summaries import Summary
from leaderboards.render.text import UNDEFINED, escape, rate, table, with_interval

_MOST_CLUSTERS: Final = 20
_MOST_IMAGES: Final = 6


def as_json(audit: Audit) -> dict[str, Any]:
    """Give an audit as values that JSON can hold: undefined numbers are null, every copy is listed."""
    document = _plain(audit)
    copies = document["copies"]
    copies.pop("codes")
    document["warnings"] = len(audit.warnings)
    return {"schema_version": 1, **document}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return None if math.isnan(value) else value
    return value


def as_markdown(audit: Audit) -> str:
    """Write an audit for people; the same audit gives the same bytes."""
    lines = [f"# Audit: {escape(audit.dataset)}", "", *_head(audit), *_findings(audit)]
    lines += _shortcuts(audit)
    lines += _by_generator(audit)
    lines += _copies(audit)
    lines += _images(audit)
    lines += _notes(audit)
    return "\n".join(lines).rstrip("\n") + "\n"


def _head(audit: Audit) -> Iterator[str]:
    described = f"{audit.audited} of {audit.images} images described"
    if audit.dropped:
        described += f", {audit.dropped} copies dropped"
    yield f"{escape(audit.recognised)}; {described}; digest {audit.digest[:12]}."
    if audit.audited + audit.dropped < audit.images:
        yield "Not all images were described: copies were looked for among those only."
    if audit.equalise:
        yield f"Equalised first by {escape(audit.equalise)}: files are no longer what a detector sees."
    if audit.against:
        yield f"Held against {escape(audit.against)}."
    yield f"Prior of AI-generated: {rate(audit.prior)} of the images that are compared."
    yield ""


def _findings(audit: Audit) -> list[str]:
    if not audit.findings:
        return ["Nothing was found that makes numbers unusable.", ""]
    lines: list[str] = []
    for finding in audit.findings:
        caution = finding.caution
        title = escape(caution.title)
        head = f"**{title}.**" if finding.level == "warning" else f"{title}."
        lines += [f"> {head} {escape(caution.advice)}", ""]
    if not audit.warnings:
        lines += ["Nothing was found that makes numbers unusable.", ""]
    return lines


def _estimate(estimate: Estimate) -> str:
    return with_interval(estimate.value, estimate.lo, estimate.hi)


def _shortcuts(audit: Audit) -> list[str]:
    body = [
        [
            escape(f"shortcut: {shortcut.name}"),
            _estimate(shortcut.auc),
            rate(shortcut.auc.judged_lo),
            "yes" if shortcut.auc.warns else "no",
        ]
        for shortcut in audit.shortcuts
        if not shortcut.reason and shortcut.varies
    ]
    constant = [escape(s.name) for s in audit.shortcuts if not s.reason and not s.varies]
    lines = ["## Shortcuts: what tells real from fake without the picture", ""]
    if body:
        lines += table(["Shortcut", "AUC, out of fold", "Bound judged by", "Warns"], body)
        lines += [
            f"Learnt and judged on {audit.learnt} images, groups and equal files together. 95% "
            "intervals; a warning stands where the lower bound passes .60 at a level shared by all that "
            "is judged, so that an audit of honest data warns in at most one of twenty.",
            "",
        ]
    if constant:
        lines += [
            f"The same in all images, so that nothing can be learnt: {'; '.join(constant)}.",
            "",
        ]
    for reason in sorted({s.reason for s in audit.shortcuts if s.reason}):
        lines += [f"Not learnt: {escape(reason)}.", ""]
    return lines


def _by_generator(audit: Audit) -> list[str]:
    whole = [shortcut for shortcut in audit.shortcuts if shortcut.generators and shortcut.varies]
    names = list(dict.fromkeys(g.generator for s in whole for g in s.generators))
    body: list[list[str]] = []
    for name in names:
        cells = [escape(name)]
        for shortcut in whole:
            part = next(g for g in shortcut.generators if g.generator == name)
            mark = "" if part.held_out else " (not held out)"
            cells += [_estimate(part.auc), _estimate(part.accuracy) + mark]
        body.append(cells)
    if not body or not whole:
        return []
    header = ["Generator"]
    for shortcut in whole:
        header += [f"{shortcut.name}: AUC", "held-out accuracy"]
    return [
        "## Shortcuts by generator",
        "",
        *table(header, body),
        "Held-out accuracy is balanced, of a classifier that saw no image of the generator; where the data "
        "have one generator only, none of the images judged.",
        "",
    ]


def _copies(audit: Audit) -> list[str]:
    lines = ["## Copies", ""]
    body = [
        [escape(c.relation), escape(c.kind), escape(c.where), escape(c.copied_from), str(c.images)]
        for c in audit.copies.counts
        if c.relation not in NO_FAULT
    ]
    if body:
        lines += table(["What", "Kind", "Images of", "Have a copy in", "Images"], body, left=4)
    else:
        lines += ["None was found that matters.", ""]
    for relation in NO_FAULT:
        if images := audit.copies.images(relation):
            lines += [f"No fault: {escape(relation)}, {images} times.", ""]
    for kind, why in audit.copies.not_compared.items():
        lines += [f"Not looked for: {escape(kind)} copies ({escape(why)}).", ""]
    clusters = [c for c in audit.copies.clusters if c.relation not in NO_FAULT]
    shown = clusters[:_MOST_CLUSTERS]
    for cluster in shown:
        names = ", ".join(escape(name) for name in cluster.images[:_MOST_IMAGES])
        more = "" if len(cluster.images) <= _MOST_IMAGES else ", ..."
        lines.append(f"- {escape(cluster.relation)} ({escape(cluster.kind)}): {names}{more}")
    if len(clusters) > len(shown):
        lines.append(f"- and {len(clusters) - len(shown)} more (--json lists all)")
    return [*lines, ""] if shown else lines


def _images(audit: Audit) -> list[str]:
    lines: list[str] = []
    for by in dict.fromkeys(summary.by for summary in audit.summaries):
        chosen = [summary for summary in audit.summaries if summary.by == by]
        lines += [f"## Images by {by}", "", *table(_COLUMNS, [_row(s) for s in chosen])]
    return lines


_COLUMNS: Final = (
    "Name", "Images", "Format", "Size", "Megapixels", "Aspect", "Mode", "Bytes/pixel", "JPEG quality",
    "Subsampling", "EXIF", "ICC", "Text", "Camera", "C2PA", "Software", "Bordered", "Enlarged",
)  # fmt: skip


def _row(summary: Summary) -> Sequence[str]:
    return [
        escape(summary.name),
        str(summary.images),
        _shares(summary.formats, summary.images),
        _shares(summary.sizes, summary.images),
        f"{summary.megapixels:.3g}",
        f"{summary.aspect:.3g}",
        _shares(summary.modes, summary.images),
        f"{summary.bytes_per_pixel:.3g}",
        UNDEFINED if math.isnan(summary.jpeg_quality) else f"{summary.jpeg_quality:.0f}",
        _shares(summary.jpeg_subsamplings, sum(summary.jpeg_subsamplings.values())),
        rate(summary.exif),
        rate(summary.icc),
        rate(summary.text),
        rate(summary.camera),
        rate(summary.credentials),
        _shares(summary.software, summary.images),
        rate(summary.bordered),
        rate(summary.enlarged),
    ]


def _shares(counts: Mapping[str, int], total: int) -> str:
    """Write what occurs, with its share where it is not all of it."""
    if not counts:
        return "none"
    parts = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:3]
    return ", ".join(
        escape(name) if n == total else f"{escape(name)} {n / total:.0%}" for name, n in parts
    )


def _notes(audit: Audit) -> list[str]:
    lines = ["## Notes", ""]
    lines += [
        f"- Paired: {escape(name)} with {', '.join(map(escape, sources))}."
        for name, sources in sorted(audit.pairing.items())
    ]
    if audit.left_out:
        lines.append(f"- {audit.left_out} images cannot be used and stand nowhere here.")
    lines += [
        "- JPEG quality is libjpeg's whose table is nearest. Enlarged: empty high frequencies. Bordered: a "
        "constant line on all four sides. Medians, and shares of the images.",
        "- Content credentials (C2PA) are noticed, not verified; invisible watermarks are not looked for.",
    ]
    return lines
