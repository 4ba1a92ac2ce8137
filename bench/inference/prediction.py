"""Scoring a user's own images with one detector."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from numpy.typing import NDArray

from bench.datasets import BadImageError, DecodePolicy, decode, read_image_file
from bench.datasets.sources.tree import is_image_name
from bench.errors import BenchError, NothingSelectedError
from bench.inference.batches import Batch, auto_batch_of, batches, power_of_two
from bench.inference.detector import DetectorRequest, resolve
from bench.inference.device import pick_device, quiet_numerics
from bench.inference.foreign import blamed, guarded, identify
from bench.support.objects.remote import was_url
from bench.support.progress import Progress, Silent
from bench.support.user_file import why
from detectors.base import Detector
from detectors.errors import described

# Images decoded at a time, so that memory does not grow with their number.
_WINDOW = 64
# How the reason begins where it is the detector, not the image.
FAILS = "the detector fails on it"


@dataclass(frozen=True, slots=True)
class Prediction:
    """The verdict on one image.

    Attributes:
        path: Path of the image, as typed or as listed in a folder.
        logit: Raw float32 logit, > 0 means AI-generated; ``None`` where the image is unreadable, or the
            detector fails on it.
        verdict: In words, at the detector's own decision point (logit 0).
        reason: Why there is no logit; empty where there is one.
    """

    path: str
    logit: float | None
    verdict: Literal["AI-generated", "real", "unreadable"]
    reason: str = ""


def find_images(paths: Sequence[Path]) -> list[Path]:
    """List the files to score: files as typed, folders as the files in them (sorted, hidden ones left out).

    Raises:
        BenchError: If a path does not exist.
        NothingSelectedError: If a folder or the whole selection holds no file.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(
                file
                for file in path.rglob("*")
                # A pipe or a device under an image's name is listed with its reason.
                if (file.is_file() or (is_image_name(file.name) and not file.is_dir()))
                and not any(p.startswith(".") for p in file.relative_to(path).parts)
            )
            if not inside:
                raise NothingSelectedError(f"no image in {path}: leave it out, or check the path")
            files += inside
        elif path.exists():
            files.append(path)
        elif was_url(path):
            raise BenchError(
                f"{path.parts[0]}// is a URL: name files and folders, and download what lies elsewhere"
            )
        else:
            raise BenchError(f"no image at {path}: check the path")
    if not files:
        raise NothingSelectedError("no image is named: give files or folders")
    return files


def predict_images(
    paths: Sequence[Path],
    request: DetectorRequest,
    *,
    device: str = "auto",
    batch_size: int | None = None,
    allow_untrained: bool = False,
    progress: Progress | None = None,
) -> list[Prediction]:
    """Score every image; one that is unreadable, or on which the detector fails, leaves the others alone.

    Args:
        paths: Files or folders.
        request: The detector to score with, and its weights.
        device: ``auto``, ``cpu`` or ``cuda:N``.
        batch_size: Images a forward pass; ``None`` chooses.
        allow_untrained: Score with random weights, on purpose.
        progress: Shows how scoring goes on; silent by default.

    Raises:
        BenchError: On a bad path or detector, or one that fails on every image.
    """
    files = find_images(paths)
    loaded = load_detector(request, device=device, allow_untrained=allow_untrained)
    return score_images(files, loaded, batch_size=batch_size, progress=progress)


class Loaded(NamedTuple):
    """A detector that is ready to score: itself, where it is, and what a person calls it."""

    detector: Detector
    device: torch.device
    label: str


def load_detector(
    request: DetectorRequest, *, device: str = "auto", allow_untrained: bool = False
) -> Loaded:
    """Build a detector, load its weights and move it to its device.

    Raises:
        BenchError: On a detector or a device that is not there.
    """
    chosen = pick_device(device)
    quiet_numerics(chosen)
    detector = guarded(resolve(request, allow_untrained=allow_untrained))
    with blamed(request.label, f"its way to {chosen}"):
        detector.to(chosen)
    return Loaded(detector, chosen, request.label)


def identity_of(loaded: Loaded) -> str:
    """Digest all that decides a detector's logits, as runs record it."""
    with blamed(loaded.label, "identity()"):
        return identify(loaded.detector).digest


def score_images(
    files: Sequence[Path],
    loaded: Loaded,
    *,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> list[Prediction]:
    """Score files; one that is unreadable, or on which the detector fails, leaves the others alone.

    Args:
        files: Files, as ``find_images`` lists them.
        loaded: A detector that ``load_detector`` gave.
        batch_size: Images a forward pass; ``None`` chooses.
        progress: Shows how scoring goes on; silent by default.

    Raises:
        BenchError: If the detector fails on every image.
    """
    progress = progress or Silent()
    detector, chosen = loaded.detector, loaded.device
    # A batch is padded to its size: of a few images all would be computed many times over.
    most = min(auto_batch_of(detector.card.input, chosen), power_of_two(len(files)))
    size = min(batch_size or most, _WINDOW)
    progress.start("scoring", len(files))
    predictions: list[Prediction] = []
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        for window in _windows(files):
            read = list(pool.map(_read, window))
            predictions += _score(window, read, detector, size, chosen)
            progress.advance(len(window))
    failures = [p.reason for p in predictions if p.reason.startswith(FAILS)]
    if failures and all(prediction.logit is None for prediction in predictions):
        raise BenchError(f"{loaded.label} scores no image: {failures[0]}")
    return predictions


def _windows(files: Sequence[Path]) -> Iterator[Sequence[Path]]:
    for start in range(0, len(files), _WINDOW):
        yield files[start : start + _WINDOW]


def _read(path: Path) -> NDArray[Any] | str:
    try:
        return decode(read_image_file(path), DecodePolicy())
    except BadImageError as error:
        return str(error)
    except (OSError, MemoryError) as error:
        return why(error)


def _score(
    window: Sequence[Path],
    read: Sequence[NDArray[Any] | str],
    detector: Detector,
    size: int,
    device: torch.device,
) -> list[Prediction]:
    logits: dict[int, float] = {}
    reasons = {i: image for i, image in enumerate(read) if isinstance(image, str)}
    canvases: list[NDArray[Any] | None] = [None] * len(read)
    for i, image in enumerate(read):
        if not isinstance(image, str):
            try:
                canvases[i] = detector.fit(image)
            except Exception as error:  # a detector is anybody's code
                reasons[i] = f"{FAILS} ({described(error)})"
    for batch in batches(canvases, size):
        try:
            logits |= _logits(batch, detector, device)
        except Exception:  # perhaps one image of them: each goes alone
            for row in batch.rows.tolist():
                alone = [canvas if i == row else None for i, canvas in enumerate(canvases)]
                try:
                    logits |= _logits(next(batches(alone, size)), detector, device)
                except Exception as error:
                    reasons[row] = f"{FAILS} ({described(error)})"
    return [
        Prediction(str(path), logits[i], "AI-generated" if logits[i] > 0 else "real")
        if i in logits
        else Prediction(str(path), None, "unreadable", reasons[i])
        for i, path in enumerate(window)
    ]


def _logits(batch: Batch, detector: Detector, device: torch.device) -> dict[int, float]:
    with torch.inference_mode():
        scores = detector.checked_logits(batch.tensor(device)).cpu().tolist()
    return dict(zip(batch.rows.tolist(), scores, strict=False))
