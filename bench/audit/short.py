"""The short audit before a run: the files of some images, not their pixels; kept by the manifest's digest."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import ValidationError

from bench.audit.audit import AuditRequest, describe_side, learn_shortcuts, sample_rows
from bench.audit.copies.drop import copies_to_drop
from bench.audit.copies.duplicates import CONFLICT, find_copies
from bench.audit.copies.sides import Side
from bench.audit.findings import shortcut_findings
from bench.audit.images.description import Description
from bench.audit.images.gather import Pool
from bench.audit.images.hashes import has_perceptual_hash
from bench.audit.shortcuts import Shortcut
from bench.datasets import Manifest, default_cache_dir
from bench.errors import BenchError, OutputError
from bench.store.run_spec import AuditRecord
from bench.support.files import write_text
from bench.support.progress import Progress
from bench.version import __version__
from leaderboards.tables.notes import LeftOut, ShortcutRow, count_left_out

# What is read at most: bounded by number and size, not by the clock, so that a board is the same anywhere.
MOST_IMAGES: Final = 2_000
MOST_BYTES: Final = 256 << 20
# What images show, not how their files were made: a warning, and no reason to refuse a data set.
_CONTENT: Final = frozenset({"shortcut: colour", "shortcut: bytes per pixel"})


def short_audit(
    manifest: Manifest,
    rows: NDArray[np.int64],
    progress: Progress,
    cache: Path | None = None,
    *,
    pixels: bool = False,
    equalise: str = "",
) -> AuditRecord:
    """Look whether the files of selected images tell real from fake.

    Args:
        manifest: The data set.
        rows: (n,) rows that are to be scored.
        progress: Shows how many images have been read.
        cache: Folder of the cache; the user's by default.
        pixels: Decode the images as well, for borders and colours.
        equalise: Chain of corruptions that every image goes through first; "" for none.
    """
    description = Description(depth="pixels" if pixels else "file", equalise=equalise)
    path = _place(manifest, rows, cache, description)
    if (record := _kept(path)) is not None:
        return record
    chosen = rows[_sample(manifest.table.take(rows))]
    side, _ = describe_side(manifest, chosen, description, Pool(progress, cache))
    _, results = learn_shortcuts(side, manifest.pairing, AuditRequest().seed)
    record = AuditRecord(
        images=len(chosen),
        shortcuts=tuple(_row(s) for s in results if ": " not in s.name and not s.reason),
        cautions=tuple(
            finding.caution for finding in shortcut_findings(results, equalised=bool(equalise))
        ),
    )
    _keep(path, record)
    return record


def refuse_confounded(
    record: AuditRecord, manifest: Manifest, rows: NDArray[np.int64], suite: str
) -> None:
    """Refuse a data set whose files tell real from fake, or that holds a file in both classes.

    What images show (colours, how far they can be packed) is a warning, and no reason to refuse them.

    Raises:
        BenchError: Metadata or borders warn, or labels conflict; says which.
    """
    demand = f"and suite {suite!r} requires an audit that finds nothing"
    confounds = [caution for caution in record.cautions if caution.code not in _CONTENT]
    if confounds:
        title = confounds[0].title.removeprefix("WARNING: ")
        raise BenchError(
            f"{manifest.name} is confounded, {demand}: {title}; see `bench audit`, score both classes alike "
            "(--equalise), or mend the data"
        )
    nothing = pa.table({"bytes": manifest.table["bytes"].take(rows)})
    conflicts = find_copies(Side.of(manifest, rows, nothing)).images(CONFLICT, "file")
    if conflicts:
        raise BenchError(
            f"{manifest.name} holds {conflicts} files that stand in both classes, {demand}: mend the data, "
            "or pass --drop-duplicates"
        )


def without_copies(
    manifest: Manifest, rows: NDArray[np.int64], progress: Progress, cache: Path | None = None
) -> tuple[NDArray[np.int64], tuple[LeftOut, ...]]:
    """Drop copies among selected images: every picture counts once.

    Returns:
        (m,) the rows that are left, and how many were dropped by kind.
    """
    description = Description(depth="pixels", perceptual=has_perceptual_hash())
    side, _ = describe_side(manifest, rows, description, Pool(progress, cache))
    drop = copies_to_drop(side, find_copies(side, cache=cache or default_cache_dir()))
    gone = side.manifest.filter(pa.array(drop))
    ids = set(gone["sample_id"].to_pylist())
    stays = np.array([i not in ids for i in manifest.table["sample_id"].take(rows).to_pylist()])
    columns = [gone[name].to_pylist() for name in ("label", "generator", "domain")]
    return rows[stays], count_left_out(zip(*columns, strict=True))


def _sample(table: pa.Table) -> NDArray[np.int64]:
    mean = max(1.0, float(np.mean(table["bytes"].to_numpy())))
    limit = max(200, min(MOST_IMAGES, int(MOST_BYTES / mean)))
    return sample_rows(table, limit, AuditRequest().seed)


def _place(
    manifest: Manifest, rows: NDArray[np.int64], cache: Path | None, description: Description
) -> Path | None:
    """Name the file that keeps a record; None where images were not hashed."""
    if "" in manifest.table["sha256"].slice(0, 1).to_pylist():
        return None
    selected = hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()
    identity = [__version__, manifest.digest, selected, description.identity]
    digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
    return (cache or default_cache_dir()) / "audits" / f"{digest[:32]}.json"


def _kept(path: Path | None) -> AuditRecord | None:
    if path is None:
        return None
    try:
        return AuditRecord.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _keep(path: Path | None, record: AuditRecord) -> None:
    if path is not None:
        try:
            write_text(path, record.model_dump_json())
        except OutputError:  # the index has warned of it already
            return


def _row(shortcut: Shortcut) -> ShortcutRow:
    best = max(shortcut.generators, key=lambda g: _or_zero(g.auc.value), default=None)
    accuracies = [g.accuracy.value for g in shortcut.generators if g.held_out]
    return ShortcutRow(
        name=shortcut.name,
        auc=_number(shortcut.auc.value),
        lo=_number(shortcut.auc.lo),
        hi=_number(shortcut.auc.hi),
        warns=shortcut.warns,
        n_real=shortcut.n_real,
        n_fake=shortcut.n_fake,
        generator="" if best is None else best.generator,
        generator_auc=None if best is None else _number(best.auc.value),
        accuracy=_number(sum(accuracies) / len(accuracies)) if accuracies else None,
    )


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value
