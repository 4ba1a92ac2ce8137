"""A verdict on an attack: working ones are not condemned by chance, broken ones always are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch

from attacks.apgd import APGD
from attacks.base import Attack, Perturbed
from attacks.gradient import input_gradient
from attacks.pgd import PGD
from bench.datasets import decode, pocket_root
from bench.datasets.open import open_data
from bench.datasets.policy import DecodePolicy
from bench.datasets.sources.image_bytes import open_bytes
from bench.inference.detector import DetectorRequest, resolve
from bench.scoring.attack_job import Job, Target
from bench.scoring.attacking import attack_all
from bench.support.progress import Silent
from leaderboards.tables.attack_checks import AttackScores, check_attacks
from leaderboards.tables.attacks import AttackFacts

SEEDS = 3
IMAGES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeroStep(Attack):
    """A search that never moves."""

    name: ClassVar[str] = "zero-step"
    summary: ClassVar[str] = "broken"
    concurrent: ClassVar[bool] = True

    def perturb(self, logit_fn, canvas, labels, seeds):
        input_gradient(logit_fn, canvas, labels, "margin")
        return Perturbed(canvas, torch.ones_like(labels), 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongSign(PGD):
    """PGD that walks downhill."""

    name: ClassVar[str] = "wrong-sign"

    def gradient_step(self, images, grad):
        return super(WrongSign, self).gradient_step(images, -grad)


@pytest.fixture(scope="module")
def material():
    """A trained detector, and canvases of the embedded test split, both classes alike."""
    manifest = open_data("pocket", Silent())
    rows = manifest.rows("test")
    records = [r for r in manifest.records(rows) if r.generator in ("vae", "photo")]
    fakes, reals = ([r for r in records if r.label == label][: IMAGES // 2] for label in (1, 0))
    records = [r for pair in zip(fakes, reals, strict=True) for r in pair]
    detector = resolve(DetectorRequest("genimage-cnn")).to(torch.device("cpu"))
    canvases = [
        detector.fit(decode(open_bytes(pocket_root(), r.locator), DecodePolicy())) for r in records
    ]
    return detector, records, canvases


def condemned(material, attack, seed):
    """Whether the check finds the attack unreliable under one seed."""
    detector, records, canvases = material
    target = Target(detector.checked_logits, 32, torch.device("cpu"), seed)
    job = Job(attack, "0:tried", lambda: detector.checked_logits)
    (attacked,) = attack_all([job], canvases, records, target).attacked
    assert attacked.error is None, attacked.error
    with torch.inference_mode():
        batch = torch.from_numpy(np.stack(canvases)).float() / 255
        clean = detector.checked_logits(batch).numpy()
        moved = torch.from_numpy(np.stack(attacked.images)).float() / 255
        logits = detector.checked_logits(moved).numpy()
    facts = AttackFacts(
        name=attack.name, family="f", ladder="l", chain="*", norm=attack.norm, eps=attack.eps,
        goal="both", quantize=True, knowledge="white-box", iterative=True,
    )  # fmt: skip
    column = AttackScores(
        detector="d", condition="c", facts=facts, clean=clean, logits=logits,
        attacked=np.ones(len(clean), bool), grad_zero=attacked.grad_zero.astype(np.float32),
        unbounded=attacked.unbounded.astype(np.float32),
        unrounded=attacked.unrounded.astype(np.float32),
    )  # fmt: skip
    labels = np.array([r.label for r in records])
    checks = {c.name: c for c in check_attacks(labels, [column], {"d": 0.0})}
    return checks["unbounded eps fools"].passed is False


@pytest.mark.parametrize("attack", [PGD(steps=3), APGD(steps=4)], ids=lambda a: a.name)
def test_a_working_attack_is_not_condemned(material, attack):
    assert sum(condemned(material, attack, seed) for seed in range(SEEDS)) == 0


@pytest.mark.parametrize("attack", [ZeroStep(), WrongSign(steps=3)], ids=lambda a: a.name)
def test_a_broken_attack_is_condemned_under_every_seed(material, attack):
    assert all(condemned(material, attack, seed) for seed in range(SEEDS))
