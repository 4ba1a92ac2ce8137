"""What evaders do to fakes: camera, spectrum, local statistics, CLAHE, white balance; and benign edits."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import uniform_filter

from corruptions.camera import Camera, aberrated, demosaic, falloff, mosaic
from corruptions.denoise import Denoise
from corruptions.equalisation import Clahe, equalised
from corruptions.filters import Sharpen
from corruptions.levels import from_light, to_light
from corruptions.local_statistics import SHARES, LocalStatistics, local_spread
from corruptions.spectrum import CENTRES, LOW, Spectrum, radial_profile
from corruptions.tone import HdrTone, NightMode, Retouch, WhiteBalance
from corruptions.windows import guided


def test_demosaicking_is_opencvs_bilinear(rng):
    raw = rng.integers(0, 256, (34, 40), dtype=np.uint8)
    # OpenCV names a pattern by its second row and column: BG is RGGB.
    expected = cv2.cvtColor(raw, cv2.COLOR_BayerBG2RGB).astype(float)
    ours = demosaic(raw.astype(np.float32))
    assert np.abs(ours - expected)[1:-1, 1:-1].max() <= 0.5  # OpenCV rounds
    assert np.array_equal(mosaic(ours), raw)


def test_the_srgb_curve_is_undone_exactly():
    levels = np.arange(256, dtype=np.uint8)
    assert np.array_equal(from_light(to_light(levels)), levels)
    assert to_light(levels)[188] == pytest.approx(0.5028, abs=1e-3)  # IEC 61966-2-1: half the light


def test_a_flat_field_shows_the_sensors_noise():
    """Variance of a pixel the filter lets through: light / electrons + (read / electrons) squared."""
    electrons, read = 2000.0, 20.0
    light = float(to_light(np.uint8(200)[None])[0])
    raw = np.full((400, 400), light, dtype=np.float32)
    camera = Camera(electrons=electrons, read_noise=read, hot=0, vignette=0, aberration=0)
    exposed = camera._exposed(raw, np.random.default_rng(0)).astype(np.float64)
    expected = light / electrons + (read / electrons) ** 2
    assert exposed.mean() == pytest.approx(light, abs=4 * (expected / raw.size) ** 0.5)
    assert exposed.var() == pytest.approx(expected, rel=0.02)


def test_hot_pixels_are_as_many_as_asked():
    raw = np.zeros((500, 500), dtype=np.float32)
    camera = Camera(electrons=1e6, read_noise=0, hot=0.01)
    hot = (camera._exposed(raw, np.random.default_rng(0)) == 1).mean()
    assert hot == pytest.approx(0.01, abs=4 * (0.01 * 0.99 / raw.size) ** 0.5)


def test_vignette_and_aberration_in_closed_form():
    light = falloff(101, 201, 0.4)
    assert light[50, 100] == 1
    assert light[0, 0] == pytest.approx(0.6, abs=1e-6)
    ramp = np.tile(np.linspace(0, 1, 101, dtype=np.float32)[None, :, None], (5, 1, 3))
    out = aberrated(ramp, 0.02)
    x = np.arange(101) - 50.0
    assert np.allclose(out[2, :, 1], ramp[2, :, 1])
    assert np.allclose(out[2, :, 0], (x / 1.02 + 50) / 100, atol=1e-5)  # red is magnified
    inside = slice(2, -2)
    assert np.allclose(out[2, inside, 2], ((x / 0.98 + 50) / 100)[inside], atol=1e-5)


def test_spectrum_reaches_the_power_law(photo, rng):
    image = np.ascontiguousarray(photo[:192, :192] // 2 + 60)  # far from clipping
    before = radial_profile(image[..., 1].astype(float))
    after = radial_profile(Spectrum(exponent=1.3)(image, rng)[..., 1].astype(float))
    band = (CENTRES > LOW + 0.03) & (CENTRES < 0.45)
    slope = np.polyfit(np.log(CENTRES[band]), after[band], 1)[0]
    assert slope == pytest.approx(-1.3, abs=0.1)
    low = CENTRES < LOW - 0.03
    assert np.abs(after - before)[low].max() < 0.05
    assert abs(Spectrum(exponent=1.3)(image, rng).mean() - image.mean()) < 0.3


def test_spectrum_draws_no_frame(rng):
    """Left and right of a smooth ramp differ; a picture wrapped round would have an edge there."""
    ramp = np.linspace(60, 190, 96)[None, :, None] + rng.normal(0, 2, (96, 96, 3))
    image = ramp.round().astype(np.uint8)
    change = np.abs(Spectrum()(image, rng).astype(float) - image).mean(axis=(0, 2))
    assert change.mean() > 1
    assert max(change[0], change[-1]) < 2 * np.median(change)


def test_spectrum_reaches_its_reference(photo, rng, tmp_path):
    """White noise of an amplitude has a flat profile, by definition."""
    noise = np.clip(128 + rng.normal(0, 20, (128, 128, 3)), 0, 255).astype(np.uint8)
    (tmp_path / "reals").mkdir()
    Image.fromarray(noise).save(tmp_path / "reals" / "a.png")
    Image.fromarray(noise[::-1]).save(tmp_path / "reals" / "b.png")
    (tmp_path / "reals" / "notes.txt").write_text("no image")
    image = np.ascontiguousarray(photo[:192, :192] // 4 + 90)
    spectrum = Spectrum(reference=str(tmp_path / "reals"))
    assert [path.name for path in spectrum.files] == ["a.png", "b.png"]
    after = radial_profile(spectrum(image, rng)[..., 0].astype(float))
    own = radial_profile(image[..., 0].astype(float))
    assert np.ptp(after[CENTRES > LOW + 0.03]) < 0.45 * np.ptp(own[CENTRES > LOW + 0.03])
    Image.fromarray(photo[:64, :64]).save(tmp_path / "reals" / "a.png")
    (tmp_path / "reals" / "b.png").unlink()
    changed = radial_profile(spectrum(image, rng)[..., 0].astype(float))
    assert np.abs(changed - after).max() > 0.1  # a changed reference is read anew


def test_local_spread_is_the_standard_deviation_by_hand(photo):
    values = photo[:40, :50].astype(np.float32)
    plane = values.astype(np.float64) @ [0.299, 0.587, 0.114]
    windows = np.lib.stride_tricks.sliding_window_view(plane, (7, 7))
    assert np.allclose(local_spread(values)[3:-3, 3:-3], windows.std(axis=(2, 3)), atol=0.02)


def test_local_statistics_reach_their_reference(rng, tmp_path):
    reference = np.clip(128 + rng.normal(0, 12, (100, 100, 1)), 0, 255).astype(np.uint8)
    Image.fromarray(np.repeat(reference, 3, axis=2)).save(tmp_path / "real.png")
    target = np.quantile(local_spread(np.repeat(reference, 3, axis=2).astype(np.float32)), SHARES)
    image = (
        np.clip(128 + rng.normal(0, 5, (100, 100, 1)), 0, 255).astype(np.uint8).repeat(3, axis=2)
    )

    def distance(picture):
        own = np.quantile(local_spread(picture.astype(np.float32)), SHARES)
        return np.abs(own - target)[2:-2].mean()

    half, whole = (
        LocalStatistics(amount=amount, reference=str(tmp_path / "real.png"))(image, rng)
        for amount in (0.5, 1.0)
    )
    assert distance(whole) < 0.15 * distance(image)
    assert distance(whole) < distance(half) < distance(image)


@pytest.mark.parametrize("make", [Spectrum, LocalStatistics])
def test_a_reference_that_cannot_be_used_says_so(make, photo, rng, tmp_path):
    with pytest.raises(ValueError, match="there is no reference"):
        make(reference=str(tmp_path / "nothing"))(photo, rng)
    with pytest.raises(ValueError, match="holds no image"):
        make(reference=str(tmp_path))(photo, rng)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="cannot be read"):
        make(reference=str(tmp_path))(photo, rng)
    with pytest.raises(ValueError, match="may not hold"):
        make(reference="a,b.png")


@pytest.mark.parametrize("shape", [(120, 161), (64, 64), (33, 57), (9, 7)], ids=str)
@pytest.mark.parametrize(("clip", "tiles"), [(2.0, 8), (4.0, 8), (1.25, 4), (40.0, 3)])
def test_clahe_is_opencvs_bit_for_bit(photo, shape, clip, tiles):
    plane = np.ascontiguousarray(photo[: shape[0], : shape[1], 1])
    expected = cv2.createCLAHE(clip, (tiles, tiles)).apply(plane)
    assert np.array_equal(equalised(plane, clip, tiles), expected)


def test_clahe_keeps_colour_differences(photo, rng):
    image = np.ascontiguousarray(photo[:128, :128] // 4 + 96)  # nothing is clipped
    out = Clahe(clip=1.5)(image, rng).astype(int)
    inside = (out.min(axis=2) > 0) & (out.max(axis=2) < 255)
    assert inside.mean() > 0.9
    before = image[..., 0].astype(int) - image[..., 2]
    assert np.array_equal((out[..., 0] - out[..., 2])[inside], before[inside])


def test_white_balance_in_closed_form(rng):
    """Numpy's own arithmetic on the sRGB formula, in double precision."""
    image = rng.integers(0, 180, (30, 40, 3), dtype=np.uint8)
    v = image / 255
    light = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    light = np.clip(light * [2**0.3, 1, 2**-0.3], 0, 1)
    curved = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    out = WhiteBalance(warmth=0.3)(image, rng)
    assert np.abs(out - curved * 255).max() <= 0.501
    gray = WhiteBalance(warmth=0, gray_world=True)(image // 2, rng)
    means = to_light(gray).mean(axis=(0, 1))
    assert np.ptp(means) < 0.002


def test_the_guided_filter_is_its_formula(photo):
    """He et al. 2010, equations 5, 6 and 8 with the picture as its own guide, in double precision."""
    plane = photo[:50, :60, 0].astype(np.float64)

    def mean(values):
        return uniform_filter(values, 5, mode="nearest")

    slope = (mean(plane**2) - mean(plane) ** 2) / (mean(plane**2) - mean(plane) ** 2 + 400)
    expected = mean(slope) * plane + mean(mean(plane) * (1 - slope))
    assert np.abs(guided(plane.astype(np.float32), 5, 400.0) - expected).max() < 0.02


def test_retouch_smooths_texture_and_keeps_an_edge(rng):
    image = np.full((100, 100, 3), 60.0)
    image[:, 50:] = 200
    textured = np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)
    out = Retouch(strength=1)(textured, rng).astype(float)
    assert out[10:90, 10:40].std() < 0.5 * textured[10:90, 10:40].std()
    assert out[:, 55:].mean() - out[:, :45].mean() > 135


def test_hdr_tone_compresses_light_and_keeps_luma(rng):
    image = np.full((120, 120, 3), 30, dtype=np.uint8)
    image[:, 60:] = 190
    out = HdrTone(strength=1)(image, rng).astype(float)
    assert out[:, 90:].mean() / out[:, :30].mean() < 0.6 * 190 / 30
    assert out.mean() == pytest.approx(image.mean(), abs=1)


def test_night_mode_is_its_chain_in_closed_form(photo, rng):
    image = np.ascontiguousarray(photo[:64, :64])
    quiet = Denoise(sigma=5)(image, rng)
    lifted = np.rint(255 * (quiet / 255) ** (1 / 1.5)).astype(np.uint8)
    assert np.array_equal(NightMode(strength=0.5)(image, rng), Sharpen(amount=0.5)(lifted, rng))
