"""Attacks timed against torchattacks, interleaved, with torchattacks timed against itself as control.

    python -m tests.benchmarks.attacks [--rounds 5] [--batch 4] [--detector NAME] [--size 224]

Prints one line a comparison: median seconds of each side, the median ratio of a round with its range,
and whether the results are equal. A ratio is only worth something where the control's range holds 1.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torchattacks
from torch import Tensor, nn
from torch.nn import functional as F

from attacks.fgsm import FGSM
from attacks.pgd import PGD
from bench.datasets import DecodePolicy, load
from bench.datasets.open import open_data
from bench.inference.detector import DetectorRequest, resolve
from bench.scoring.logit_functions import Remembered
from bench.store import units as planning
from bench.support.progress import Silent

FAMILY = (1 / 255, 2 / 255, 4 / 255, 8 / 255)


class TwoLogits(nn.Module):
    def __init__(self, detector) -> None:
        super().__init__()
        self.net = nn.ModuleList(detector.modules())
        self.detector = detector

    def forward(self, images: Tensor) -> Tensor:
        z = self.detector.logits(images)
        return torch.stack([torch.zeros_like(z), z], 1)


def timed(work: Callable[[], object]) -> tuple[float, object]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def compare(title: str, rounds: int, sides: dict[str, Callable[[], object]]) -> dict[str, object]:
    """Rounds in which every side runs once, the order turned each round; the last side is the base."""
    names = list(sides)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    results: dict[str, object] = {}
    for name in names:
        results[name] = sides[name]()  # warm-up
    for number in range(rounds):
        turn = names[number % len(names) :] + names[: number % len(names)]
        for name in turn:
            taken, results[name] = timed(sides[name])
            seconds[name].append(taken)
    base = names[-1]
    for name in names[:-1]:
        ratios = [b / a for a, b in zip(seconds[name], seconds[base], strict=True)]
        print(
            f"{title}: {name} {statistics.median(seconds[name]):.3f} s, {base} "
            f"{statistics.median(seconds[base]):.3f} s, {base}/{name} = "
            f"{statistics.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f}, "
            f"{rounds} rounds)"
        )
    return results


def fgsm_family(detector, images: Tensor, labels: Tensor, rounds: int) -> None:
    model = TwoLogits(detector).eval()
    seeds = range(len(images))

    def ours() -> list[Tensor]:
        memory = Remembered(detector.checked_logits)
        moved = [
            FGSM(eps=e, loss="ce", quantize=False)(memory, images, labels, seeds).adversarial
            for e in FAMILY
        ]
        with torch.inference_mode():
            return [memory.logits.detach(), *(detector.checked_logits(m) for m in moved)]

    def theirs() -> list[Tensor]:
        moved = [torchattacks.FGSM(model, eps=e)(images, labels) for e in FAMILY]
        with torch.inference_mode():
            return [detector.checked_logits(m) for m in (images, *moved)]

    title = "FGSM at four eps and clean"
    found = compare(title, rounds, {"bench": ours, "control": theirs, "torchattacks": theirs})
    pairs = zip(found["bench"], found["torchattacks"], strict=True)
    print(f"{title}: logits equal bit for bit: {all(torch.equal(a, b) for a, b in pairs)}")


def pgd_full(detector, images: Tensor, labels: Tensor, rounds: int, name: str) -> None:
    model = TwoLogits(detector).eval()
    plain = PGD(random_start=False, loss="ce", keep="last", quantize=False)

    def theirs() -> Tensor:
        return torchattacks.PGD(model, random_start=False)(images, labels)

    quick = resolve(DetectorRequest(name)).to(torch.device("cpu"))
    quick.fold()

    def ours(of) -> Tensor:
        return plain(of.checked_logits, images, labels, range(len(images))).adversarial

    sides = {
        "default": lambda: ours(quick),
        "bench": lambda: ours(detector),
        "control": theirs,
        "torchattacks": theirs,
    }
    found = compare("PGD-10, full length", rounds, sides)
    print(
        "PGD-10, full length: images equal bit for bit: "
        f"{torch.equal(found['bench'], found['torchattacks'])}"
    )


def early_stop(detector, images: Tensor, labels: Tensor, rounds: int) -> None:
    def run(stop: str):
        attack = PGD(stop=stop, keep="last" if stop == "success" else "best")
        return attack(detector.checked_logits, images, labels, range(len(images)))

    found = compare(
        "PGD-10, stop=success",
        rounds,
        {"stop": lambda: run("success"), "full": lambda: run("never")},
    )
    with torch.inference_mode():
        clean = (detector.checked_logits(images) > 0) == (labels == 1)
        for name, result in found.items():
            wrong = (detector.checked_logits(result.adversarial) > 0) != (labels == 1)
            print(
                f"PGD-10, {name}: {int(result.steps.sum())} gradients, "
                f"success {int((wrong & clean).sum())} of {int(clean.sum())}"
            )


def pictures(detector, name: str, count: int) -> tuple[Tensor, Tensor]:
    """Images the detector's own way, half of them fake, from the test split."""
    manifest = open_data(name, Silent())
    records = list(manifest.records(planning.select(manifest, "test", None, 0)))
    half = [r for r in records if r.label == 0][: count // 2]
    half += [r for r in records if r.label == 1][: count - count // 2]
    policy = DecodePolicy()
    fitted = [torch.from_numpy(detector.fit(load(manifest.root, r, policy))) for r in half]
    return torch.stack(fitted).float() / 255, torch.tensor([r.label for r in half])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--detector", default="resnet50")
    parser.add_argument("--data", default="pocket")
    parser.add_argument("--size", type=int, help="resample the canvases to this side, for timing")
    given = parser.parse_args()
    torch.set_num_threads(1)
    detector = resolve(DetectorRequest(given.detector)).to(torch.device("cpu"))
    images, labels = pictures(detector, given.data, given.batch)
    if given.size:
        images = F.interpolate(images, (given.size, given.size), mode="bilinear").clamp(0, 1)
        images = (images * 255).round() / 255
    print(f"{given.detector}, {tuple(images.shape)}, one thread, torch {torch.__version__}")
    fgsm_family(detector, images, labels, given.rounds)
    pgd_full(detector, images, labels, given.rounds, given.detector)
    early_stop(detector, images, labels, given.rounds)


if __name__ == "__main__":
    main()
