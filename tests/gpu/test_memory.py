"""A batch that the device's memory does not hold is halved, and the run goes on."""

from __future__ import annotations

import json
import textwrap

import pytest
import torch

import bench
from bench.protocol.suite import Suite

# Scratch memory as a network with large layers needs it: 256 MiB an image. A CPU has no such limit, so it
# is refused there as a device would refuse it.
GREEDY = """
import torch
from detectors import Detector, DetectorCard, InputSpec

class Greedy(Detector):
    card = DetectorCard(name="greedy", arch="greedy", input=InputSpec(size=32, fit="crop"))

    def logits(self, batch):
        if batch.device.type == "cpu":
            if len(batch) > 8:
                raise torch.OutOfMemoryError("no room")
        else:
            torch.empty(len(batch), 64 << 20, device=batch.device)
        means = batch.mean(dim=(2, 3))
        return 40 * (means[:, 0] - means[:, 2])
"""
LIMIT = 4 << 30  # bytes: room for 16 images at most, of the 128 that are tried first


@pytest.fixture
def little_memory(device):
    """A process that may use only a part of the GPU, so that running out is quick and real."""
    if device == "cpu":
        yield
        return
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(min(1.0, LIMIT / total))
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)
    torch.cuda.empty_cache()


@pytest.mark.parametrize("condition", ["clean", "fgsm(eps=2/255)"])
def test_running_out_of_memory_halves_the_batch(device, little_memory, tree, tmp_path, condition):
    path = tmp_path / "greedy.py"
    path.write_text(textwrap.dedent(GREEDY))
    suite = Suite(name="memory", slices=["pooled"], conditions=list({"clean": 0, condition: 0}))
    run = bench.run(f"{path}:Greedy", suite=suite, data=tree, out=tmp_path / "out", device=device)
    assert not run.report.incomplete
    record = json.loads((run.folder / "run.json").read_text())
    assert 1 <= record["detectors"][0]["batch_size"] <= 16
    if device == "cuda":  # nothing of the batches that failed is held on to
        assert torch.cuda.memory_allocated() < LIMIT / 2
