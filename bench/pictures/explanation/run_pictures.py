"""What a run gives to explain: its most telling images, and the spectra of its generators and their reals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.pictures.explanation.drawing import Compared, log_ratio, radial_figure, spectra_figure
from bench.pictures.explanation.explain import Explained, Picture
from bench.pictures.explanation.spectrum import crop_side, mean_spectra, radial_mean
from bench.pictures.verdicts import pick
from bench.results.figures.drawing import figure_bytes
from bench.results.figures.images import RunImages
from bench.results.scores import ScoredRun
from bench.support.figures import save_png
from bench.support.files import write_atomic
from bench.support.progress import Progress
from leaderboards.plots.figure import style
from leaderboards.tables.cells import CLEAN
from leaderboards.tables.slicing import POOLED, pool

LIMIT: Final = 500  # images of one generator or of its reals


def telling_pictures(run: ScoredRun, images: RunImages, detector: str) -> list[Picture]:
    """Pick one image of each kind of verdict: surely right and wrong, and a close call, of both classes.

    Args:
        run: Request and scores, read back from a run's folder.
        images: Images of the run, where they are at hand.
        detector: Name of one of the run's detectors.

    Raises:
        BenchError: The detector has no clean scores, or none of the images is where the run found it.
    """
    scores = run.scores
    columns = [c for c in scores.columns if c.detector == detector and c.condition == CLEAN]
    threshold = scores.thresholds.get(detector, float("nan"))
    if not columns or not np.isfinite(columns[0].logits).any() or np.isnan(threshold):
        raise BenchError(f"{detector} has no clean scores in the run: give images to explain")
    rows = pool(scores.samples, scores.slices()).rows
    labels = scores.samples["label"].to_numpy(np.int64)[rows]
    made = []
    for kind in pick(labels, columns[0].logits[rows], threshold, 1):
        for row in kind.rows:
            name = str(scores.samples["sample_id"].iloc[rows[row]])
            pixels = images.load(name)
            if pixels is not None:
                made.append(Picture(f"{kind.title}: {name}", pixels))
    if not made:
        raise BenchError(_missing(run))
    return made


def draw_spectra(
    run: ScoredRun, images: RunImages, folder: Path, *, limit: int = LIMIT, progress: Progress
) -> Explained:
    """Draw and write the mean spectra of every generator of a run beside those of its reals.

    Args:
        run: Request and scores, read back from a run's folder.
        images: Images of the run, where they are at hand.
        folder: Receives ``spectra.png``, ``spectra-radial.svg`` and ``spectra.csv``.
        limit: At most so many images of a generator, and of its reals, spread evenly.
        progress: Shows how many images have been read.

    Raises:
        BenchError: None of the images is where the run found it, or they are too small.
        OutputError: The folder cannot be written.
    """
    pairs = {
        name: (_spread(fakes, limit), _spread(reals, limit)) for name, (fakes, reals) in _pairs(run)
    }
    samples = run.scores.samples
    # Reals are shared by many generators: each set of them is read once.
    sets = {rows.tobytes(): rows for pair in pairs.values() for rows in pair}
    chosen = np.unique(np.concatenate([*sets.values(), np.array([], np.int64)]))
    facts = [images.records.get(name) for name in samples["sample_id"].iloc[chosen]]
    side = crop_side([(f.height, f.width) for f in facts if f is not None])
    if not side:
        raise BenchError("spectra need images of 16 px and more: one in ten is smaller")
    progress.start("reading images for spectra", sum(map(len, sets.values())))
    means = {
        key: mean_spectra(_pixels(samples, images, rows, progress), side)
        for key, rows in sets.items()
    }
    compared = []
    made = Explained()
    for name, (fakes, reals) in pairs.items():
        fake, real = means[fakes.tobytes()], means[reals.tobytes()]
        if fake is None or real is None:
            made.remarks.append(f"no spectrum of {name}: its images are not here, or too small")
        else:
            compared.append(Compared(name, fake, real))
    if not compared:
        raise BenchError(_missing(run))
    made.files.extend(_write(compared, side, folder))
    return made


def _write(compared: list[Compared], side: int, folder: Path) -> Iterator[Path]:
    path = folder / "spectra.png"
    with style():
        save_png(spectra_figure(compared, side), path)
        yield path
        path = folder / "spectra-radial.svg"
        content = figure_bytes(radial_figure(compared, side), "svg")
    write_atomic(path, lambda stream: stream.write(content))
    yield path
    path = folder / "spectra.csv"
    text = spectra_rows(compared).to_csv(index=False, lineterminator="\n").encode()
    write_atomic(path, lambda stream: stream.write(text))
    yield path


def spectra_rows(compared: list[Compared]) -> pd.DataFrame:
    """Give the power on every ring: of each generator and its reals, of pictures and of noise."""
    parts = []
    for row in compared:
        for kind in ("picture", "noise"):
            frequencies, fake = radial_mean(getattr(row.fake, kind))
            _, real = radial_mean(getattr(row.real, kind))
            parts.append(
                pd.DataFrame(
                    {
                        "generator": row.generator, "of": kind, "cycles_per_pixel": frequencies,
                        "power": fake, "power_of_reals": real, "log10_ratio": log_ratio(fake, real),
                        "n_fake": row.fake.n, "n_real": row.real.n,
                    }
                )
            )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def _pairs(run: ScoredRun) -> Iterator[tuple[str, tuple[NDArray[np.int64], NDArray[np.int64]]]]:
    """Give, for every generator, the rows of its fakes and of the reals they are compared with."""
    samples, cuts = run.scores.samples, run.scores.slices()
    for name in pool(samples, cuts).generators:
        of_name = [cut for cut in cuts if name in cut.generators and not cut.column]
        own = [cut for cut in of_name if cut.generator == name and cut.domain == POOLED] or of_name
        fakes = np.unique(np.concatenate([cut.fake_rows for cut in own]))
        is_own = (samples["generator"].iloc[fakes] == name).to_numpy()
        reals = np.unique(np.concatenate([cut.real_rows for cut in own]))
        if is_own.any() and len(reals):
            yield name, (fakes[is_own], reals)


def _spread(rows: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """Choose at most ``limit`` rows, evenly."""
    if len(rows) <= limit:
        return rows
    return rows[np.linspace(0, len(rows) - 1, limit).round().astype(np.int64)]


def _pixels(
    samples: pd.DataFrame, images: RunImages, rows: NDArray[np.int64], progress: Progress
) -> Iterator[NDArray[np.uint8]]:
    for name in samples["sample_id"].iloc[rows]:
        pixels = images.load(str(name))
        progress.advance()
        if pixels is not None:
            yield pixels


def _missing(run: ScoredRun) -> str:
    where = run.spec.data or run.spec.dataset
    return f"no image of the run is where it was ({where}): put the data back, or give images to explain"
