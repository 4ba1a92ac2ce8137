"""The whole of `bench run` beside the networks alone, and beside the loop that evaluations usually are.

    python -m tests.benchmarks.engine forward [--rounds 5] [--images 64] [--detectors timm/resnet50]
    python -m tests.benchmarks.engine cells [--rounds 5] [--images 16] [--generators 3 8 16]

`forward`: the share of the whole that the same forward passes take alone, one batch a thread on ready
tensors. `cells`: the usual loop goes through detector, generator and condition; each cell has a DataLoader
that opens, degrades and resizes its images anew with PIL, and scores the reals again for every generator.
Both times are of everything: indexing, networks, metrics. Pictures are drawn, weights are random: neither
changes the time.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter
from sklearn.metrics import accuracy_score, average_precision_score, roc_auc_score
from torch.utils.data import DataLoader, Dataset

import bench
from bench.inference.batches import auto_batch
from bench.inference.detector import DetectorRequest, resolve
from bench.inference.networks import Networks
from bench.inference.profiling import Stopwatch
from bench.inference.threads import Lanes
from bench.protocol.suite import Suite
from tests.benchmarks.rounds import interleaved, machine, ratio, told

CPU = torch.device("cpu")
CONDITIONS = [
    "clean", "jpeg(quality=90)", "jpeg(quality=50)", "webp(quality=80)", "blur(sigma=2)", "resize(scale=0.5)",
]  # fmt: skip


def pictures(root: Path, generators: int, images: int, side: int) -> Path:
    """``images`` reals and as many fakes of each generator, as JPEG; a manifest pairs all with the reals."""
    rng, rows = np.random.default_rng(0), ["path,label,generator"]
    names = ["", *(f"g{i:02d}" for i in range(generators))]
    for name in names:
        folder = root / (name or "real")
        folder.mkdir(parents=True)
        for number in range(images):
            # As smooth as photographs: what codecs take for one depends on it.
            waves = rng.normal(0, 1, (side // 8, side // 8, 3)).cumsum(0).cumsum(1)
            waves = 255 * (waves - waves.min()) / np.ptp(waves)
            picture = Image.fromarray(waves.astype(np.uint8)).resize(
                (side, side), Image.Resampling.BICUBIC
            )
            grain = rng.normal(0, 6, (side, side, 3)) + np.asarray(picture)
            path = folder / f"{number:04d}.jpg"
            Image.fromarray(grain.clip(0, 255).astype(np.uint8)).save(path, quality=92)
            rows.append(f"{path.relative_to(root)},{'fake' if name else 'real'},{name}")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    return root / "manifest.csv"


def whole(manifest: Path, detectors: list[str], suite: Suite, expected: int) -> None:
    """`bench run` from nothing: index, score, store, board."""
    place = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        run = bench.run(
            detectors, suite=suite, data=manifest, out=place / "out", cache=place / "cache",
            allow_untrained=True,
        )  # fmt: skip
        assert run.counts.scored == expected, run.counts
        assert not run.report.incomplete
    finally:
        shutil.rmtree(place)


def forward(given: argparse.Namespace, root: Path) -> None:
    manifest = pictures(root, 1, given.images // 2, given.side)
    suite = Suite(name="forward", slices=["generator"], conditions=CONDITIONS)
    threads = torch.get_num_threads()
    canvases: dict[str, list[np.ndarray]] = {}
    loaded = {
        name: resolve(DetectorRequest(name), allow_untrained=True).to(CPU)
        for name in given.detectors
    }
    for name, detector in loaded.items():
        detector.fold()
        files = sorted(root.rglob("*.jpg"))
        canvases[name] = [detector.fit(np.asarray(Image.open(path))) for path in files]

    def alone() -> None:
        with ThreadPoolExecutor(threads) as pool:
            lanes = Lanes(pool, threads)
            networks = Networks.of(loaded.values(), CPU, lanes, Stopwatch())
            into = np.empty(given.images, np.float32)
            waiting = [
                (
                    detector,
                    networks.submit(
                        detector,
                        canvases[name],
                        auto_batch(detector.card.input.canvas, CPU),
                        "fp32",
                    ),
                )
                for name, detector in loaded.items()
                for _ in CONDITIONS
            ]
            for detector, submitted in waiting:
                networks.gather(detector, submitted, into)
            lanes.close()

    expected = given.images * len(CONDITIONS) * len(loaded)
    sides = {"networks": alone, "whole": lambda: whole(manifest, given.detectors, suite, expected)}
    found = interleaved(sides, given.rounds, control="networks")
    title = f"{' + '.join(given.detectors)}, {given.images} images, {len(CONDITIONS)} conditions"
    print(told(found))
    ratio(title, found, "networks", "whole")
    ratio("control", found, "networks again", "networks")


# ---- the usual loop


def degrade(image: Image.Image, condition: str) -> Image.Image:
    """What `CONDITIONS` do, as evaluation scripts do it with PIL."""
    name, _, rest = condition.partition("(")
    value = float(rest.rstrip(")").partition("=")[2] or 0)
    match name:
        case "jpeg" | "webp":
            buffer = io.BytesIO()
            image.save(buffer, format=name.upper(), quality=int(value))
            return Image.open(buffer).convert("RGB")
        case "blur":
            return image.filter(ImageFilter.GaussianBlur(value))
        case "resize":
            small = image.resize(
                (int(image.width * value), int(image.height * value)), Image.Resampling.BICUBIC
            )
            return small.resize(image.size, Image.Resampling.BICUBIC)
    return image


class Cell(Dataset):
    def __init__(self, files: list[tuple[Path, int]], condition: str, side: int) -> None:
        from torchvision import transforms

        self.files, self.condition = files, condition
        self.transform = transforms.Compose(
            [
                transforms.Resize(side, transforms.InterpolationMode.BICUBIC),
                transforms.CenterCrop(side),
                transforms.ToTensor(),
                transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
            ]
        )

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        path, label = self.files[index]
        return self.transform(degrade(Image.open(path).convert("RGB"), self.condition)), label


def loop(root: Path, detectors: list[str], generators: int, workers: int) -> None:
    """Detector by generator by condition, each cell from its files: inference mode, torch's own threads."""
    reals = [(path, 0) for path in sorted((root / "real").iterdir())]
    for name in detectors:
        detector = resolve(DetectorRequest(name), allow_untrained=True).to(CPU)
        network, side = detector.network, detector.card.input.size
        for g in range(generators):
            files = reals + [(path, 1) for path in sorted((root / f"g{g:02d}").iterdir())]
            for condition in CONDITIONS:
                scores, labels = [], []
                cell = Cell(files, condition, side)
                with torch.inference_mode():
                    for images, targets in DataLoader(cell, batch_size=32, num_workers=workers):
                        scores += network(images).sigmoid().flatten().tolist()
                        labels += targets.tolist()
                accuracy_score(labels, np.array(scores) > 0.5)
                roc_auc_score(labels, scores)
                average_precision_score(labels, scores)


