"""What the base class promises for every attack, good or bad."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch

from attacks.base import Attack, NotAttackableError, Perturbed, ThreatModel
from attacks.fgsm import FGSM
from attacks.pgd import PGD, PGDL2

KINDS = [FGSM, PGD]


def run(attack, toy, **changes):
    inputs = {"canvas": toy.canvas, "labels": toy.labels, "seeds": toy.seeds, **changes}
    return attack(toy.logits, **inputs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("eps", [1 / 255, 2.5 / 255, 4 / 255, 8 / 255, 0.1, 1.0])
def test_quantised_results_lie_on_the_grid_inside_the_budget(kind, toy, eps):
    result = run(kind(eps=eps), toy)
    levels = result.adversarial.double() * 255
    base = (toy.canvas.double() * 255).round()
    assert (levels - levels.round()).abs().max() < 1e-4
    assert (levels.round() - base).abs().max() <= eps * 255 + 1e-9
    assert result.adversarial.min() >= 0
    assert result.adversarial.max() <= 1
    # What an 8-bit file gives back is the very tensor that was scored.
    adversarial = result.adversarial.cpu()  # where a division by 255 is one
    stored = (adversarial * 255).round().to(torch.uint8)
    assert torch.equal(stored.float() / 255, adversarial)
    assert bool((result.linf > 0).all())


@pytest.mark.parametrize(
    ("eps", "levels"), [(0.031372549, 8), (0.0313, 7), (0.03137, 7), (8.0001 / 255, 8), (0.0039, 0)]
)
def test_a_typed_out_eps_means_the_levels_it_was_typed_for(toy, eps, levels):
    if not levels:
        with pytest.raises(ValueError, match="less than one level"):
            FGSM(eps=eps)
        return
    result = run(FGSM(eps=eps), toy)
    assert result.linf.max().item() == pytest.approx(levels / 255, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("eps", [0.3 / 255, 4 / 255, 0.07])
def test_float_results_stay_inside_the_budget(kind, toy, eps):
    result = run(kind(eps=eps, quantize=False), toy)
    assert (result.adversarial.double() - toy.canvas.double()).abs().max() <= eps + 1e-6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("quantize", [True, False])
def test_eps_zero_is_the_clean_image_bit_for_bit(kind, toy, quantize):
    result = run(kind(eps=0, quantize=quantize), toy)
    assert torch.equal(result.adversarial, toy.canvas)
    assert result.attacked.all()
    assert not result.linf.any()
    assert not result.steps.any()
    assert np.isnan(result.grad_zero)


@pytest.mark.parametrize("kind", KINDS)
def test_the_result_describes_itself(kind, toy):
    result = run(kind(), toy)
    delta = (result.adversarial - toy.canvas).flatten(1)
    assert torch.equal(result.linf, delta.abs().max(1).values)
    assert torch.allclose(result.l2, delta.double().pow(2).sum(1).sqrt().float(), rtol=1e-5)
    assert result.steps.tolist() == [1 if kind is FGSM else 10] * 32
    assert 0 <= result.grad_zero < 0.5
    dtypes = (result.attacked, result.linf, result.l2, result.steps)
    assert [t.dtype for t in dtypes] == [torch.bool, torch.float32, torch.float32, torch.int32]
    assert all(t.device == toy.canvas.device for t in (*dtypes, result.adversarial))
    assert not result.adversarial.requires_grad


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("goal", "label"), [("evade", 1), ("frame", 0)])
def test_a_goal_leaves_the_other_images_alone(kind, toy, goal, label):
    result = run(kind(goal=goal), toy)
    named = toy.labels == label
    assert torch.equal(result.attacked, named)
    assert torch.equal(result.adversarial[~named], toy.canvas[~named])
    assert not result.linf[~named].any()
    assert not result.steps[~named].any()
    assert bool((result.linf[named] > 0).all())
    both = run(kind(goal="both"), toy)
    assert torch.equal(toy.fooled(result.adversarial), toy.fooled(both.adversarial) & named)


def test_nothing_to_attack(toy):
    calls = []
    fakes = torch.ones_like(toy.labels)
    result = PGD(goal="frame")(calls.append, toy.canvas, fakes, toy.seeds)
    assert torch.equal(result.adversarial, toy.canvas)
    assert not result.attacked.any()
    assert calls == []
    empty = PGD()(calls.append, toy.canvas[:0], toy.labels[:0], [])
    assert empty.adversarial.shape == (0, 3, 32, 32)
    assert empty.linf.shape == (0,)


@pytest.mark.parametrize("kind", KINDS)
def test_attacks_push_logits_the_way_the_label_says(kind, toy):
    result = run(kind(), toy)
    with torch.no_grad():
        change = toy.logits(result.adversarial) - toy.logits(toy.canvas)
    assert bool((change[toy.labels == 1] < 0).all())
    assert bool((change[toy.labels == 0] > 0).all())


def test_success_grows_with_eps_and_pgd_is_at_least_as_strong_as_fgsm(toy):
    with torch.no_grad():
        right = ((toy.logits(toy.canvas) > 0) == (toy.labels == 1)).sum()
    assert right >= 30  # the detector is worth attacking
    rates = {
        kind: [int(toy.fooled(run(kind(eps=k / 255), toy).adversarial).sum()) for k in (1, 2, 4, 8)]
        for kind in KINDS
    }
    for counts in rates.values():
        assert counts == sorted(counts)
        assert counts[0] < right // 2
    assert rates[PGD][0] < rates[PGD][-1] == right
    assert all(pgd >= fgsm for pgd, fgsm in zip(rates[PGD], rates[FGSM], strict=True))


def test_the_threshold_is_taken_off_before_the_loss(toy):
    """Cross-entropy saturates far from the threshold, not far from 0; the margin has no such place."""
    attack = FGSM(loss="ce", goal="frame")
    with pytest.raises(NotAttackableError, match="saturated"):
        run(attack, toy, threshold=300.0)
    near = attack(lambda x: toy.logits(x) + 300, toy.canvas, toy.labels, toy.seeds, 300.0)
    assert near.attacked.sum() == 16
    shifted = run(PGD(), toy, threshold=1.5)
    assert torch.equal(shifted.adversarial, run(PGD(), toy).adversarial)


def test_the_callers_grad_mode_tensors_and_generators_are_left_alone(toy):
    canvas = toy.canvas.clone()
    state = torch.get_rng_state()
    plain = run(PGD(), toy)
    with torch.no_grad():
        under_no_grad = run(PGD(), toy)
    with torch.inference_mode():
        scored = toy.canvas.clone()
        under_inference = run(PGD(), toy, canvas=scored)
    assert torch.equal(under_no_grad.adversarial, plain.adversarial)
    assert torch.equal(under_inference.adversarial, plain.adversarial)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(toy.canvas, canvas)
    assert not toy.canvas.requires_grad
    assert all(p.grad is None for p in toy.net.parameters())


@dataclass(frozen=True, slots=True, kw_only=True)
class Rogue(Attack):
    """A plug-in that keeps no rule."""

    name: ClassVar[str] = "rogue"
    summary: ClassVar[str] = "keeps no rule"

    push: float = 5.0

    def perturb(self, logit_fn, canvas, labels, seeds):
        moved = canvas + self.push * torch.linspace(-1, 1, canvas[0].numel()).reshape_as(canvas[0])
        return Perturbed(moved, torch.zeros_like(labels))


@dataclass(frozen=True, slots=True, kw_only=True)
class RogueL2(Rogue):
    norm: ClassVar = "l2"


@pytest.mark.parametrize("push", [5.0, 0.02, -1e6])
@pytest.mark.parametrize("quantize", [True, False])
@pytest.mark.parametrize("eps", [2.5 / 255, 8 / 255])
def test_a_rogue_attack_is_brought_into_an_linf_budget(push, quantize, eps):
    canvas = torch.randint(0, 256, (4, 3, 9, 5)).float() / 255
    labels = torch.tensor([0, 1, 0, 1])
    result = Rogue(push=push, eps=eps, quantize=quantize)(None, canvas, labels, range(4))
    assert result.linf.max() <= eps + 1e-6
    assert result.adversarial.min() >= 0
    assert result.adversarial.max() <= 1
    assert bool((result.linf > 0).all())


@pytest.mark.parametrize("push", [5.0, 0.02])
@pytest.mark.parametrize("quantize", [True, False])
@pytest.mark.parametrize("eps", [0.1, 0.5, 3.0])
def test_a_rogue_attack_is_brought_into_an_l2_budget(push, quantize, eps):
    canvas = torch.randint(0, 256, (4, 3, 9, 5)).float() / 255
    labels = torch.tensor([0, 1, 0, 1])
    attack = RogueL2(push=push, eps=eps, quantize=quantize)
    assert attack.threat == ThreatModel("l2", eps, "both", quantize)
    result = attack(None, canvas, labels, range(4))
    assert result.l2.max() <= eps * (1 + 1e-6)
    assert result.adversarial.min() >= 0
    assert result.adversarial.max() <= 1
    assert bool((result.l2 > 0).all())
    if quantize:
        levels = result.adversarial * 255
        assert (levels - levels.round()).abs().max() < 1e-4


def test_an_attack_that_returns_nan_or_another_shape_is_no_result():
    canvas = torch.zeros(2, 3, 4, 4)
    labels = torch.tensor([0, 1])
    with pytest.raises(NotAttackableError, match="nan or infinite pixels for 2 of 2 images"):
        Rogue(push=float("nan"))(None, canvas, labels, [1, 2])

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Cropping(Rogue):
        def perturb(self, logit_fn, canvas, labels, seeds):
            return Perturbed(canvas[:, :, 1:], torch.zeros_like(labels))

    with pytest.raises(ValueError, match=r"\(2, 3, 4, 4\) into \(2, 3, 3, 4\)"):
        Cropping()(None, canvas, labels, [1, 2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"canvas": torch.rand(2, 3, 4, 4)}, "not on the 8-bit grid"),
        ({"canvas": torch.full((2, 3, 4, 4), 255.0)}, r"in \[0, 1\].*got 255 to 255"),
        ({"canvas": torch.full((2, 3, 4, 4), -1.0)}, "normalisation belongs inside"),
        ({"canvas": torch.full((2, 3, 4, 4), float("nan"))}, "must be finite"),
        ({"canvas": torch.zeros(2, 1, 4, 4)}, r"got torch.float32 of shape \(2, 1, 4, 4\)"),
        ({"canvas": torch.zeros(2, 3, 4, 4, dtype=torch.uint8)}, "got torch.uint8"),
        ({"canvas": torch.zeros(3, 4, 4)}, "must be float32 of shape"),
        ({"labels": torch.tensor([0, 2])}, "labels must be 2 values of 0"),
        ({"labels": torch.tensor([0])}, "labels must be 2 values"),
        ({"seeds": [1]}, "one seed an image: 1 for 2 images"),
        ({"threshold": float("nan")}, "threshold must be a finite number"),
    ],
)
def test_inputs_that_are_not_as_stated(change, message):
    inputs = {
        "canvas": torch.zeros(2, 3, 4, 4),
        "labels": torch.tensor([0, 1]),
        "seeds": [1, 2],
        **change,
    }
    with pytest.raises(ValueError, match=message):
        FGSM()(lambda x: x.sum((1, 2, 3)), **inputs)


def test_a_column_of_logits_is_refused():
    with pytest.raises(ValueError, match=r"shape \(2,\), got \(2, 1\)"):
        FGSM()(
            lambda x: x.sum((1, 2, 3)).reshape(-1, 1),
            torch.zeros(2, 3, 4, 4),
            torch.tensor([0, 1]),
            [1, 2],
        )


def test_an_off_grid_canvas_is_fine_unquantised():
    canvas = torch.rand(2, 3, 4, 4) * 0.5 + 0.25
    labels = torch.tensor([0, 1])
    result = FGSM(quantize=False)(lambda x: x.sum((1, 2, 3)), canvas, labels, np.array([1, 2]))
    assert torch.allclose(result.adversarial[0], canvas[0] + 8 / 255)
    assert torch.allclose(result.adversarial[1], canvas[1] - 8 / 255)


def test_running_out_of_memory_stays_what_it_is():
    def full(images):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        FGSM()(full, torch.zeros(1, 3, 4, 4), torch.tensor([1]), [1])


@pytest.mark.parametrize(("side", "eps"), [(64, 0.1), (64, 3.0), (224, 3.0)])
def test_the_rounding_of_many_pixels_is_not_taken_for_a_budget_that_was_left(side, eps):
    """Along one direction over flat pictures all pixels round the same way, and their excess adds up."""
    generator = torch.Generator().manual_seed(0)
    direction = torch.tensor([1.0, 0.0, -1.0]).reshape(1, 3, 1, 1)
    for _ in range(40):
        colours = torch.randint(60, 200, (2, 3, 1, 1), generator=generator)
        canvas = (colours / 255).expand(2, 3, side, side).clone()
        admitted = PGDL2(eps=eps, quantize=False).admit(canvas + 0.3 * direction, canvas)
        change = (admitted.double() - canvas.double()).flatten(1)
        assert float(change.norm(dim=1).max()) <= eps * (1 + 1e-5) + 2**-24 * (3 * side**2) ** 0.5
