"""Explanations as figures: maps over pictures, and spectra beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.pictures.explanation.spectrum import Spectra, radial_mean
from leaderboards.plots.figure import line_look, name_label, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
# From blue over white to red, even in lightness on both sides: direction is told without red and green.
_MAP = "RdBu_r"
_DECADES = 6.0  # of a spectrum's shade, from its largest value down


@dataclass(frozen=True, slots=True)
class Attribution:
    """One picture and the map of what speaks for its being AI-generated.

    Attributes:
        title: Name of the picture, on one line.
        canvas: (3, h, w) uint8: what the detector sees.
        logit: What the detector gives it.
        values: (h', w') signed, positive for AI-generated; stretched over the canvas.
    """

    title: str
    canvas: NDArray[np.uint8]
    logit: float
    values: Floats


def attribution_figure(rows: Sequence[Attribution], *, title: str, unit: str) -> Figure:
    """Draw, for each picture, what the detector sees, the map over it, and the map alone with its scale.

    Args:
        rows: Pictures with maps, at least one.
        title: Text above the whole.
        unit: What the values are, with their unit.
    """
    figure = new_figure(7.4, 0.7 + 2.35 * len(rows))
    grid = figure.subplots(len(rows), 3, squeeze=False)
    for line, row in zip(grid, rows, strict=True):
        picture = row.canvas.transpose(1, 2, 0)
        values = _stretched(row.values, (picture.shape[0], picture.shape[1]))
        largest = float(np.abs(row.values).max()) or 1.0
        scale: dict[str, Any] = {"cmap": _MAP, "vmin": -largest, "vmax": largest}
        line[0].imshow(picture)
        line[1].imshow(picture.mean(axis=2), cmap="gray", vmin=0, vmax=255)
        line[1].imshow(values, alpha=0.55, **scale)
        drawn = line[2].imshow(values, **scale)
        bar = figure.colorbar(drawn, ax=line[2], fraction=0.05)
        bar.set_label(unit, fontsize=6)
        bar.ax.tick_params(labelsize=6)
        verdict = "AI-generated" if row.logit > 0 else "real"
        heading = f"{name_label(row.title, 72)}: logit {row.logit:+.2f}, {verdict}"
        line[0].set_title(heading, loc="left", fontsize=7, parse_math=False)
        for axes in line:
            axes.set_axis_off()
    figure.suptitle(
        f"{title}\nred speaks for AI-generated, blue for real", fontsize=8, parse_math=False
    )
    return figure


def _stretched(values: Floats, size: tuple[int, int]) -> Floats:
    """Bring a map to (height, width), bilinear; one of that size stays as it is."""
    if values.shape == size:
        return values
    image = Image.fromarray(values.astype(np.float32))
    return np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Compared:
    """A generator's spectra beside those of the real pictures that it is compared with.

    Attributes:
        generator: Name of the generator.
        fake: Spectra of pictures that the generator made.
        real: Spectra of the reals that it is compared with.
    """

    generator: str
    fake: Spectra
    real: Spectra


def spectra_figure(rows: Sequence[Compared], side: int) -> Figure:
    """Draw, for each generator, spectra of pictures and of their noise: its own, its reals', their ratio.

    Args:
        rows: Generators, at least one.
        side: Side of the transformed crop in px.
    """
    figure = new_figure(10.5, 0.9 + 1.75 * len(rows))
    grid = figure.subplots(len(rows), 6, squeeze=False)
    for line, row in zip(grid, rows, strict=True):
        for half, kind in enumerate(("picture", "noise")):
            fake, real = (getattr(spectra, kind) for spectra in (row.fake, row.real))
            three = line[3 * half : 3 * half + 3]
            _shade(three[0], fake, f"{kind}: {name_label(row.generator, 20)} (n = {row.fake.n})")
            _shade(three[1], real, f"{kind}: its reals (n = {row.real.n})")
            ratio = log_ratio(fake, real)
            drawn = three[2].imshow(ratio, cmap=_MAP, vmin=-1, vmax=1)
            three[2].set_title("log10 ratio", fontsize=6)
            three[2].set_axis_off()
            bar = figure.colorbar(drawn, ax=three[2], fraction=0.05)
            bar.ax.tick_params(labelsize=5)
    figure.suptitle(
        f"mean power spectra, middle {side} px, 0 in the centre, 0.5 cycles a pixel at the edges;\n"
        "noise: what a 3 x 3 median filter takes away; red: more power than the reals",
        fontsize=8,
    )
    return figure


def log_ratio(fake: Floats, real: Floats) -> Floats:
    """Give log10(fake / real) of two spectra; 0 where both have no power."""
    least = 1e-12 * max(float(fake.max()), float(real.max()), 1e-300)
    ratio: Floats = np.log10((fake + least) / (real + least))
    return ratio


def _shade(axes: Axes, power: Floats, title: str) -> None:
    largest = float(power.max()) or 1.0
    shade = np.log10(np.maximum(power / largest, 10**-_DECADES))
    axes.imshow(shade, cmap="gray", vmin=-_DECADES, vmax=0)
    axes.set_title(title, fontsize=6, parse_math=False)
    axes.set_axis_off()


def radial_figure(rows: Sequence[Compared], side: int) -> Figure:
    """Draw the power on rings over frequency, each generator over its reals, of pictures and of noise."""
    figure = new_figure(7.1, 3.3)
    axes = figure.subplots(1, 2, sharey=True)
    for one, kind in zip(axes, ("picture", "noise"), strict=True):
        for j, row in enumerate(rows):
            frequencies, fake = radial_mean(getattr(row.fake, kind))
            _, real = radial_mean(getattr(row.real, kind))
            look = line_look(j) | {"marker": ""}
            (line,) = one.plot(frequencies, log_ratio(fake, real), **look)
            line.set_label(f"{name_label(row.generator)} (n = {row.fake.n}; {row.real.n} real)")
            line.set_gid(f"series-{kind}-{j}")
        one.axhline(0, color="#808080", linewidth=0.5, zorder=0)
        one.set_xlabel(f"frequency in cycles a pixel (middle {side} px)")
        one.set_title(kind)
    axes[0].set_ylabel("log10 of power over that of its reals")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure
