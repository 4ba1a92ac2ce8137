"""The audit of a data set: what it gives away, and what it holds twice."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from bench.audit.copies.drop import copies_to_drop
from bench.audit.copies.duplicates import Copies, find_copies
from bench.audit.copies.sides import Side
from bench.audit.features import baselines
from bench.audit.findings import (
    Finding,
    copy_findings,
    metadata_findings,
    shortcut_findings,
)
from bench.audit.images.description import Description
from bench.audit.images.gather import Pool, gather
from bench.audit.images.hashes import has_perceptual_hash
from bench.audit.leaks import bundles
from bench.audit.shortcuts import Images, Shortcut, shortcuts
from bench.audit.summaries import Summary, summaries
from bench.datasets import FAKE, Manifest, default_cache_dir

# More images than this narrow no interval that matters (half-width .005 at AUC .6), and cost time.
MOST_LEARNT = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRequest:
    """What is audited, and how.

    Attributes:
        limit: At most about so many images, the same share of each class, generator, domain and split;
            None for all. Copies are looked for among these only.
        equalise: Chain of corruptions that every image goes through first, spelled in full; "" for none.
        drop_duplicates: Describe what is left when copies are dropped.
        seed: Seed of the sample, the folds and the corruptions.
    """

    limit: int | None = None
    equalise: str = ""
    drop_duplicates: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What the audit of a data set found.

    Attributes:
        dataset: Name of the data set.
        digest: Digest of its manifest.
        recognised: What it was recognised as, in words.
        images: Number of images of the data set.
        audited: Number of images described, after copies were dropped.
        dropped: Number of copies that were dropped; 0 where that was not asked for.
        left_out: Number of images that cannot be used at all.
        equalise: Chain of corruptions that the images went through first; "" for none.
        against: Name of the data set that it was held against; "" for none.
        learnt: Number of images that the shortcuts were learnt and judged on.
        findings: What must be known, the worst first.
        shortcuts: Baselines and features alone, in order.
        copies: What the data set holds more than once.
        summaries: What the images are like, by class, generator, real source, domain and split.
        pairing: Generator to its real sources.
        prior: Share of AI-generated images among those compared, 0 to 1.
        not_looked_for: What was not looked for, to the reason.
    """

    dataset: str
    digest: str
    recognised: str
    images: int
    audited: int
    dropped: int
    left_out: int
    equalise: str
    against: str
    learnt: int
    findings: tuple[Finding, ...]
    shortcuts: tuple[Shortcut, ...]
    copies: Copies
    summaries: tuple[Summary, ...]
    pairing: Mapping[str, tuple[str, ...]]
    prior: float
    not_looked_for: Mapping[str, str] = field(default_factory=dict)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that spoil numbers."""
        return tuple(finding for finding in self.findings if finding.level == "warning")


def audit(
    manifest: Manifest,
    request: AuditRequest,
    pool: Pool,
    against: Manifest | None = None,
) -> Audit:
    """Audit a data set: every image is read and decoded once, and what that gave is kept.

    Args:
        manifest: The data set.
        request: What is asked for.
        pool: Where images are read.
        against: A data set that it must not share images with.
    """
    rows = sample_rows(manifest.table, request.limit, request.seed)
    description = Description(
        depth="pixels",
        perceptual=has_perceptual_hash(),
        equalise=request.equalise,
        seed=request.seed,
    )
    side, unreadable = describe_side(manifest, rows, description, pool)
    other = None
    if against is not None:
        everything = np.arange(len(against), dtype=np.int64)
        found, _ = describe_side(against, everything, description, pool)
        other = Side(found.manifest, found.facts, other=True)
    copies = find_copies(side, other, pool.cache or default_cache_dir())
    dropped = 0
    if request.drop_duplicates:
        drop = copies_to_drop(side, copies)
        dropped = int(drop.sum())
        side = Side(side.manifest.filter(pa.array(~drop)), side.facts.filter(pa.array(~drop)))
    learnt, results = learn_shortcuts(side, manifest.pairing, request.seed)
    findings = [
        *shortcut_findings(results, equalised=bool(request.equalise)),
        *copy_findings(copies),
        *metadata_findings(unreadable, *_named(side.facts)),
    ]
    findings.sort(key=lambda finding: finding.level != "warning")
    return Audit(
        dataset=manifest.name,
        digest=manifest.digest,
        recognised=manifest.recognised,
        images=len(manifest),
        audited=len(side.manifest),
        dropped=dropped,
        left_out=len(manifest.lost),
        equalise=request.equalise,
        against="" if against is None else against.name,
        learnt=learnt,
        findings=tuple(findings),
        shortcuts=tuple(results),
        copies=copies,
        summaries=tuple(summaries(side.manifest, side.facts)),
        pairing=manifest.pairing,
        prior=_prior(side.manifest, manifest.pairing),
        not_looked_for=copies.not_compared,
    )


def describe_side(
    manifest: Manifest, rows: NDArray[np.int64], description: Description, pool: Pool
) -> tuple[Side, int]:
    """Describe rows of a manifest; images that cannot be read any more are left out.

    Returns:
        The images with their facts, and the number of those that could not be read.
    """
    facts = gather(manifest, rows, description, pool)
    readable = pc.is_null(facts["reason"])
    n_unreadable = len(facts) - int(pc.sum(readable).as_py() or 0)
    table = manifest.table.take(rows).filter(readable)
    return Side(table, facts.filter(readable)), n_unreadable


def learn_shortcuts(
    side: Side, pairing: Mapping[str, tuple[str, ...]], seed: int
) -> tuple[int, list[Shortcut]]:
    """Learn and judge shortcuts on images that are compared: controls are in no number of a board.

    Returns:
        Number of images learnt and judged on, and the shortcuts.
    """
    compared = np.flatnonzero(_compared(side.manifest, pairing))
    rows = compared[sample_rows(side.manifest.take(compared), MOST_LEARNT, seed)]
    table = side.manifest.take(rows)
    images = Images(
        label=table["label"].to_numpy().astype(np.int64),
        generator=np.array(table["generator"].to_pylist(), dtype=object),
        bundle=bundles([table["group"].to_pylist(), table["sha256"].to_pylist()]),
        pairing=pairing,
        seed=seed,
    )
    return len(rows), shortcuts(baselines(side.facts.take(rows)), images)


def _compared(table: pa.Table, pairing: Mapping[str, tuple[str, ...]]) -> NDArray[np.bool_]:
    sources = {source for paired in pairing.values() for source in paired}
    names = pc.is_in(table["generator"], value_set=pa.array(sorted(sources), pa.string()))
    is_fake = table["label"].to_numpy() == FAKE
    compared: NDArray[np.bool_] = is_fake | np.asarray(names.to_numpy(), dtype=bool)
    return compared


def _prior(table: pa.Table, pairing: Mapping[str, tuple[str, ...]]) -> float:
    compared = _compared(table, pairing)
    labels = table["label"].to_numpy()[compared]
    return float(labels.mean()) if len(labels) else float("nan")


def _named(facts: pa.Table) -> tuple[int, int]:
    """Count images whose metadata say that they are generated, and those that name the software."""
    says = int(pc.sum(facts["says_generated"]).as_py() or 0)
    software = int(pc.sum(pc.not_equal(facts["generator_software"], "")).as_py() or 0)
    return says, software


def sample_rows(table: pa.Table, limit: int | None, seed: int) -> NDArray[np.int64]:
    """Choose about so many rows, each class, generator, domain and split by its share, at least one.

    Which ones depends on the ids and the seed only.

    Args:
        table: Rows of a manifest.
        limit: Number of rows; None for all.
        seed: Seed of the choice.

    Returns:
        (n,) ascending.
    """
    count = len(table)
    if limit is None or limit >= count:
        return np.arange(count, dtype=np.int64)
    keys = ["label", "generator", "domain", "split"]
    strata = table.select(keys).to_pandas().groupby(keys, sort=True).indices
    ids = table["sample_id"].to_pylist()
    kept: list[int] = []
    for name in sorted(strata):
        rows = strata[name].tolist()
        quota = max(1, round(len(rows) * limit / count))
        rows.sort(key=lambda i: hashlib.sha256(f"audit\0{seed}\0{ids[i]}".encode()).digest())
        kept += rows[:quota]
    return np.sort(np.array(kept, dtype=np.int64))
