"""A certificate is a proof: no attack on the smoothed detector may break what is certified of it.

On tiles of the embedded set; where BENCH_TEST_CIFAKE names a copy of CIFAKE, on its detectors too.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from attacks.pgd import PGDL2
from attacks.smoothing import Smoothing
from bench.datasets import index, load
from bench.datasets.open import open_data
from bench.inference.detector import DetectorRequest, resolve
from bench.support.progress import Silent
from leaderboards.tables.further.certified import CertificateFacts, certificates

CIFAKE = os.environ.get("BENCH_TEST_CIFAKE", "")
needs_cifake = pytest.mark.skipif(not CIFAKE, reason="BENCH_TEST_CIFAKE names no folder")
SIGMA, N, N0 = 0.02, 200, 20
RADII = (0.01, 0.025, 1.0)  # the last is past the largest that so many copies can prove


def pictures(detector, manifest, count, generator):
    """Reals and fakes in equal numbers, as the detector takes them."""
    records = list(manifest.records(manifest.rows("test")))
    reals = [r for r in records if r.label == 0][: count // 2]
    fakes = [r for r in records if r.label == 1 and generator in r.generator][: count // 2]
    canvases = [detector.fit(load(manifest.root, r)) for r in (*reals, *fakes)]
    labels = torch.tensor([0] * len(reals) + [1] * len(fakes))
    return torch.from_numpy(np.stack(canvases)).float() / 255, labels


def certified(detector, images, labels):
    """(n,) radius within which the right verdict is proven; 0 where it is not."""
    smoothing = Smoothing(sigma=SIGMA, n=N, n0=N0)
    with torch.no_grad():
        votes = [
            smoothing.votes(detector.checked_logits, image, seed, batch_size=55)
            for seed, image in enumerate(images)
        ]
    pilot, main = (np.array([getattr(vote, name) for vote in votes]) for name in ("pilot", "main"))
    facts = CertificateFacts(sigma=SIGMA, n=N, n0=N0, alpha=smoothing.alpha)
    given = certificates(pilot, main, facts)
    return np.where(given.verdict == labels.numpy(), given.radius, 0.0)


def held(name, images, labels, radius):
    """(n,) bool: the smoothed verdict stays right under PGD in L2, whose gradient is over noisy copies."""
    request = DetectorRequest(f"defended({name},smoothing(sigma={SIGMA},n=40,eot=4))")
    smoothed = resolve(request).to(torch.device("cpu"))
    attack = PGDL2(eps=radius, steps=3, quantize=False, random_start=False)
    moved = attack(smoothed.checked_logits, images, labels, range(len(labels)))
    with torch.no_grad():
        logits = smoothed.checked_logits(moved.adversarial)
    return ((logits > 0) == (labels == 1)).numpy()


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("genimage-cnn", 16),
        *(
            pytest.param(f"{name}.cifake", 40, marks=needs_cifake)
            for name in ("cifake-cnn", "genimage-cnn", "mobilenetv2_100")
        ),
    ],
)
def test_no_attack_breaks_what_is_certified(name, count, tmp_path):
    if name.endswith("cifake"):
        manifest = index(CIFAKE, split="test", cache_dir=tmp_path)
    else:
        manifest = open_data("pocket", Silent())
    detector = resolve(DetectorRequest(name)).to(torch.device("cpu"))
    images, labels = pictures(detector, manifest, count, "" if "cifake" in name else "vae")
    radius = certified(detector, images, labels)
    robust = [held(name, images, labels, r) for r in RADII]
    shares = [
        (float((radius >= r).mean()), float(h.mean())) for r, h in zip(RADII, robust, strict=True)
    ]
    for r, holds in zip(RADII, robust, strict=True):
        assert holds[radius >= r].all()
    assert all(proven <= left for proven, left in shares)
    # Something is proven, and the attack is one that breaks what is not.
    assert shares[0][0] > 0.25
    assert shares[-1][1] < shares[0][1] - 0.1
