"""A dry run counts what the run then does: images through networks, one by one, and gradients."""

from __future__ import annotations

from collections import Counter

import pytest

from bench.inference.detector import DetectorRequest
from bench.inference.replicas import Replicas
from bench.protocol.suite import Suite
from bench.runs.prepare import prepare
from bench.runs.request import RunRequest
from bench.runs.runner import execute
from bench.runs.workload import remaining
from bench.scoring import attacking
from bench.support.progress import Silent

ONLY = [
    "clean",
    "only(fakes)+jpeg(quality=50)",
    "only(reals)+jpeg(quality=50)",
    "only(fakes)+blur(sigma=1)",
]
FGSM = ["fgsm(eps=2/255)", "fgsm(eps=4/255)"]
PGD = [f"pgd(eps={eps}/255,steps=2,keep=last)" for eps in (1, 2)]
EVADE = "pgd(eps=3/255,steps=3,keep=last,goal=evade)"
# Scored with it: all 48. Moved by it: the fakes, or the reals, or all of them.
CASES = {
    "batches of one class": (ONLY, 4, 48 + 3 * 24, 0),
    # Of six batches of 8, two hold both classes: 16 images that no two conditions share.
    "batches of both classes": (ONLY, 8, 48 + 3 * (16 + 16), 0),
    "without clean": (ONLY[1:], 4, (48 + 24) + 24 + 24, 0),
    "behind an equaliser": (ONLY, 4, None, 0),
    "clean with the gradient": ([*ONLY, *FGSM], 4, None, 48),
    "one class named": (["clean", "fgsm(eps=2/255,goal=evade)", "fgsm(eps=4/255,goal=evade)"], 4, 3 * 48, 24),
    "budgets in each other": ([ONLY[0], *PGD, EVADE], 4, None, 48 * 2 * 2 + 24 * 3),
    "behind a series": ([f"{name}+jpeg(quality=80)" for name in PGD], 4, None, 48 * 2 * 2),
    "queries": (["clean", "square(eps=8/255,queries=5,goal=frame)"], 4, None, 0),
    "certificate": (["clean", "smoothing(sigma=0.25,n0=4,n=16)"], 4, None, 0),
}  # fmt: skip


@pytest.fixture
def done(monkeypatch):
    """Images that went through a network, forwards or for a gradient; probes of attacks left out."""
    counts = Counter()
    score, checked = Replicas.score, Replicas.checked_logits

    def scored(self, batch):
        counts["forwards"] += len(batch)
        return score(self, batch)

    def asked(self, batch):
        counts["gradients" if batch.requires_grad else "forwards"] += len(batch)
        return checked(self, batch)

    monkeypatch.setattr(Replicas, "score", scored)
    monkeypatch.setattr(Replicas, "checked_logits", asked)
    monkeypatch.setattr(attacking, "_with_probe", lambda job, c, r, t, attacked: attacked)
    return counts


@pytest.mark.parametrize("case", CASES)
def test_a_run_does_what_its_dry_run_counts(tree, toy, tmp_path, done, case):
    conditions, size, forwards, gradients = CASES[case]
    suite = Suite(name="counted", slices=["generator"], conditions=conditions)
    equaliser = "jpeg(quality=90)" if case == "behind an equaliser" else ""
    request = RunRequest(
        detectors=(DetectorRequest(toy()),), suite=suite.with_equaliser(equaliser),
        data=str(tree), out=tmp_path / "out", batch_size=size, device="cpu", audit=False,
    )  # fmt: skip
    work = remaining(prepare(request, Silent(), dry=True)).work
    assert not done
    result = execute(request)
    assert work.decodes == result.counts.decoded == 48
    counted = work.forwards.total(), work.gradients.total()
    assert counted == (done["forwards"], done["gradients"])
    assert counted[1] == gradients
    assert forwards is None or counted[0] == forwards
