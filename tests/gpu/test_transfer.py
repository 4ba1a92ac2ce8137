"""What goes to the device and comes back is what was sent."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from bench.inference.batches import Batch, unit_floats
from bench.inference.device import quiet_numerics
from bench.inference.networks import Networks
from bench.inference.profiling import Stopwatch
from bench.inference.threads import Lanes
from bench.inference.transfer import Link
from detectors import Detector, DetectorCard, InputSpec


class MeanRed(Detector):
    """The logit of an image says which image it was."""

    card = DetectorCard(name="mean red", arch="mean", input=InputSpec(size=8, fit="crop"))

    def logits(self, batch):
        return batch[:, 0].mean(dim=(1, 2)) * 255


def batch_of(images):
    rows = np.arange(len(images))
    return Batch(rows, images, rows)


def test_every_grey_level_has_the_bits_it_has_on_the_cpu(device):
    levels = np.arange(256, dtype=np.uint8)
    exact = levels.astype(np.float32) / np.float32(255)
    assert np.array_equal(unit_floats(torch.from_numpy(levels).to(device)).cpu().numpy(), exact)
    images = levels.repeat(3).reshape(4, 3, 8, 8)
    sent = Link(torch.device(device)).upload(batch_of(images)).pixels()
    assert np.array_equal(sent.cpu().numpy(), images.astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_uploads_in_flight_do_not_run_into_each_other(device, dtype):
    rng, link = np.random.default_rng(0), Link(torch.device(device))
    sent = [(rng.random((16, 3, 64, 64)) * 255).astype(dtype) for _ in range(24)]
    if dtype == np.float32:
        sent = [images / np.float32(255) for images in sent]
    with ThreadPoolExecutor(4) as pool:
        uploads = list(pool.map(lambda images: link.upload(batch_of(images)), sent))
    for images, upload in zip(sent, uploads, strict=True):
        expected = images / np.float32(255) if dtype == np.uint8 else images
        assert np.array_equal(upload.pixels().cpu().numpy(), expected.astype(np.float32))


def test_every_logit_comes_back_to_its_image(device):
    place = torch.device(device)
    quiet_numerics(place)
    detector, watch = MeanRed().to(place), Stopwatch(device)
    canvases = [None if i % 7 == 3 else np.full((3, 8, 8), i % 256, np.uint8) for i in range(300)]
    with ThreadPoolExecutor(4) as pool:
        lanes = Lanes(pool, 4)
        networks = Networks.of([detector], place, lanes, watch)
        logits = np.full(len(canvases), np.nan, np.float32)
        networks.gather(detector, networks.submit(detector, canvases, 16, "fp32"), logits)
        lanes.close()
    for i, logit in enumerate(logits):
        assert np.isnan(logit) if i % 7 == 3 else logit == pytest.approx(i % 256, abs=1e-3)
    assert watch.read(4).stages["forward"] > 0
