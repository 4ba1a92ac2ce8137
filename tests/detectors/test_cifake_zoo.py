"""The shipped CIFAKE weights: their cards and, where BENCH_TEST_CIFAKE names a copy, the printed accuracy."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.datasets import index, load
from bench.inference.detector import DetectorRequest, resolve

DATA = os.environ.get("BENCH_TEST_CIFAKE", "")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "reproductions.md"
SHIPPED = ("cifake-cnn", "genimage-cnn", "mobilenetv2_100")
EVERY = 10  # of the 20,000 test images


def printed(name: str) -> float:
    """The accuracy that the page's table gives for a network."""
    found = re.search(
        rf"^\| `{re.escape(name)}` \|.*?\| (0\.\d{{4}}) \[", PAGE.read_text(), re.MULTILINE
    )
    assert found, name
    return float(found[1])


@pytest.mark.parametrize("name", SHIPPED)
def test_the_weights_ship_with_a_card_that_says_how_they_were_made(name):
    detector = resolve(DetectorRequest(f"{name}.cifake"))
    card = detector.card
    assert card.training_data is not None
    assert card.training_data.n_real + card.training_data.n_fake > 95_000
    assert card.training["started_from"] == "random weights"
    assert card.training["command"].startswith(f"bench train --detector {name} ")
    assert printed(name) > 0.9


@pytest.mark.skipif(not DATA, reason="BENCH_TEST_CIFAKE names no folder")
@pytest.mark.parametrize("name", SHIPPED)
def test_accuracy_on_the_test_images_is_the_one_printed(name, tmp_path):
    manifest = index(DATA, split="test", cache_dir=tmp_path)
    records = list(manifest.records(range(0, len(manifest), EVERY)))
    detector = resolve(DetectorRequest(f"{name}.cifake")).to(torch.device("cpu"))
    right = []
    for start in range(0, len(records), 200):
        some = records[start : start + 200]
        batch = np.stack([detector.fit(load(manifest.root, r)) for r in some])
        with torch.inference_mode():
            logits = detector.checked_logits(torch.from_numpy(batch).float() / 255).numpy()
        right += [(logit > 0) == r.label for logit, r in zip(logits, some, strict=True)]
    expected = printed(name)
    # Four standard errors of a sample without replacement.
    spread = 4 * np.sqrt(expected * (1 - expected) / len(right) * (1 - 1 / EVERY))
    assert abs(np.mean(right) - expected) < spread
