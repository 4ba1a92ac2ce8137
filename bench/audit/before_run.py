"""The selected images of a run, audited before anything is scored."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.audit.short import refuse_confounded, short_audit, without_copies
from bench.datasets import Manifest
from bench.errors import NothingSelectedError
from bench.protocol.equaliser import parse_equaliser
from bench.protocol.suite import Suite
from bench.store.run_spec import AuditRecord
from bench.support.progress import Progress
from leaderboards.tables.notes import LeftOut, ShortcutRow


@dataclass(frozen=True, slots=True, eq=False)
class Audited:
    """The images of a run, and what their audit found.

    Attributes:
        rows: (n,) rows of the manifest that are scored.
        record: What the short audit found; None where it was not made.
        copies: Copies that were dropped, by kind; None where that was not asked for.
    """

    rows: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    record: AuditRecord | None = None
    copies: tuple[LeftOut, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a run wants of the audit before it.

    Attributes:
        suite: The protocol: whether it requires an audit, and the chain that equalises images.
        audit: Look whether the files tell real from fake.
        drop_duplicates: Leave copies out.
        cache: Folder of the cache; the user's by default.
    """

    suite: Suite
    audit: bool = True
    drop_duplicates: bool = False
    cache: Path | None = None


def audit_first(
    wishes: Wishes, manifest: Manifest, rows: NDArray[np.int64], progress: Progress
) -> Audited:
    """Drop copies where that is asked for, and look whether the files tell real from fake.

    Args:
        wishes: What is asked for.
        manifest: The data set.
        rows: (n,) rows that were selected.
        progress: Shows how many images have been read.

    Raises:
        BenchError: The suite requires an audit, and the data are confounded.
        NothingSelectedError: No image is left without copies.
    """
    copies = None
    if wishes.drop_duplicates:
        rows, copies = without_copies(manifest, rows, progress, wishes.cache)
        if not rows.size:
            raise NothingSelectedError(
                f"{manifest.name}: no image is left without copies: every one stands in both classes"
            )
    suite, cache = wishes.suite, wishes.cache
    if not (wishes.audit or suite.requires_audit):
        return Audited(rows, copies=copies)
    record = judged = short_audit(manifest, rows, progress, cache)
    if suite.equalise:
        chain = parse_equaliser(suite.equalise).resolved
        judged = short_audit(manifest, rows, progress, cache, equalise=chain)
        both = [
            *(caution.of_equalised() for caution in judged.cautions),
            *(caution.of_raw() for caution in record.cautions),
        ]
        record = record.model_copy(
            update={"shortcuts": side_by_side(record, judged), "cautions": tuple(both)}
        )
    if suite.requires_audit:
        refuse_confounded(judged, manifest, rows, suite.name)
    return Audited(rows, record, copies)


def side_by_side(raw: AuditRecord, equalised: AuditRecord) -> tuple[ShortcutRow, ...]:
    """Put each shortcut beside what is left of it once images are equalised."""
    after = {row.name: row for row in equalised.shortcuts}
    rows: list[ShortcutRow] = []
    for row in raw.shortcuts:
        rows.append(row)
        if row.name in after:
            rows.append(dataclasses.replace(after[row.name], name=f"{row.name}, equalised"))
    return tuple(rows)
