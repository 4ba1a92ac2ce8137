"""Every registered name meets its protocol, whoever wrote it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images

from bench import registry
from bench.protocol.condition import parse
from bench.protocol.suite import load_suite
from detectors import zoo
from detectors.card import card_beside, read_card
from detectors.network import Architecture, load_network
from detectors.publication.method import Method

PHOTO = np.ascontiguousarray(load_sample_images().images[0][100:220, 200:361])
PICTURE = np.random.default_rng(0).integers(30, 220, (48, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", registry.corruptions())
def test_corruption(name):
    kind = registry.corruptions()[name]
    assert kind.name == name
    assert kind.summary
    assert len(kind.severities) == 5
    for picture in (PHOTO, PICTURE):
        changes = [harm(name, severity, picture) for severity in range(1, 6)]
        assert changes[0] > 0
        if kind.one_strength:
            assert all(not severity for severity in kind.severities)
            assert len(set(changes)) == 1
        else:
            assert all(mild < harsh for mild, harsh in itertools.pairwise(changes)), changes


def harm(name, severity, picture):
    """Mean absolute change in levels; where the size changes, how far the area is from the picture's."""
    condition = parse(f"{name}(severity={severity})")
    assert parse(str(condition)) == condition
    assert parse(condition.resolved) == condition
    plugin = condition.before[0].plugin
    out = plugin(picture, np.random.default_rng(1))
    assert out.dtype == np.uint8
    assert np.array_equal(out, plugin(picture, np.random.default_rng(1)))
    if out.shape == picture.shape:
        return np.abs(out.astype(int) - picture).mean()
    return abs(np.log(out.size / picture.size))


def linear(batch):
    return (batch[:, 0].mean(dim=(1, 2)) - batch[:, 2].mean(dim=(1, 2))) * 40


@pytest.mark.parametrize("name", registry.attacks())
def test_attack(name):
    kind = registry.attacks()[name]
    assert kind.name == name
    assert kind.summary
    condition = parse(name)
    assert parse(condition.resolved) == condition
    canvas = (
        torch.randint(60, 190, (6, 3, 16, 16), generator=torch.Generator().manual_seed(0)) / 255
    )
    labels = torch.tensor([0, 1] * 3)
    done = condition.attack(linear, canvas, labels, range(6))
    size = done.linf if condition.attack.norm == "linf" else done.l2
    assert float(size.max()) <= condition.attack.eps * (1 + 1e-6) + 1e-7
    assert condition.attack.passes > 0
    toward_wrong = (linear(done.adversarial) - linear(canvas)) * (1 - 2 * labels)
    if condition.attack.stops_early:  # an image that is wrong already may be left as it is
        right = (linear(canvas) > 0) == (labels == 1)
        assert bool((toward_wrong[right] >= 0).all())
        assert bool((toward_wrong[right] > 0).any())
    else:
        assert bool((toward_wrong > 0).all())


@pytest.mark.parametrize("name", registry.detectors())
def test_detector(name):
    found = registry.detectors()[name]
    assert isinstance(found, Architecture)
    assert found.name == name
    assert found.reference
    assert found.summary
    if isinstance(found, Method):  # shapes alone: some are large, and their canvas is the paper's
        size = found.input.network_input or (64, 64)
        with torch.device("meta"):
            network = found.network(2, size).eval()
        assert network(torch.empty(2, 3, *size, device="meta")).shape == (2, 2)
        return
    size = min(*found.input.canvas_or(64), 64)
    with torch.inference_mode():
        assert found.network(2, size).eval()(torch.rand(2, 3, size, size)).shape == (2, 2)


@pytest.mark.parametrize("name", zoo.weights())
def test_zoo(name):
    weights = zoo.weights()[name]
    card = read_card(card_beside(weights))
    assert card.name == name
    assert card.licence != "unknown"
    assert card.training_data
    assert card.training_data.generators
    assert card.weights
    assert card.weights.sha256
    detector = load_network(registry.detectors()[card.arch], weights).to(torch.device("cpu"))
    batch = torch.from_numpy(np.stack([detector.fit(PICTURE)] * 2)) / 255
    assert detector.checked_logits(batch).shape == (2,)


@pytest.mark.parametrize("name", registry.suites())
def test_suite(name):
    assert load_suite(name).parsed
