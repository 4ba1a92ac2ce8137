"""Every registered name meets its protocol, whoever wrote it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

from bench import ReportPage, registry
from bench.datasets.open import layouts
from bench.datasets.sources.scan import scan
from bench.protocol.condition import parse
from bench.protocol.suite import load_suite
from detectors import zoo
from detectors.card import card_beside, read_card
from detectors.network import Architecture, load_network
from detectors.publication.method import Method
from leaderboards import CellScores

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
    if not isinstance(found, Architecture):  # a class of somebody else's
        detector = found()
        batch = torch.from_numpy(np.stack([detector.fit(PICTURE)] * 2)) / 255
        assert detector.card.name
        assert detector.checked_logits(batch).shape == (2,)
        return
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


@pytest.mark.parametrize("name", registry.metrics())
def test_metric(name):
    metric = registry.metrics()[name]
    rng = np.random.default_rng(0)
    labels, logits = rng.integers(0, 2, 400), rng.normal(size=400)  # 1% of the reals is an image
    value, low, high = metric.measure(CellScores.of(labels, logits))
    assert metric.name == name
    assert metric.formula
    assert metric.bounds[0] <= value <= metric.bounds[1]
    undefined = bool(np.isnan([low, high]).all())  # as for a rate at 1% of too few reals
    assert undefined or (metric.interval and low <= value <= high)
    for label in (0, 1):  # one class alone is answered, if with nan
        assert len(metric.measure(CellScores.of(np.full(5, label), logits[:5]))) == 3


@pytest.mark.parametrize("name", layouts())
def test_layout(name, tmp_path):
    layout = layouts()[name]
    assert layout.name == name
    assert layout.summary
    (tmp_path / "holiday").mkdir()
    Image.fromarray(PICTURE).save(tmp_path / "holiday" / "beach.png")
    assert layout.match(scan(tmp_path)) is None, "it claims pictures that nobody labelled"


@pytest.mark.parametrize("name", registry.defences())
def test_defence(name):
    defence = registry.defences()[name]()
    batch = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)).requires_grad_()
    out = defence.apply(batch, (0, 1))
    assert registry.defences()[name].name == name
    assert out.shape == batch.shape
    assert 0 <= float(out.detach().min()) <= float(out.detach().max()) <= 1
    out.sum().backward()
    assert float(batch.grad.abs().sum()) > 0


@pytest.mark.parametrize("name", registry.pages())
def test_page(name):
    page = registry.pages()[name]
    assert isinstance(page, ReportPage)
    assert page.title
    assert page.summary
