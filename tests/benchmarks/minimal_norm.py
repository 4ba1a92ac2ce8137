"""Distances of the minimal-norm attacks beside foolbox's, at equal gradients, on the zoo's CIFAKE detectors.

    python -m tests.benchmarks.minimal_norm CIFAKE [--images 500] [--steps 100] [--detector D] [--device cuda]

Prints a row of Markdown a detector and attack: the median distance of bench (as floats, as foolbox's are,
and as 8-bit pictures, as a board's are), that of foolbox, their ratio, the share of images for which
bench's is the nearer, and how many have none (bench, bench 8-bit, foolbox). An image that is judged wrongly
as it is has distance 0 on both sides.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import eagerpy as ep
import foolbox
import numpy as np
import torch
from foolbox.devutils import atleast_kd, flatten
from torch import Tensor, nn

from attacks.ddn import DDN
from attacks.fmn import FMN, FMNL2
from attacks.minimal import Hunt, MinimalNorm
from bench.datasets import index, load
from bench.inference.detector import DetectorRequest, resolve
from bench.inference.device import quiet_numerics

DETECTORS = ("cifake-cnn.cifake", "genimage-cnn.cifake", "mobilenetv2_100.cifake")


class L2FMN(foolbox.attacks.L2FMNAttack):
    """foolbox's, whose projection is mended: release 3.3.4 divides a length by itself there."""

    def project(self, x, x0, epsilon):
        length = ep.maximum(flatten(x - x0).norms.l2(axis=-1), 1e-12)
        return x0 + (x - x0) * atleast_kd(ep.minimum(1, epsilon / length), x.ndim)


PAIRS = {
    "fmn": (FMN, foolbox.attacks.LInfFMNAttack),
    "fmn-l2": (FMNL2, L2FMN),
    "ddn": (DDN, foolbox.attacks.DDNAttack),
}


class TwoLogits(nn.Module):
    def __init__(self, detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor) -> Tensor:
        z = self.detector.checked_logits(images)
        return torch.stack([torch.zeros_like(z), z], 1)


class Distances(NamedTuple):
    """(n,) distances as floats, as 8-bit pictures, and foolbox's; infinite where nothing fooled."""

    ours: np.ndarray
    eight_bit: np.ndarray
    theirs: np.ndarray


def measured(detector, adversarial: Tensor, images: Tensor, labels: Tensor, norm: str) -> Tensor:
    """Distances of pictures in a norm; infinite where one does not fool."""
    with torch.no_grad():
        fools = (detector.checked_logits(adversarial) > 0) != (labels == 1)
    order = float("inf") if norm == "linf" else 2
    length = torch.linalg.vector_norm((adversarial - images).flatten(1), ord=order, dim=1)
    return torch.where(fools, length, float("inf"))


def compare(detector, kind: type[MinimalNorm], theirs: type, batches, steps: int) -> Distances:
    """Both sides with the same number of gradients, a batch at a time."""
    device = batches[0][0].device
    model = foolbox.PyTorchModel(TwoLogits(detector).eval(), bounds=(0, 1), device=device)
    published = theirs(steps=steps)
    columns: list[list[Tensor]] = [[], [], []]
    for images, labels in batches:
        # One search serves both columns: only how its change is handed in differs.
        hunt = Hunt.start(kind(steps=steps), detector.checked_logits, images, labels)
        hunt.attack.search(hunt)
        for column, quantize in zip(columns, (False, True), strict=False):
            hunt.attack = kind(steps=steps, quantize=quantize)
            handed_in = hunt.attack._nearest(hunt)
            column.append(measured(detector, handed_in, images, labels, kind.norm))
        adversarial, _, _ = published(model, images, labels, epsilons=None)
        columns[2].append(measured(detector, adversarial, images, labels, kind.norm))
    return Distances(*(torch.cat(column).double().cpu().numpy() for column in columns))


def pictures(detector, data: Path, count: int, size: int, device: torch.device):
    """Images and labels of the test split, evenly spaced, in batches on a device."""
    manifest = index(str(data), split="test")
    records = list(manifest.records(range(0, len(manifest), len(manifest) // count)))[:count]
    canvas = np.stack([detector.fit(load(manifest.root, r)) for r in records])
    images = torch.from_numpy(canvas).to(device).float() / 255
    labels = torch.tensor([r.label for r in records], device=device)
    return list(zip(images.split(size), labels.split(size), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of CIFAKE")
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--detector", action="append", choices=DETECTORS)
    parser.add_argument("--attack", action="append", choices=PAIRS)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    given = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(given.device)
    quiet_numerics(device)
    where = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    print(
        f"{given.images} images, {given.steps} gradients, torch {torch.__version__}, {where}",
        flush=True,
    )
    print("| detector | attack | foolbox | bench | ratio | nearer | bench, 8-bit | no distance |")
    print("|---|---|---|---|---|---|---|---|")
    for name in given.detector or DETECTORS:
        detector = resolve(DetectorRequest(name)).to(device)
        detector.fold()
        batches = pictures(detector, given.data, given.images, given.batch, device)
        for attack in given.attack or PAIRS:
            kind, theirs = PAIRS[attack]
            found = compare(detector, kind, theirs, batches, given.steps)
            ours, eight_bit, published = (float(np.median(column)) for column in found)
            open_ = [int(np.isinf(column).sum()) for column in found]
            print(
                f"| `{name}` | `{attack}` | {published:.5f} | {ours:.5f} | {ours / published:.3f} | "
                f"{(found.ours < found.theirs).mean():.3f} | {eight_bit:.5f} | {open_} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
