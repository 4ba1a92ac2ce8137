"""What keeps a detector's scores from being used again: code that nobody can look into, answers that vary.

Only detectors of somebody else's code are asked: networks of well-known parts compute and do nothing else.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.inference.batches import unit_floats
from bench.inference.foreign import ask, is_foreign
from bench.runs.settled import Settled
from bench.scoring.decoding import decode_chunk
from bench.store.provenance import fingerprint
from bench.store.run_spec import UNSTEADY
from bench.store.units import Chunk
from bench.support.progress import Progress
from detectors.base import Detector

if TYPE_CHECKING:
    from bench.runs.prepare import Prepared

# Images that a detector is asked about again; enough to reorder, and to cut into batches of other sizes.
_IMAGES = 8
# Largest difference of a logit, relative to its size (at least 1), that arithmetic alone may make.
_TOLERANCE = {"fp32": 1e-3, "auto": 1e-3, "bf16": 5e-2}
# Digits of a probe's logits that count, and decimals: fewer than arithmetic moves on one machine, where
# layouts and threads decide in which order it sums.
_DIGITS = 3
_FAILED = "probe failed: "
# A process that a question has ended already is not asked another.
_DEAD = f"{_FAILED}ChildDiedError"


def with_doubts(prepared: Prepared, settled: Settled, progress: Progress) -> Settled:
    """Ask every foreign detector a few things, and settle which scores may be used again.

    Logits of fixed canvases join the detector's identity, so that weights that no walk has found still
    count. A detector that cannot be looked into, or that answers the same images differently, gets an
    identity for this run alone.

    Returns:
        The settled values with salts and remarks.
    """
    foreign = {n: d for n, d in prepared.detectors.items() if is_foreign(d)}
    if not foreign:
        return settled
    salts = {label: _salt(detector, prepared.device) for label, detector in foreign.items()}
    remarks: dict[str, tuple[str, ...]] = {}
    for label in foreign:
        if unknown := prepared.unknown.get(label, ()):
            remarks[label] = (_unknown_remark(unknown),)
            salts[label] = uuid.uuid4().hex
    settled = dataclasses.replace(settled, salts={**settled.salts, **salts})
    plan = prepared.plan(settled)
    unscored = {u.detector for u in plan.units if not prepared.store.has(u.fingerprint)}
    asked = {
        label: d for label, d in foreign.items() if label in unscored and salts[label] != _DEAD
    }
    if asked:
        with ThreadPoolExecutor(prepared.threads) as pool:
            for label, difference in _unsteady(prepared, asked, pool).items():
                remarks[label] = (*remarks.get(label, ()), _unsteady_remark(difference))
                salts[label] = uuid.uuid4().hex
    for label, lines in remarks.items():
        for line in lines:
            progress.note(f"warning: {label}: {line}")
    return dataclasses.replace(settled, salts={**settled.salts, **salts}, remarks=remarks)


def _unknown_remark(unknown: tuple[str, ...]) -> str:
    return (
        f"nobody can look into {', '.join(unknown[:3])}, so nobody can tell whether its scores still hold: "
        "they are made anew in every run; name the files behind it (files = [...]) or write identity()"
    )


def _unsteady_remark(difference: float) -> str:
    return (
        f"{UNSTEADY}: asked twice, in another order or another batch, it gives the same images logits "
        f"that differ by up to {difference:.3g}; its numbers are one draw of many, and are made anew in "
        "every run"
    )


def _apart(question: Callable[..., Any], *arguments: Any) -> Any:
    """Ask in another thread: there, nobody takes what a detector raises for a person's Ctrl-C."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(question, *arguments).result()


def _salt(detector: Detector, device: torch.device) -> str:
    try:
        return str(_apart(ask, detector, _probe, device))
    except Exception as error:  # its process died: its own cells say so
        return f"{_FAILED}{type(error).__name__}"


def _probe(detector: Detector, device: torch.device) -> str:
    """Digest the logits of a few fixed canvases: flat grey, a ramp, noise, a checkerboard."""
    size = detector.card.input.canvas_or(64)
    shape = (3, *size)
    noise = np.random.default_rng(0).random(shape)
    ramp = np.broadcast_to(np.linspace(0, 1, size[1]), shape)
    checks = np.broadcast_to(np.indices(size).sum(0) % 2, shape)
    canvases = np.stack([np.full(shape, 0.5), ramp, noise, checks])
    batch = unit_floats(torch.from_numpy(np.round(canvases * 255).astype(np.uint8)).to(device))
    try:
        with torch.inference_mode():
            logits = detector.checked_logits(batch).double().cpu().tolist()
    except Exception as error:  # its own cells say so
        return f"{_FAILED}{type(error).__name__}"
    return fingerprint([_rounded(logit) for logit in logits])


def _rounded(logit: float) -> str:
    """Spell a logit by the digits that count; what cancels out near zero is noise, and its sign too."""
    if abs(logit) < 1:
        return f"{round(logit, _DIGITS) + 0.0:.{_DIGITS}f}"
    return f"{logit:.{_DIGITS}g}"


def _unsteady(
    prepared: Prepared, detectors: dict[str, Detector], pool: Executor
) -> dict[str, float]:
    """By label: the largest difference of a logit between two askings, where it is too large."""
    first = Chunk(0, prepared.rows[:_IMAGES], "")
    chunk = decode_chunk(prepared.manifest, first, prepared.policy, pool)
    images = [image for image in chunk.images if image is not None]
    tolerance = _TOLERANCE[prepared.request.numerics.precision]
    differences = {}
    for label, detector in detectors.items():
        try:
            differences[label] = _apart(ask, detector, _difference, images, prepared.device)
        except torch.OutOfMemoryError:
            continue  # smaller batches come later
        except Exception:  # noqa: S112  (its own cells say so)
            continue
    return {
        label: difference for label, difference in differences.items() if difference > tolerance
    }


def _difference(detector: Detector, images: list[NDArray[np.uint8]], device: torch.device) -> float:
    """The largest relative difference between one asking of some images and others of the same images."""
    canvases = [detector.fit(image) for image in images]
    canvases = [canvas for canvas in canvases if canvas.shape == canvases[0].shape]
    batch = unit_floats(torch.from_numpy(np.stack(canvases)).to(device))
    count = len(batch)

    def ask(rows: list[int]) -> Tensor:
        with torch.inference_mode():
            return detector.checked_logits(batch[rows]).double().cpu()

    order = list(range(count))
    first = ask(order)
    scale = first.abs().clamp_min(1.0)
    others: list[Tensor] = [ask(order)]
    reverse: Any = ask(order[::-1])
    others.append(reverse.flip(0))
    pieces = [order[:3], order[3:]] if count > 3 else [order]
    others.append(torch.cat([ask(piece) for piece in pieces]))
    return max(float(((other - first).abs() / scale).max()) for other in others)
