"""One detector explained on some pictures: its filters and maps, and where in them its verdict comes from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.inference.batches import unit_floats
from bench.pictures.activation_maps import NoConvolutionError, draw_maps
from bench.pictures.explanation.drawing import Attribution, attribution_figure
from bench.pictures.explanation.grad_cam import (
    NO_LIBRARY,
    CamLayer,
    cam_layer,
    grad_cam,
    has_library,
)
from bench.pictures.explanation.occlusion import occlusion, patch_count
from bench.support.figures import save_png
from bench.support.progress import Progress
from detectors.base import Detector
from leaderboards.plots.figure import style

METHODS: Final = ("maps", "grad-cam", "occlusion")
MOST: Final = 24  # pictures of one figure


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture to explain.

    Attributes:
        title: What it is, in words or by its name.
        pixels: (H, W, 3) uint8.
    """

    title: str
    pixels: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Explained:
    """What was drawn, and what could not be.

    Attributes:
        files: Files that were written, in order.
        remarks: Why something is not there, a sentence each.
    """

    files: list[Path] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def explain_detector(
    detector: Detector,
    label: str,
    pictures: Sequence[Picture],
    folder: Path,
    *,
    methods: Sequence[str],
    patch: int | None,
    progress: Progress,
) -> Explained:
    """Draw a detector's explanations of some pictures into a folder, the same bytes each time.

    Args:
        detector: A detector with weights, on its device.
        label: What boards call it.
        pictures: At least one, at most 24.
        folder: Receives ``filters-and-maps.png``, ``grad-cam.png`` and ``occlusion.png``.
        methods: Names of ``METHODS`` that must be drawn; empty for maps, and Grad-CAM or, where there is no
            gradient, no map or no library, occlusion.
        patch: Side of the patch that occlusion hides, in px of the canvas; None chooses.
        progress: Shows how occlusion goes on.

    Raises:
        BenchError: There are too many pictures, or a method that was asked for cannot be drawn.
        DetectorError: The detector fails on a picture.
    """
    if not 1 <= len(pictures) <= MOST:
        raise BenchError(f"{len(pictures)} images: give 1 to {MOST} at a time")
    subject = _Subject(label, detector, tuple(pictures), [detector.fit(p.pixels) for p in pictures])
    made = Explained()
    if not methods or "maps" in methods:
        path = folder / "filters-and-maps.png"
        try:
            draw_maps(detector, [(p.title, p.pixels) for p in pictures], path, title=label)
            made.files.append(path)
        except NoConvolutionError as error:
            if methods:
                raise
            made.remarks.append(str(error))
    lacking = ""
    if not methods or "grad-cam" in methods:
        lacking = _draw_grad_cam(subject, folder / "grad-cam.png", made)
        if lacking and methods:
            raise BenchError(lacking)
    if "occlusion" in methods or lacking:
        if lacking:
            made.remarks.append(f"{lacking}; occlusion is drawn instead")
        _draw_occlusion(subject, folder / "occlusion.png", made, patch, progress)
    return made


@dataclass(frozen=True, slots=True)
class _Subject:
    """A detector and what it is to be explained on."""

    label: str
    detector: Detector
    pictures: tuple[Picture, ...]
    canvases: list[NDArray[np.uint8]]

    def rows(self, maps: Callable[[NDArray[np.uint8]], NDArray[np.float64]]) -> list[Attribution]:
        """Give every canvas its logit and the map that is made of it."""
        return [
            Attribution(picture.title, canvas, self.logit(canvas), maps(canvas))
            for picture, canvas in zip(self.pictures, self.canvases, strict=True)
        ]

    def logit(self, canvas: NDArray[np.uint8]) -> float:
        """Score one canvas, without a gradient."""
        device = next((p.device for m in self.detector.modules() for p in m.parameters()), None)
        batch = unit_floats(torch.from_numpy(canvas[None].copy()).to(device))
        with torch.inference_mode():
            return float(self.detector.checked_logits(batch)[0])


def _draw_grad_cam(subject: _Subject, path: Path, made: Explained) -> str:
    """Draw Grad-CAM, or say why there is none."""
    detector, label = subject.detector, subject.label
    if not detector.card.differentiable:
        return f"{label} has no gradient for Grad-CAM: {detector.no_gradient}"
    if not has_library():
        return NO_LIBRARY
    layer = cam_layer(detector, subject.canvases[0])
    if layer is None:
        return f"{label} has no map behind its first convolution that Grad-CAM could weigh"
    cams = [grad_cam(detector, canvas, layer) for canvas in subject.canvases]
    if any(cam is None for cam in cams):
        return f"no gradient of {label} reaches its layer {layer.name}, which Grad-CAM weighs"
    values = iter([cam for cam in cams if cam is not None])
    _save(subject.rows(lambda _: next(values)), path, _cam_title(label, layer), "weighted map")
    made.files.append(path)
    return ""


def _cam_title(label: str, layer: CamLayer) -> str:
    return f"{label}: Grad-CAM of the logit at layer {layer.name}"


def _draw_occlusion(
    subject: _Subject, path: Path, made: Explained, patch: int | None, progress: Progress
) -> None:
    total = sum(patch_count(canvas, patch) for canvas in subject.canvases)
    progress.start(f"occluding for {subject.label}", total)
    rows = subject.rows(
        lambda canvas: occlusion(subject.detector, canvas, patch=patch, advance=progress.advance)
    )
    _save(rows, path, f"{subject.label}: occlusion", "drop of the logit where hidden")
    made.files.append(path)


def _save(rows: Sequence[Attribution], path: Path, title: str, unit: str) -> None:
    with style():
        save_png(attribution_figure(rows, title=title, unit=unit), path)
