"""ms per image of every corruption beside the same thing by hand; run it, it is not a test.

    python tests/benchmarks/corruption_speed.py [--rounds 9] [--side 224 --side 512] [--only median]

Rounds are interleaved, so that a busy machine slows all alike; the median of the rounds counts, and
what is too quick for the clock is repeated within a round. The ratio is ours over the fastest way
that gives the same pixels, bit for bit (for noise: the same law). Ways that come within one level on
99.9 % of values and two on all are timed beside it, marked ~; what gives other pixels is marked so.
OpenCV is timed where it is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import math
import statistics
import time
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from scipy import ndimage, signal
from sklearn.datasets import load_sample_images

from bench import registry
from bench.protocol.condition import parse

cv2 = None
if importlib.util.find_spec("cv2"):
    import cv2

    cv2.setNumThreads(1)

Array = np.ndarray
ByHand = dict[str, Callable[[Array], Array]]
RANDOM = {"noise", "shot-noise", "salt-pepper", "speckle"}
LUT_GAMMA = np.rint(255 * (np.arange(256) / 255) ** 1.5).astype(np.uint8)
LUT_BRIGHT = np.rint(np.clip(np.arange(256) * 1.3, 0, 255)).astype(np.uint8)
rng = np.random.default_rng(0)
LEAST = 0.002  # seconds a timing should take, so that the clock's own cost does not count


def saved(image: Array, **options) -> Array:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, **options)
    return np.array(Image.open(buffer).convert("RGB"))


def cv_jpeg(image: Array) -> Array:
    done = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 75])[1]
    return np.ascontiguousarray(cv2.imdecode(done, cv2.IMREAD_COLOR)[..., ::-1])


def pil(image: Array, change) -> Array:
    return np.array(change(Image.fromarray(image)))


def resized(image: Array, side: int, kernel, back: int | None = None) -> Array:
    picture = Image.fromarray(image).resize((side, side), kernel)
    return np.array(picture.resize((back, back), kernel) if back else picture)


def kernel_2d(name: str) -> Array:
    plugin = parse(name).before[0].plugin
    if name.startswith("defocus"):
        y, x = np.mgrid[-9:10, -9:10]
        disk = (x**2 + y**2 <= plugin.radius**2).astype(np.float64)
        soft = np.exp(-0.5 * (np.arange(-1, 2) / plugin.alias) ** 2)
        return signal.convolve2d(disk / disk.sum(), np.outer(soft, soft) / soft.sum() ** 2, "same")
    taps = plugin.taps(math.radians(plugin.angle))
    reach = max(max(abs(y), abs(x)) for y, x, _ in taps)
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    for y, x, weight in taps:
        kernel[reach + y, reach + x] += weight
    return kernel


def convolved(image: Array, kernel: Array) -> Array:
    reach = len(kernel) // 2
    padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="edge").astype(np.float32)
    flipped = kernel[::-1, ::-1, None].astype(np.float32)
    return np.rint(signal.fftconvolve(padded, flipped, mode="valid", axes=(0, 1))).astype(np.uint8)


def cv_filter(image: Array, kernel: Array) -> Array:
    return cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REPLICATE)


def gaussian(image: Array, sigma: float) -> Array:
    blurred = ndimage.gaussian_filter(
        image.astype(np.float32), (sigma, sigma, 0), mode="nearest", truncate=4
    )
    return np.rint(blurred).astype(np.uint8)


def cv_gaussian(image: Array, sigma: float) -> Array:
    size = 2 * math.ceil(4 * sigma) + 1
    return cv2.GaussianBlur(image, (size, size), sigma, borderType=cv2.BORDER_REPLICATE)


def clipped(values: Array) -> Array:
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)


def around_mean(image: Array, factor: float) -> Array:
    mean = image.mean(axis=(0, 1))
    return clipped(mean + (image - mean) * factor)


def cv_around_mean(image: Array, factor: float) -> Array:
    mean = np.array(cv2.mean(image)[:3])
    tables = clipped(mean + (np.arange(256)[:, None] - mean) * factor)
    return cv2.LUT(image, tables[None])


def salted(image: Array) -> Array:
    out, drawn = image.copy(), rng.random(image.shape)
    out[drawn < 0.06], out[drawn < 0.03] = 0, 255
    return out


def sharpened(image: Array, blurred: Array) -> Array:
    return clipped(image + (image - blurred.astype(np.float32)))


def turned(image: Array) -> Array:
    side = image.shape[0]
    pad = math.ceil(side / 2 * math.sin(math.radians(2))) + 2
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
    picture = Image.fromarray(padded).rotate(2, Image.Resampling.BILINEAR)
    return np.array(picture.crop((pad, pad, pad + side, pad + side)))


def cv_turned(image: Array) -> Array:
    side = image.shape[0]
    matrix = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), 2, 1)
    return cv2.warpAffine(image, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)


def framed(image: Array) -> Array:
    inside = int(len(image) * 0.8 + 0.5)
    picture = Image.fromarray(image).resize((inside, inside), Image.Resampling.BILINEAR)
    return np.array(ImageOps.expand(picture, max(1, int(inside * 0.03 + 0.5)), (32, 32, 32)))


def pasted(image: Array) -> Array:
    plugin, black = parse("overlay").before[0].plugin, np.zeros_like(image)
    mask = plugin(black, rng)[..., 0]
    picture = Image.fromarray(image)
    picture.paste((255, 255, 255), mask=Image.fromarray(mask))
    return np.array(picture)


def uploaded(image: Array) -> Array:
    return saved(image, format="JPEG", quality=80, subsampling="4:2:0")


def by_hand(name: str, side: int) -> tuple[str, ByHand, ByHand]:
    """The condition timed, the libraries that are always there, and OpenCV."""
    bilinear, box, half = Image.Resampling.BILINEAR, Image.Resampling.BOX, side // 2
    inner, edge = int(side * 0.8 + 0.5), (side - int(side * 0.8 + 0.5)) // 2
    part = slice(edge, edge + inner)
    bar = side // 4
    table: dict[str, tuple[str, ByHand, ByHand]] = {
        "jpeg": (
            "jpeg",
            {"Pillow": lambda a: saved(a, format="JPEG", quality=75, subsampling="4:2:0")},
            {"OpenCV": cv_jpeg},
        ),
        "webp": ("webp", {"Pillow": lambda a: saved(a, format="WEBP", quality=75, method=4)}, {}),
        "avif": (
            "avif",
            {
                "Pillow": lambda a: saved(
                    a, format="AVIF", quality=75, speed=6, subsampling="4:2:0", max_threads=1
                )
            },
            {},
        ),
        "resize": ("resize(scale=0.5)", {"Pillow": lambda a: resized(a, half, bilinear, side)}, {}),
        "crop": (
            "crop(fraction=0.8)",
            {
                "numpy": lambda a: a[part, part].copy(),
                "Pillow": lambda a: pil(
                    a, lambda p: p.crop((edge, edge, edge + inner, edge + inner))
                ),
            },
            {},
        ),
        "letterbox": (
            "letterbox(ratio=1.5)",
            {"numpy": lambda a: np.pad(a, ((bar, bar), (0, 0), (0, 0)))},
            {"OpenCV": lambda a: cv2.copyMakeBorder(a, bar, bar, 0, 0, cv2.BORDER_CONSTANT)},
        ),
        "blur": (
            "blur(sigma=2)",
            {"scipy": lambda a: gaussian(a, 2)},
            {"OpenCV": lambda a: cv_gaussian(a, 2)},
        ),
        "defocus-blur": (
            "defocus-blur(radius=6)",
            {"scipy": lambda a: convolved(a, kernel_2d("defocus-blur(radius=6)"))},
            {"OpenCV": lambda a: cv_filter(a, kernel_2d("defocus-blur(radius=6)"))},
        ),
        "motion-blur": (
            "motion-blur(radius=10,angle=20)",
            {"scipy": lambda a: convolved(a, kernel_2d("motion-blur(radius=10,angle=20)"))},
            {"OpenCV": lambda a: cv_filter(a, kernel_2d("motion-blur(radius=10,angle=20)"))},
        ),
        "noise": (
            "noise(sigma=0.05)",
            {"numpy": lambda a: clipped(a + rng.normal(0, 12.75, a.shape))},
            {},
        ),
        "shot-noise": (
            "shot-noise(photons=25)",
            {"numpy": lambda a: clipped(rng.poisson(a / 255 * 25) / 25 * 255)},
            {},
        ),
        "salt-pepper": ("salt-pepper(amount=0.06)", {"numpy": salted}, {}),
        "speckle": (
            "speckle(sigma=0.2)",
            {"numpy": lambda a: clipped(a + a * rng.normal(0, 0.2, a.shape))},
            {},
        ),
        "brightness": (
            "brightness(factor=1.3)",
            {
                "numpy": lambda a: LUT_BRIGHT[a],
                "Pillow": lambda a: np.array(
                    ImageEnhance.Brightness(Image.fromarray(a)).enhance(1.3)
                ),
            },
            {"OpenCV": lambda a: cv2.LUT(a, LUT_BRIGHT)},
        ),
        "contrast": (
            "contrast(factor=0.5)",
            {"numpy": lambda a: around_mean(a, 0.5)},
            {"OpenCV": lambda a: cv_around_mean(a, 0.5)},
        ),
        "saturation": (
            "saturation(factor=0.5)",
            {"Pillow": lambda a: np.array(ImageEnhance.Color(Image.fromarray(a)).enhance(0.5))},
            {
                "OpenCV": lambda a: cv2.addWeighted(
                    a,
                    0.5,
                    cv2.cvtColor(cv2.cvtColor(a, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB),
                    0.5,
                    0,
                )
            },
        ),
        "gamma": (
            "gamma(gamma=1.5)",
            {
                "numpy": lambda a: LUT_GAMMA[a],
                "Pillow": lambda a: pil(a, lambda p: p.point([int(v) for v in LUT_GAMMA] * 3)),
            },
            {"OpenCV": lambda a: cv2.LUT(a, LUT_GAMMA)},
        ),
        "grayscale": (
            "grayscale",
            {"Pillow": lambda a: pil(a, lambda p: p.convert("L").convert("RGB"))},
            {
                "OpenCV": lambda a: cv2.cvtColor(
                    cv2.cvtColor(a, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB
                )
            },
        ),
        "posterize": (
            "posterize(bits=4)",
            {
                "numpy": lambda a: a & np.uint8(240),
                "Pillow": lambda a: pil(a, lambda p: ImageOps.posterize(p, 4)),
            },
            {},
        ),
        "pixelate": ("pixelate(scale=0.5)", {"Pillow": lambda a: resized(a, half, box, side)}, {}),
        "sharpen": (
            "sharpen(amount=1)",
            {"scipy": lambda a: sharpened(a, gaussian(a, 1))},
            {"OpenCV": lambda a: cv2.addWeighted(a, 2, cv_gaussian(a, 1), -1, 0)},
        ),
        "median": (
            "median(size=3)",
            {
                "Pillow": lambda a: pil(a, lambda p: p.filter(ImageFilter.MedianFilter(3))),
                "scipy": lambda a: ndimage.median_filter(a, (3, 3, 1), mode="nearest"),
            },
            {"OpenCV": lambda a: cv2.medianBlur(a, 3)},
        ),
        "screenshot": ("screenshot(scale=0.8)", {"Pillow": framed}, {}),
        "rotate": ("rotate(angle=2)", {"Pillow": turned}, {"OpenCV": cv_turned}),
        "flip": (
            "flip",
            {
                "numpy": lambda a: np.ascontiguousarray(a[:, ::-1]),
                "Pillow": lambda a: pil(a, ImageOps.mirror),
            },
            {"OpenCV": lambda a: cv2.flip(a, 1)},
        ),
        "overlay": ("overlay(size=0.1)", {"Pillow": pasted}, {}),
        "upload": ("upload(platform=facebook)", {"Pillow": uploaded}, {}),
    }
    return table[name]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=9)
    arguments.add_argument("--side", type=int, action="append")
    arguments.add_argument("--only", action="append")
    told = arguments.parse_args()
    photo = Image.fromarray(load_sample_images().images[0])
    for side in told.side or [224, 512]:
        image = np.array(photo.resize((side, side), Image.Resampling.LANCZOS))
        print(f"\n{side} px, ms per image, median of {told.rounds} interleaved rounds")
        for name in registry.corruptions():
            if not told.only or name in told.only:
                print(line(name, image, told.rounds))


def line(name: str, image: Array, rounds: int) -> str:
    condition, libraries, opencv = by_hand(name, image.shape[0])
    plugin = parse(condition).before[0].plugin
    ways: ByHand = {"bench": lambda a: plugin(a, rng), **libraries}
    if cv2 is not None:
        ways |= opencv
    results = {way: call(image) for way, call in ways.items()}
    repeats = {way: max(1, int(LEAST / _seconds(call, image, 1))) for way, call in ways.items()}
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, call in ways.items():
            times[way].append(_seconds(call, image, repeats[way]))
    medians = {way: 1000 * statistics.median(t) for way, t in times.items()}
    marks = {way: likeness(name, results["bench"], results[way]) for way in ways}
    columns = [f"{way} {medians[way]:.3f}{marks[way]}" for way in ways]
    same = [way for way in ways if way != "bench" and not marks[way]]
    ratio = f"{medians['bench'] / min(medians[w] for w in same):.1f}x" if same else "no like"
    return f"{condition:34s} {ratio:>8s}   " + ", ".join(columns)


def _seconds(call: Callable[[Array], Array], image: Array, repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        call(image)
    return (time.perf_counter() - start) / repeats


def likeness(name: str, ours: Array, theirs: Array) -> str:
    """Empty where the pixels are the same, ``~`` where nearly so."""
    if ours.shape == theirs.shape:
        if np.array_equal(ours, theirs):
            return ""
        if name in RANDOM and abs(float(ours.mean()) - float(theirs.mean())) < 1:
            return ""
        gap = np.abs(ours.astype(int) - theirs)
        if gap.max() <= 2 and (gap > 1).mean() <= 0.001:
            return " ~"
    return " (other pixels)"


if __name__ == "__main__":
    main()
