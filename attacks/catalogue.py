"""Any torchattacks attack that fits a detector of two classes, as ``torchattacks/<name>``.

The published code sees a model of the two logits ``[0, z]``; budget, range, 8-bit grid, goal and the
refusal of a dead gradient stay the base class's. It draws from the global generators for a whole
batch, so here it runs on one image at a time, with generators seeded by that image: slower, but the
result does not depend on the batch.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from attacks.base import UNBOUNDED_DIVISOR, UNBOUNDED_STEPS, Attack, LogitFn, Norm, Perturbed
from attacks.budget import full_range
from attacks.gradient import input_gradient, require_usable
from attacks.published_code import TwoLogits, seeded
from attacks.search import fooled

PREFIX = "torchattacks/"
_STEPS: dict[str, Any] = {"eps": 8 / 255, "alpha": 2 / 255, "steps": 10}
_MOMENTUM = _STEPS | {"decay": 1.0}
_DIVERSE = _STEPS | {
    "decay": 0.0, "resize_rate": 0.9, "diversity_prob": 0.5, "random_start": False,
}  # fmt: skip
_PATCH: dict[str, Any] = {
    "eps": 16 / 255, "num_iter_set": 10, "momentum": 1.0, "amplification": 10.0, "prob": 0.7,
}  # fmt: skip

# Parameters and defaults as published.
_LINF: dict[str, dict[str, Any]] = {
    "FGSM": {"eps": 8 / 255},
    "FFGSM": {"eps": 8 / 255, "alpha": 10 / 255},
    "BIM": _STEPS,
    "RFGSM": _STEPS,
    "PGD": _STEPS | {"random_start": True},
    "EOTPGD": _STEPS | {"eot_iter": 2, "random_start": True},
    "MIFGSM": _MOMENTUM,
    "NIFGSM": _MOMENTUM,
    "SINIFGSM": _MOMENTUM | {"m": 5},
    "VMIFGSM": _MOMENTUM | {"N": 5, "beta": 1.5},
    "VNIFGSM": _MOMENTUM | {"N": 5, "beta": 1.5},
    "DIFGSM": _DIVERSE,
    "TIFGSM": _DIVERSE | {"kernel_name": "gaussian", "len_kernel": 15, "nsig": 3},
    "UPGD": _STEPS | {"random_start": False, "loss": "ce", "decay": 1.0, "eot_iter": 1},
    "PIFGSM": _PATCH,
    "PIFGSMPP": _PATCH | {"project_factor": 0.8},
    "APGD": {"eps": 8 / 255, "steps": 10, "n_restarts": 1, "eot_iter": 1, "rho": 0.75},
    "FAB": {
        "eps": 8 / 255,
        "steps": 10,
        "n_restarts": 1,
        "alpha_max": 0.1,
        "eta": 1.05,
        "beta": 0.9,
    },
    "Square": {"eps": 8 / 255, "n_queries": 5000, "n_restarts": 1, "p_init": 0.8, "loss": "margin"},
    "SPSA": {"eps": 0.3, "delta": 0.01, "lr": 0.01, "nb_iter": 1, "nb_sample": 128},
}
_L2: dict[str, dict[str, Any]] = {
    "PGDL2": {"eps": 1.0, "alpha": 0.2, "steps": 10, "random_start": True},
    "CW": {"c": 1.0, "kappa": 0.0, "steps": 50, "lr": 0.01},
    "DeepFool": {"steps": 50, "overshoot": 0.02},
}
# Those that look for the nearest image beyond the border, and those that stop once they are beyond it.
_MINIMAL = ("CW", "DeepFool", "FAB")
_FIRST_HIT = ("APGD", "Square")
_ONE_STEP = ("FGSM", "FFGSM")
_BLACK_BOX = ("Square", "SPSA")
# How far to stretch a minimal change until it survives rounding: finely at first, then to the budget.
_FURTHER = (1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0)


class _Cost(NamedTuple):
    """What the published code asks for one image, at most."""

    gradients: int
    queries: int = 0


def _once(attack: Any) -> _Cost:  # noqa: ARG001 - whatever its parameters
    return _Cost(1)


def _steps(attack: Any) -> _Cost:
    return _Cost(attack.steps)


def _patches(attack: Any) -> _Cost:
    return _Cost(attack.num_iter_set)


def _with_neighbours(attack: Any) -> _Cost:
    return _Cost(attack.steps * (attack.N + 1))


def _drawn(attack: Any) -> _Cost:
    return _Cost(attack.steps * attack.eot_iter)


# Read off the published code; where its steps are all there is to count, `_steps` does.
_COSTS: dict[str, Callable[[Any], _Cost]] = {
    "FGSM": _once,
    "FFGSM": _once,
    "EOTPGD": _drawn,
    "UPGD": _drawn,
    "SINIFGSM": lambda attack: _Cost(attack.steps * attack.m),
    "VMIFGSM": _with_neighbours,
    "VNIFGSM": _with_neighbours,
    "PIFGSM": _patches,
    "PIFGSMPP": _patches,
    # One look at the image first; a restart takes one gradient more than it takes steps.
    "APGD": lambda attack: _Cost(attack.n_restarts * (attack.steps + 1) * attack.eot_iter, 1),
    # One look at the image first; a restart looks at its start, each iterate and its result.
    "FAB": lambda attack: _Cost(
        attack.n_restarts * attack.steps, 1 + attack.n_restarts * (attack.steps + 2)
    ),
    # One look at the image first; a restart looks at the stripes, each square and its result.
    "Square": lambda attack: _Cost(0, 1 + attack.n_restarts * (attack.n_queries + 2)),
    # Two points on opposite sides a sample.
    "SPSA": lambda attack: _Cost(0, 2 * attack.nb_iter * attack.nb_sample),
}

_RENAMED = {"PIFGSM": {"eps": "max_epsilon"}, "PIFGSMPP": {"eps": "max_epsilon"}}
_FIXED: dict[str, dict[str, Any]] = {"FAB": {"n_classes": 2}}

_PIXELS = "its budget counts changed pixels (L0), and a threat model here is L-inf or L2"
_SUM = "it minimises an L1 or elastic distance, and a threat model here is L-inf or L2"
REFUSED = {
    "APGDT": "it aims at one of nine other classes with the DLR loss; a detector has one other: use apgd",
    "AutoAttack": "its DLR loss and targeted members need more than two classes: use ensemble",
    "TPGD": "it moves away from the clean output, which for two classes may mean surer: use pgd",
    "Jitter": "it divides the logits by the largest, which leaves of two no more than the sign: use pgd",
    "GN": "it is noise and does not look at the detector: use the corruption noise",
    "VANILA": "it changes nothing",
    "JSMA": _PIXELS,
    "OnePixel": _PIXELS,
    "Pixle": _PIXELS,
    "SparseFool": _PIXELS,
    "EADL1": _SUM,
    "EADEN": _SUM,
    "PGDRS": "it attacks a smoothed detector by votes, and a detector here gives one logit",
    "PGDRSL2": "it attacks a smoothed detector by votes, and a detector here gives one logit",
    "LGV": "it trains further surrogates from the training data, which an attack does not have here",
    "MultiAttack": "it joins other attacks: use ensemble",
}


def refusal(name: str) -> str | None:
    """Say why ``torchattacks/<name>`` is not offered; None where it is, or where nobody knows it."""
    return REFUSED.get(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapted(Attack):
    """One attack of torchattacks; its parameters are those of the published class.

    Source: Kim 2020, "Torchattacks: A PyTorch Repository for Adversarial Attacks", and the paper that
    the docstring of the published class names.
    """

    name: ClassVar[str] = ""
    summary: ClassVar[str] = ""
    source: ClassVar[str] = ""

    def check(self) -> None:
        """Build the published attack once, so that a parameter it refuses is named early."""
        if self.source:
            self._build(TwoLogits(lambda images: images.mean((1, 2, 3)), torch.device("cpu")), 0)

    @property
    def stops_early(self) -> bool:
        """Whether it hands back an image once it is fooled, or as near to the border as can be."""
        return self.source in _MINIMAL + _FIRST_HIT

    @property
    def gradients(self) -> int:
        """Gradients of the published code, and one to see that there is a gradient."""
        return self._cost.gradients + self.needs_gradient

    @property
    def queries(self) -> int:
        """Queries of the published code, and those that push a minimal change over the border."""
        return self._cost.queries + (len(_FURTHER) if self.source in _MINIMAL else 0)

    @property
    def _cost(self) -> _Cost:
        return _COSTS.get(self.source, _steps)(self)

    def unbounded(self, size: int) -> Attack:
        """Return the attack over the whole range: from the image, once, in fine steps where it has any."""
        eps = full_range(self.norm, size)
        changes: dict[str, Any] = {
            "eps": eps,
            "alpha": eps / UNBOUNDED_DIVISOR,
            "steps": max(UNBOUNDED_STEPS, self.steps),
            # Its step is the budget over the number of its steps.
            "num_iter_set": UNBOUNDED_DIVISOR,
            "random_start": False,
            "n_restarts": 1,
        }
        parameters = {field.name for field in dataclasses.fields(self)}
        return dataclasses.replace(self, **{k: v for k, v in changes.items() if k in parameters})

    def perturb(
        self, logit_fn: LogitFn, canvas: Tensor, labels: Tensor, seeds: Sequence[int]
    ) -> Perturbed:
        """Run the published code on each image alone, after one look at the gradient."""
        zero_share = float("nan")
        if self.needs_gradient:
            # The loss that the published code climbs: a saturated one must not read as robust.
            loss = "margin" if self.source in _MINIMAL else "ce"
            zero_share = require_usable(input_gradient(logit_fn, canvas, labels, loss))
        moved, steps = [], []
        for row, seed in enumerate(seeds):
            model = TwoLogits(logit_fn, canvas.device)
            part = slice(row, row + 1)
            with seeded(seed, canvas.device), contextlib.redirect_stdout(io.StringIO()):
                moved.append(self._build(model, seed)(canvas[part].clone(), labels[part]).detach())
            steps.append(model.gradients if self.needs_gradient else model.queries)
        images = torch.cat(moved)
        if self.source in _MINIMAL:
            images = self._past_the_border(logit_fn, images, canvas, labels)
        return Perturbed(images, torch.tensor(steps, device=canvas.device), zero_share)

    def _past_the_border(
        self, logit_fn: LogitFn, images: Tensor, canvas: Tensor, labels: Tensor
    ) -> Tensor:
        """Go a little further along the same line where rounding takes an image back over the border."""
        outcome, right = images.clone(), torch.ones_like(labels, dtype=torch.bool)
        for factor in _FURTHER:
            tried = canvas + factor * (images - canvas)
            with torch.no_grad():
                wrong = fooled(logit_fn(self.admit(tried, canvas)), labels)
            # Where nothing fools, the last one tried stays: the furthest the budget allows.
            outcome[right] = tried[right]
            right &= ~wrong
            if not bool(right.any()):
                break
        return outcome

    def _build(self, model: nn.Module, seed: int) -> Any:
        # Imported late: it takes a second, and most runs do without.
        kind = getattr(importlib.import_module("torchattacks"), self.source)
        ours = {f.name for f in dataclasses.fields(Attack)} - {"eps"}
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        renamed = _RENAMED.get(self.source, {})
        published = kind.__init__.__code__.co_varnames[: kind.__init__.__code__.co_argcount]
        options = {renamed.get(k, k): v for k, v in values.items() if k not in ours}
        options = {k: v for k, v in options.items() if k in published} | _FIXED.get(self.source, {})
        if "seed" in published:
            options["seed"] = seed % 2**31
        return kind(model, **options)


def _adapt(source: str, norm: Norm, parameters: dict[str, Any]) -> type[Attack]:
    """Make the class for one published attack: a dataclass with its parameters as fields."""
    budget = {"eps": 1.0 if norm == "l2" else 8 / 255} | parameters
    fields = [(name, type(default), default) for name, default in budget.items()]
    word = "L-inf" if norm == "linf" else "L2"
    namespace: dict[str, Any] = {
        "__module__": __name__,
        "__doc__": f"The attack that torchattacks.{source} publishes.",
        "name": PREFIX + source,
        "summary": f"{source} as torchattacks has it, an image at a time ({word})",
        "source": source,
        "norm": norm,
        "needs_gradient": source not in _BLACK_BOX,
        "iterative": source not in _ONE_STEP,
        "knowledge": "black-box" if source in _BLACK_BOX else "white-box",
    }
    return dataclasses.make_dataclass(
        source, fields, bases=(Adapted,), namespace=namespace, frozen=True, slots=True, kw_only=True
    )


_TABLES: tuple[tuple[Norm, dict[str, dict[str, Any]]], ...] = (("linf", _LINF), ("l2", _L2))
ATTACKS = {
    PREFIX + source: _adapt(source, norm, parameters)
    for norm, table in _TABLES
    for source, parameters in table.items()
}
