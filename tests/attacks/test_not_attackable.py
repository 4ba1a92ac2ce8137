"""A detector whose gradient is of no use gives a verdict, never a robust score."""

from __future__ import annotations

import pytest
import torch

from attacks.base import NotAttackableError
from attacks.fgsm import FGSM
from attacks.pgd import PGD

ATTACKS = [FGSM(), PGD(), PGD(random_start=False, goal="evade")]
pytestmark = pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: f"{a.name}-{a.goal}")


def refused(attack, toy, logit_fn, message):
    with pytest.raises(NotAttackableError, match=message):
        attack(logit_fn, toy.canvas, toy.labels, toy.seeds)


def count(attack):
    return 16 if attack.goal == "evade" else 32


def test_rounding_inside(attack, toy):
    n = count(attack)
    message = f"exactly zero for {n} of {n} images: .*rounding.*not robustness"
    refused(attack, toy, lambda x: toy.logits((x * 255).round() / 255), message)


def test_no_grad_inside(attack, toy):
    def logits(images):
        with torch.no_grad():
            return toy.logits(images)

    n = count(attack)
    refused(attack, toy, logits, rf"no gradient .*\({n} of {n} images\): .*under no_grad")


def test_inference_mode_inside(attack, toy):
    def logits(images):
        with torch.inference_mode():
            return toy.logits(images)

    refused(attack, toy, logits, "no gradient with respect to the image")


def test_detached_input_with_weights_that_want_gradients(attack, toy):
    assert all(p.requires_grad for p in toy.net.parameters())
    refused(attack, toy, lambda x: toy.logits(x.detach()), "no gradient with respect to the image")


def test_preprocessing_in_numpy(attack, toy):
    def logits(images):
        return toy.logits(torch.from_numpy(images.cpu().numpy()).to(images.device))

    def raising(images):
        return toy.logits(torch.from_numpy(images.numpy()))

    refused(attack, toy, lambda x: logits(x.detach()), "no gradient with respect to the image")
    if toy.canvas.device.type == "cpu":
        refused(attack, toy, raising, "no gradient with respect to the image")


def test_saturated_cross_entropy_names_the_way_out(attack, toy):
    sure = type(attack)(goal=attack.goal, loss="ce")
    refused(sure, toy, lambda x: 1e6 * toy.logits(x), "exactly zero for .*use loss='margin'")
    result = attack(lambda x: 1e6 * toy.logits(x), toy.canvas, toy.labels, toy.seeds)
    assert toy.fooled(result.adversarial).sum() >= count(attack) // 2


def test_an_output_that_itself_saturates(attack, toy):
    refused(attack, toy, lambda x: toy.logits(x).mul(1e6).tanh(), "exactly zero for .*saturated")


def test_a_nan_gradient(attack, toy):
    def logits(images):
        z = toy.logits(images)
        return z + (z - z.detach()).abs().sqrt()  # the square root's slope at zero, times zero

    refused(attack, toy, logits, "nan or infinite for .* nothing is known")


def test_a_nan_logit(attack, toy):
    refused(attack, toy, lambda x: toy.logits(x) * float("nan"), "logit is nan or infinite for")


@pytest.mark.parametrize("operation", [torch.heaviside, torch.igamma])
def test_an_operation_without_derivative(attack, toy, operation):
    def logits(images):
        return toy.logits(images) + operation(images + 1, images + 1).sum((1, 2, 3))

    refused(attack, toy, logits, f"operation without gradient: .*{operation.__name__}")


def test_one_dead_image_is_enough(attack, toy):
    fake = int((toy.labels == 1).nonzero()[3])
    picture = toy.canvas.clone()
    picture[fake] = 0

    def logits(images):
        alive = (images.flatten(1).mean(1) > 0.1).float()
        return toy.logits(images) * alive

    with pytest.raises(NotAttackableError, match=f"exactly zero for 1 of {count(attack)} images"):
        attack(logits, picture, toy.labels, toy.seeds)


def test_a_dead_image_that_the_goal_leaves_alone_does_not_matter(attack, toy):
    if attack.goal != "evade":
        pytest.skip("only a goal leaves images alone")
    picture = toy.canvas.clone()
    picture[int((toy.labels == 0).nonzero()[0])] = 0
    result = attack(
        lambda x: toy.logits(x) * (x.flatten(1).mean(1) > 0.1), picture, toy.labels, toy.seeds
    )
    assert result.attacked.sum() == 16


def test_a_gradient_that_dies_later_leaves_the_image_and_nan_later_does_not_pass(attack, toy):
    if attack.name != "pgd":
        pytest.skip("one step has no later")

    def later(factor):
        calls = []

        def logits(images):
            calls.append(None)
            return toy.logits(images) * (1.0 if len(calls) == 1 else factor)

        return logits

    one = PGD(steps=1, random_start=attack.random_start, goal=attack.goal)
    first = one(toy.logits, toy.canvas, toy.labels, toy.seeds).adversarial
    stayed = attack(later(0.0), toy.canvas, toy.labels, toy.seeds).adversarial
    assert torch.equal(stayed, first)
    refused(attack, toy, later(float("nan")), "gradient is nan or infinite for")


def test_errors_of_the_detector_itself_are_not_verdicts(attack, toy):
    def logits(images):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        attack(logits, toy.canvas, toy.labels, toy.seeds)
