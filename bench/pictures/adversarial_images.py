"""Adversarial images to look at: the clean picture, the attacked one, and their difference."""

from __future__ import annotations

import functools
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.errors import BenchError
from bench.runs.settled import Settled
from bench.scoring.decoding import decode_chunk
from bench.store.pairs import AttackedPair, PairList, write_pairs
from bench.store.rundir import RunDir
from bench.support.files import ensure_writable, write_atomic

if TYPE_CHECKING:
    from bench.protocol.suite import Suite
    from bench.runs.prepare import Prepared
    from bench.scoring.engine import AttackedImage
    from bench.store.units import Unit

_KINDS = ("clean", "adversarial", "difference")


def save_adversarial(prepared: Prepared, count: int, folder: Path) -> list[Path]:
    """Write the first ``count`` attacked images of every detector and attack, as PNG.

    They are made again, in the run's own first batch, so they are the very pictures that were scored.
    Beside ``clean`` and ``adversarial`` stands ``difference``: the change around mid-grey, stretched
    so that its largest value is white or black. ``pairs.json`` lists them, for reports.

    Args:
        prepared: The run that was scored.
        count: Images a detector and attack, at least 1.
        folder: Folder that receives ``<detector>/<condition>/``.

    Returns:
        The files that were written.

    Raises:
        BenchError: The count is no good, or the suite holds no attack that hands back a picture.
        OutputError: The folder cannot be written.
    """
    check_pictures(prepared.request.suite, count)
    attacks = {name for name, c in prepared.conditions.items() if c.attack is not None}
    ensure_writable(folder)
    settled = _settled_by_run(prepared)
    plan = prepared.plan(settled)
    written: list[Path] = []
    listed: list[AttackedPair] = []
    with ThreadPoolExecutor() as pool:
        engine = prepared.engine(pool, settled)
        chunk = decode_chunk(prepared.manifest, plan.chunks[0], prepared.policy, pool)
        for unit in plan.by_chunk[plan.chunks[0].index]:
            if unit.condition in attacks:
                for attacked in engine.first_attacked(chunk, unit)[:count]:
                    pair = _save(attacked, unit, prepared.identities[unit.detector], folder)
                    written += [folder / getattr(pair, kind) for kind in _KINDS]
                    listed.append(pair)
    write_pairs(folder, PairList(manifest_digest=prepared.manifest.digest, pairs=tuple(listed)))
    return written


def check_pictures(suite: Suite, count: int) -> None:
    """Refuse what `save_adversarial` could not draw, before a run is paid for.

    Raises:
        BenchError: The count is no good, or the suite holds no attack that hands back a picture.
    """
    if count < 1:
        raise BenchError(f"--save-adversarial {count}: give at least 1")
    if all(condition.attack is None for condition in suite.parsed):
        raise BenchError(
            f"--save-adversarial: suite {suite.name!r} holds no attack; use --suite adversarial"
        )


def _settled_by_run(prepared: Prepared) -> Settled:
    """Batch sizes and thresholds that the run ended with, where there was one."""
    folder = RunDir(prepared.request.folder)
    if not (folder.root / "run.json").is_file():
        return prepared.initial
    spec = folder.spec()
    sizes = {detector.label: detector.batch_size for detector in spec.detectors}
    return Settled({**prepared.batch_sizes, **sizes}, spec.thresholds)


def _save(attacked: AttackedImage, unit: Unit, identity: str, folder: Path) -> AttackedPair:
    record, clean, adversarial = attacked
    pictures = (clean, adversarial, difference(clean, adversarial))
    stem = f"{_safe(unit.detector)}/{_safe(unit.condition)}/{_safe(record.sample_id)[-80:]}"
    names = {kind: f"{stem}-{kind}.png" for kind in _KINDS}
    for name, pixels in zip(names.values(), pictures, strict=True):
        image = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
        write_atomic(folder / name, functools.partial(image.save, format="PNG"))
    return AttackedPair(
        detector=unit.detector,
        identity=identity,
        condition=unit.condition,
        sample_id=record.sample_id,
        largest=int(np.abs(adversarial.astype(np.int64) - clean).max()),
        **names,
    )


def difference(clean: NDArray[np.uint8], adversarial: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Draw the change around mid-grey, stretched to the whole range; (3, h, w) uint8 each."""
    change = adversarial.astype(np.float64) - clean
    largest = float(np.abs(change).max()) or 1.0
    grey: NDArray[np.uint8] = np.round(128 + 127 * change / largest).clip(0, 255).astype(np.uint8)
    return grey


def _safe(name: str) -> str:
    """A file name that any system takes: detectors and conditions are the user's text."""
    return re.sub(r"[^A-Za-z0-9.=,()_-]+", "_", name).strip(".") or "_"
