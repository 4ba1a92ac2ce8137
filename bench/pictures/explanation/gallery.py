"""Explanations of several detectors in one folder, with a page that shows them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from markupsafe import escape

from bench.datasets import BadImageError, DecodePolicy, decode, read_image_file
from bench.errors import BenchError
from bench.inference.detector import DetectorRequest, resolve
from bench.inference.device import pick_device, quiet_numerics
from bench.inference.foreign import blamed, guarded, identify
from bench.inference.prediction import find_images
from bench.pictures.explanation.explain import MOST, Explained, Picture, explain_detector
from bench.pictures.explanation.run_pictures import draw_spectra, telling_pictures
from bench.results.figures.images import RunImages
from bench.results.scores import ScoredRun, load_run
from bench.support.files import ensure_writable, write_text
from bench.support.plain import one_line, path_name
from bench.support.progress import Progress
from detectors.base import Detector
from leaderboards.render.text import visible

INDEX: Final = "index.html"
_STYLE: Final = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:1180px;"
    "margin:0 auto;padding:0 16px}img{max-width:100%;height:auto;background:#fff}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What is to be drawn.

    Attributes:
        methods: What ``explain_detector`` must draw; empty for what applies.
        patch: Side of the patch that occlusion hides, in px; None chooses.
        limit: Images of a generator, and of its reals, in a spectrum.
        device: ``auto``, ``cpu`` or ``cuda:N``.
    """

    methods: tuple[str, ...]
    patch: int | None
    limit: int
    device: str


def explain(
    requests: Sequence[DetectorRequest],
    run: Path | None,
    places: Sequence[Path],
    out: Path,
    wishes: Wishes,
    *,
    spectra: bool,
    progress: Progress,
) -> Explained:
    """Explain detectors on images, or on those that a run says most about them.

    Args:
        requests: Detectors to explain, in order.
        run: Folder of a run; None for images alone.
        places: Images, or folders of them; empty for those of the run.
        out: Folder that receives one folder a detector, the spectra and ``index.html``.
        wishes: What is to be drawn.
        spectra: Whether spectra of the run's generators are drawn.
        progress: Shows how the work goes on.

    Raises:
        BenchError: An image cannot be read, a detector fails or is not what the run scored, or something
            that was asked for cannot be drawn.
        OutputError: The folder cannot be written.
    """
    ensure_writable(out)
    scored = None if run is None else load_run(run)
    images = None if scored is None or run is None else RunImages.of(run, scored.spec.data)
    made = Explained()
    given = _pictures(places) if places else []
    device = pick_device(wishes.device)
    quiet_numerics(device)
    for request in requests:
        detector = guarded(resolve(request))
        if scored is not None:
            _check_same(scored, request.label, detector)
        with blamed(request.label, f"its way to {device}"):
            detector.to(device)
        pictures = given
        if scored is not None and images is not None and not given:
            pictures = telling_pictures(scored, images, request.label)
        with blamed(request.label, "being explained"):
            _add(
                made,
                explain_detector(
                    detector, one_line(request.label), pictures, out / path_name(request.label),
                    methods=wishes.methods, patch=wishes.patch, progress=progress,
                ),
            )  # fmt: skip
    if spectra and scored is not None and images is not None:
        _add(made, draw_spectra(scored, images, out, limit=wishes.limit, progress=progress))
    write_text(out / INDEX, _page(made, out))
    made.files.append(out / INDEX)
    return made


def _add(made: Explained, more: Explained) -> None:
    made.files.extend(more.files)
    made.remarks.extend(more.remarks)


def _pictures(places: Sequence[Path]) -> list[Picture]:
    files = find_images(places)
    if len(files) > MOST:
        raise BenchError(f"{len(files)} images: give at most {MOST} at a time")
    pictures = []
    for path in files:
        try:
            pictures.append(
                Picture(one_line(path.name), decode(read_image_file(path), DecodePolicy()))
            )
        except BadImageError as error:
            raise BenchError(f"{path} cannot be used: {error}") from error
        except OSError as error:
            raise BenchError(f"{path} cannot be read: {error.strerror}") from error
    return pictures


def _check_same(run: ScoredRun, label: str, detector: Detector) -> None:
    """Refuse to explain scores by a detector that did not make them.

    Raises:
        BenchError: The run scored no detector of that name, or one with other weights or code.
    """
    records = {record.label: record for record in run.spec.detectors}
    if label not in records:
        raise BenchError(f"the run scored no {label}: it scored {', '.join(records)}")
    if identify(detector).digest != records[label].identity:
        raise BenchError(
            f"{label} is no longer what the run scored (its weights, card or code have changed): run it "
            "again, or explain images of your own without the run"
        )


def _page(made: Explained, out: Path) -> str:
    """Write a page that shows every picture, from beside them."""
    parts = [
        "<!doctype html>", '<html lang="en">', "<head>", '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        "<title>Explanations</title>", f"<style>{_STYLE}</style>", "</head>", "<body>", "<main>",
        "<h1>Explanations</h1>",
    ]  # fmt: skip
    for path in made.files:
        name = path.relative_to(out).as_posix()
        address, text = escape(quote(name)), escape(visible(name))
        parts.append(f"<h2>{text}</h2>")
        parts.append(
            f'<p><img src="{address}" alt="{text}"></p>'
            if path.suffix in (".png", ".svg")
            else f'<p><a href="{address}">{text}</a></p>'
        )
    parts += [f"<p>{escape(visible(remark))}.</p>" for remark in made.remarks]
    return "\n".join([*parts, "</main>", "</body>", "</html>", ""])
