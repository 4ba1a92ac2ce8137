"""How like its original a changed picture still is: PSNR and SSIM, by scikit-image."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
# Wang et al. 2004: a Gaussian window of sigma 1.5, cut off at 3.5 sigma, 11 px wide.
WINDOW = 11


class Likeness(NamedTuple):
    """How like its original a changed picture still is.

    Attributes:
        psnr: Peak signal-to-noise ratio over all channels, in dB; infinite where nothing has changed.
        ssim: Structural similarity (Wang et al. 2004), mean over pixels and channels, -1 to 1; nan for
            pictures narrower than its window of 11 px.
    """

    psnr: float
    ssim: float


def likeness(original: Image, changed: Image) -> Likeness | None:
    """Compare two pictures; None where their sizes differ, since neither measure is then defined.

    Args:
        original: (h, w, 3) uint8.
        changed: (h, w, 3) uint8.
    """
    if original.shape != changed.shape:
        return None
    # A second, and few runs ask for it.
    from skimage.metrics import mean_squared_error, structural_similarity  # noqa: PLC0415

    error = float(mean_squared_error(original, changed))
    if error == 0:
        return Likeness(float("inf"), 1.0)
    ssim = float("nan")
    if min(original.shape[:2]) >= WINDOW:
        ssim = float(
            structural_similarity(  # type: ignore[no-untyped-call]  # it has no annotations
                original,
                changed,
                channel_axis=2,
                data_range=255,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
            )
        )
    return Likeness(float(10 * np.log10(255**2 / error)), ssim)