def cells(given: argparse.Namespace, root: Path) -> None:
    suite = Suite(name="cells", slices=["generator"], conditions=CONDITIONS)
    for generators in given.generators:
        place = root / str(generators)
        manifest = pictures(place, generators, given.images, given.side)
        unique = (generators + 1) * given.images
        expected = unique * len(CONDITIONS) * len(given.detectors)

        def usual(place: Path = place, generators: int = generators) -> None:
            loop(place, given.detectors, generators, given.workers)

        def ours(manifest: Path = manifest, expected: int = expected) -> None:
            whole(manifest, given.detectors, suite, expected)

        found = interleaved({"loop": usual, "bench": ours}, given.rounds, control="bench")
        print(told(found))
        title = f"{generators} generators x {len(CONDITIONS)} conditions x {len(given.detectors)} detectors"
        ratio(title, found, "loop", "bench")
        ratio("control", found, "bench again", "bench")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=["forward", "cells"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--images", type=int, help="forward: in all (64); cells: of each source (16)"
    )
    parser.add_argument("--side", type=int, default=256, help="of the pictures, px")
    parser.add_argument(
        "--detectors", nargs="+", help="forward: timm/resnet50; cells: a small pair"
    )
    parser.add_argument("--generators", type=int, nargs="+", default=[3])
    parser.add_argument("--workers", type=int, default=0, help="of the loop's DataLoader")
    given = parser.parse_args()
    given.images = given.images or {"forward": 64, "cells": 16}[given.what]
    small = ["mobilenetv2_100", "timm/resnet18"]
    given.detectors = given.detectors or {"forward": ["timm/resnet50"], "cells": small}[given.what]
    root = Path(tempfile.mkdtemp(prefix="bench-data-"))
    print(machine(), f"pid {os.getpid()}", flush=True)
    try:
        {"forward": forward, "cells": cells}[given.what](given, root)
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
