"""The input gradient of an attack's loss, and the refusal to go on without one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from attacks.base import LogitFn, NotAttackableError

LOSSES = ("margin", "ce")


@dataclass(frozen=True, slots=True, eq=False)
class InputGradient:
    """The gradient of a loss at M images.

    Attributes:
        grad: ``(M, 3, h, w)``, the direction in which the detector gets more wrong.
        logits: ``(M,)`` logits of the images, without graph.
        loss: Name of the loss.
        samples: Gradients that it is the mean of.
    """

    grad: Tensor
    logits: Tensor
    loss: str
    samples: int = 1


def margin_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute how wrong the detector is, ``-(2y - 1) z``: the larger, the better for the attacker.

    Args:
        logits: ``(M,)`` logits z, the threshold taken off.
        labels: ``(M,)`` int64 labels y, 1 = AI-generated.

    Returns:
        ``(M,)``, above zero where the verdict is wrong.
    """
    return torch.where(labels == 1, -logits, logits)


def input_gradient(logit_fn: LogitFn, images: Tensor, labels: Tensor, loss: str) -> InputGradient:
    """Differentiate the loss with respect to the images, and to nothing else.

    ``margin`` is :func:`margin_loss`, summed. It does not saturate, and images do not share a scale,
    so the batch size cannot matter. ``ce`` is the mean cross-entropy on the two logits ``[0, z]``, in
    the plain order of expressions of the published code (Madry et al. 2018, section 2.1); it vanishes
    in float32 where the detector is very sure.

    Raises:
        NotAttackableError: The logits have no gradient with respect to the images.
    """
    images = images.detach().requires_grad_()
    try:
        logits = logit_fn(images)
    except RuntimeError as error:
        if "requires grad" in str(error):  # Tensor.numpy() on the way
            raise NotAttackableError(_detached(len(images))) from error
        raise
    if not logits.requires_grad:
        raise NotAttackableError(_detached(len(images)))
    if loss == "margin":
        cost = margin_loss(logits, labels).sum()
    else:
        cost = F.cross_entropy(torch.stack([torch.zeros_like(logits), logits], 1), labels)
    try:
        (grad,) = torch.autograd.grad(cost, images, allow_unused=True)
    except RuntimeError as error:
        if "derivative" in str(error) and "not implemented" in str(error):
            raise NotAttackableError(
                f"the detector has an operation without gradient: {error}"
            ) from error
        raise
    if grad is None:
        raise NotAttackableError(_detached(len(images)))
    return InputGradient(grad=grad, logits=logits.detach(), loss=loss)


def require_usable(gradient: InputGradient) -> float:
    """Check the first gradient of a search.

    Returns:
        Share in [0, 1] of entries that are exactly zero.

    Raises:
        NotAttackableError: For any image the logit or the gradient is not finite, or the gradient
            is zero everywhere. One image is enough: leaving it as it is would count as robust.
    """
    total = len(gradient.grad)
    bad_logits = int((~torch.isfinite(gradient.logits)).sum())
    if bad_logits:
        raise NotAttackableError(f"the logit is nan or infinite for {bad_logits} of {total} images")
    require_finite(not_finite(gradient.grad))
    zeros = gradient.grad.flatten(1) == 0
    dead = int(zeros.all(1).sum())
    if dead:
        cause = (
            "the cross-entropy is saturated (use loss='margin'), or "
            if gradient.loss == "ce"
            else "a saturated output, or "
        )
        raise NotAttackableError(
            f"the input gradient is exactly zero for {dead} of {total} images: {cause}rounding or "
            "clamping in the detector hides the gradient; this is not robustness"
        )
    return float(zeros.double().mean())


def not_finite(grad: Tensor) -> Tensor:
    """Find the images whose gradient has a nan or infinite entry; ``(M,)`` bool.

    ``torch.sign(nan)`` is 0, so without this a broken gradient reads as an image that stood firm.
    """
    return (~torch.isfinite(grad)).flatten(1).any(1)


def require_finite(flags: Tensor) -> None:
    """Refuse a search in which any of the ``(M,)`` images has met a gradient that is not finite.

    Apart from :func:`not_finite` so that a loop can gather the flags and wait for the device once.

    Raises:
        NotAttackableError: One of the flags is set.
    """
    count = int(flags.sum())
    if count:
        raise NotAttackableError(
            f"the input gradient is nan or infinite for {count} of {len(flags)} images: "
            "nothing is known about the detector's robustness"
        )


def _detached(total: int) -> str:
    """Word the message for logits that are cut off from the images."""
    return (
        f"the logits have no gradient with respect to the image ({total} of {total} images): the "
        "detector works under no_grad, detaches, or leaves torch on the way; this is not robustness"
    )
