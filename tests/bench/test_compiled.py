"""Networks that ``torch.compile`` made: each shape and detector is compiled, however many there are."""

from __future__ import annotations

import functools
import threading

import pytest
import torch
import torch._dynamo
from torch import nn

from bench.inference.replicas import Replicas, scoring
from detectors.base import Detector
from detectors.card import DetectorCard
from detectors.inputs.spec import InputSpec

CPU = torch.device("cpu")


class Means(Detector):
    card = DetectorCard(name="m", arch="m", fake_logit="z", input=InputSpec(size=16, fit="crop"))

    def __init__(self, bias: float) -> None:
        self.net = nn.Linear(3, 1)
        with torch.no_grad():
            self.net.weight.fill_(1.0)
            self.net.bias.fill_(bias)

    def logits(self, batch):
        return self.net(batch.mean((2, 3)))[:, 0]


@pytest.fixture
def graphs(monkeypatch):
    """Counts the runs of compiled graphs, which no C++ compiler takes part in."""
    run = []

    def backend(graph, _examples):
        def call(*args):
            run.append(threading.get_ident())
            return graph(*args)

        return call

    limits = {
        name: getattr(torch._dynamo.config, name)
        for name in ("recompile_limit", "accumulated_recompile_limit")
    }
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=backend))
    torch._dynamo.reset()
    yield run
    torch._dynamo.reset()
    for name, value in limits.items():
        setattr(torch._dynamo.config, name, value)


def score(replicas, batch, form="fp32"):
    with scoring(CPU, form):
        return replicas.score(batch)


def test_no_shape_is_scored_without_being_compiled(graphs):
    replicas = Replicas(Means(0.5), CPU)
    replicas.compile(torch.zeros(2, 3, 16, 16), "fp32")
    for side in range(4, 24):  # torch's own limit is eight
        graphs.clear()
        logits = score(replicas, torch.full((2, 3, side, side), 0.25))
        assert logits.tolist() == pytest.approx([1.25, 1.25])
        assert graphs, side


def test_no_detector_is_scored_without_being_compiled_on_any_thread(graphs):
    batch = torch.zeros(2, 3, 16, 16)
    every = [Replicas(Means(float(bias)), CPU) for bias in range(12)]
    for replicas in every:
        for form in ("fp32", "bf16"):
            replicas.compile(batch, form)
    graphs.clear()
    found = []

    def work():
        found.extend(float(score(replicas, batch, "bf16")[0]) for replicas in every)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [float(bias) for bias in range(12)]
    assert graphs == [thread.ident] * 12
