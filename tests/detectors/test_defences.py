"""Defences: what they do to a picture, and the gradient an adaptive attack takes through them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.transforms import functional as TF

from attacks.apgd import APGD
from attacks.pgd import PGDL2
from bench import registry
from bench.errors import BenchError
from bench.inference.detector import DetectorRequest, resolve
from bench.protocol.condition import parse
from bench.protocol.defences.spelling import parse_defence
from detectors import Detector, DetectorCard, DetectorError, InputSpec
from detectors.defences.base import image_seeds
from detectors.defences.defended import Defended
from leaderboards.tables.further.certified import CertificateFacts, certificates

SIDE = 16


class Net(Detector):
    """A small network with fixed random weights, smooth enough for finite differences."""

    card = DetectorCard(name="net", arch="net", input=InputSpec(size=SIDE, fit="crop"))

    def __init__(self):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.net = torch.nn.Sequential(
                torch.nn.Conv2d(3, 6, 5, padding=2), torch.nn.SiLU(),
                torch.nn.Conv2d(6, 8, 3, stride=2), torch.nn.SiLU(), torch.nn.Flatten(),
                torch.nn.Linear(8 * 7 * 7, 1),
            )  # fmt: skip

    def logits(self, batch):
        return 8 * self.net(batch - 0.5).squeeze(1)

    def replica(self):
        return self


def pictures(count=4, seed=0):
    noise = torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
    return (noise * 255).round() / 255


def behind(*texts):
    return Defended(Net(), [parse_defence(text) for text in texts], "behind")


def gradient(detector, batch):
    leaf = batch.clone().requires_grad_()
    return torch.autograd.grad(detector.logits(leaf).sum(), leaf)[0]


@pytest.mark.parametrize("quality", [30, 75, 95])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_jpeg_is_the_corruption_of_that_name_bit_for_bit(quality, subsampling):
    spelled = f"jpeg(quality={quality},subsampling={subsampling})"
    corruption = parse(spelled).before[0].plugin
    batch = pictures()
    ours = parse_defence(spelled).apply(batch, [0] * 4)
    for image, defended in zip(batch, ours, strict=True):
        levels = (image * 255).round().byte().permute(1, 2, 0).numpy()
        expected = corruption(levels, np.random.default_rng(0))
        assert np.array_equal((defended * 255).round().byte().permute(1, 2, 0).numpy(), expected)
    assert torch.equal(ours, (ours * 255).round() / 255)


def test_an_attack_through_jpeg_is_that_of_a_straight_through_reference():
    """The reference writes BPDA out: x + (jpeg(x) - x).detach(), with torchvision's own encoder."""
    detector, plain = behind("jpeg(quality=60)"), Net()
    defence = parse_defence("jpeg(quality=60)")

    def reference(images):
        compressed = defence.apply(images.detach(), [0] * len(images)).detach()
        return plain.logits(images + (compressed - images).detach())

    canvas, labels = pictures(6), torch.tensor([0, 1, 0, 1, 0, 1])
    leaf = canvas.clone().requires_grad_()
    theirs = torch.autograd.grad(reference(leaf).sum(), leaf)[0]
    torch.testing.assert_close(gradient(detector, canvas), theirs, rtol=1e-4, atol=1e-6)
    # The gradient is the network's own at the compressed picture, and not at the picture itself.
    compressed = defence.apply(canvas, [0] * 6)
    torch.testing.assert_close(gradient(detector, canvas), gradient(plain, compressed))
    assert not torch.allclose(gradient(detector, canvas), gradient(plain, canvas))
    attack = APGD(eps=16 / 255, steps=15)
    adaptive = attack(detector.logits, canvas, labels, range(6)).adversarial
    blind = attack(plain.logits, canvas, labels, range(6)).adversarial
    sign = 1 - 2 * labels
    with torch.no_grad():
        harm = [float((detector.logits(x) * sign).mean()) for x in (canvas, blind, adaptive)]
    assert harm[2] > harm[0]
    assert harm[2] > harm[1]


@pytest.mark.parametrize("size", [3, 5])
def test_median_is_the_corruption_and_its_gradient_that_of_finite_differences(size):
    corruption = parse(f"median(size={size})").before[0].plugin
    batch = pictures(2)
    ours = parse_defence(f"median(size={size})").apply(batch, [0] * 2)
    for image, filtered in zip(batch, ours, strict=True):
        expected = corruption(
            (image * 255).round().byte().permute(1, 2, 0).numpy(), np.random.default_rng(0)
        )
        assert np.array_equal((filtered * 255).round().byte().permute(1, 2, 0).numpy(), expected)
    # Values drawn without ties, in double precision: the median is then smooth around the point.
    detector = behind(f"median(size={size})")
    detector.inside.net.double()
    point = torch.rand(
        1, 3, SIDE, SIDE, dtype=torch.float64, generator=torch.Generator().manual_seed(2)
    )
    slope = gradient(detector, point)
    rng, step = np.random.default_rng(0), 1e-7
    for flat in rng.choice(point.numel(), 60, replace=False):
        moved = torch.zeros_like(point).flatten()
        moved[flat] = step
        moved = moved.reshape(point.shape)
        with torch.no_grad():
            rise = float(detector.logits(point + moved) - detector.logits(point - moved))
        assert rise / (2 * step) == pytest.approx(float(slope.flatten()[flat]), abs=1e-5, rel=1e-4)


def test_the_gradient_of_a_random_defence_is_the_mean_over_its_draws():
    detector, plain, batch = behind("resizing(low=0.6,draws=2,eot=5)"), Net(), pictures(3)
    defence = detector.defences[0]
    parts, scores = [], []
    for draw in range(5):
        leaf = batch.clone().requires_grad_()
        seeds = image_seeds(batch, f"gradient {draw}")
        parts.append(torch.autograd.grad(plain.logits(defence.apply(leaf, seeds)).sum(), leaf)[0])
    for draw in range(2):
        changed = defence.apply(batch, image_seeds(batch, f"score {draw}"))
        scores.append(plain.logits(changed).detach())
    torch.testing.assert_close(gradient(detector, batch), torch.stack(parts).mean(0))
    torch.testing.assert_close(detector.logits(batch).detach(), torch.stack(scores).mean(0))
    # A score is the picture's: no batch, order or gradient changes it.
    with torch.no_grad():
        alone = torch.cat([detector.logits(batch[i : i + 1]) for i in (2, 1, 0)]).flip(0)
    leaf = batch.clone().requires_grad_()
    torch.testing.assert_close(alone, detector.logits(leaf).detach(), rtol=1e-4, atol=1e-5)
    assert len({tuple(image_seeds(batch, f"score {k}")) for k in range(9)}) == 9


def test_resizing_without_room_to_shrink_changes_nothing_and_else_pads_with_black():
    batch = pictures(2)
    same = parse_defence("resizing(low=1)").apply(batch, [3, 4])
    torch.testing.assert_close(same, batch)
    small = parse_defence("resizing(low=0.5)").apply(torch.ones_like(batch), [3, 4])
    for image in small:
        inside = image[0] > 0
        rows, columns = inside.any(1).nonzero().flatten(), inside.any(0).nonzero().flatten()
        assert len(rows) < SIDE
        assert inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        # The content is the picture resized, as torchvision has it.
        size = [len(rows), len(columns)]
        expected = TF.resize(torch.ones(3, SIDE, SIDE), size, antialias=True)
        torch.testing.assert_close(image[:, inside].reshape(3, *size), expected)


def test_a_smoothed_detector_votes_and_its_gradient_is_that_of_the_mean_probability():
    detector, plain, batch = behind("smoothing(sigma=0.2,n=9,eot=6)"), Net(), pictures(3)
    defence = detector.defences[0]
    with torch.no_grad():
        votes = sum(
            (plain.logits(defence.apply(batch, image_seeds(batch, f"score {k}"))) > 0).int()
            for k in range(9)
        )
    expected = torch.log((votes + 0.5) / (9 - votes + 0.5))
    torch.testing.assert_close(detector.logits(batch), expected)
    leaf = batch.clone().requires_grad_()
    chances = torch.stack([
        torch.sigmoid(plain.logits(defence.apply(leaf, image_seeds(batch, f"gradient {k}"))))
        for k in range(6)
    ]).mean(0)  # fmt: skip
    theirs = torch.autograd.grad(torch.logit(chances).sum(), leaf)[0]
    torch.testing.assert_close(gradient(detector, batch), theirs, rtol=1e-3, atol=1e-5)


def test_no_attack_on_the_smoothed_detector_turns_a_verdict_inside_its_radius():
    """Certified accuracy is never above an attack's robust accuracy at the same L2 radius, image by image."""
    sigma, n = 0.2, 200
    certificate = parse(f"smoothing(sigma={sigma},n={n},n0=50)").certificate
    canvases = pictures(12, seed=5)
    plain = Net()
    seen = [
        certificate.votes(plain.logits, canvas, seed, batch_size=50)
        for seed, canvas in enumerate(canvases)
    ]
    pilot, main = (np.array([getattr(vote, name) for vote in seen]) for name in ("pilot", "main"))
    facts = CertificateFacts(sigma=sigma, n=n, n0=50, alpha=0.001)
    given = certificates(pilot, main, facts)
    verdicts = torch.from_numpy(np.where(main * 2 > n, 1, 0))
    smoothed = behind(f"smoothing(sigma={sigma},n=61,eot=4)")
    certain, fooled = [], []
    for radius in (0.05, 0.2, 1.5):
        attack = PGDL2(eps=radius, steps=5, quantize=False)
        moved = attack(smoothed.logits, canvases, verdicts, range(12)).adversarial
        with torch.no_grad():
            turned = ((smoothed.logits(moved) > 0).long() != verdicts).numpy()
        inside = (given.verdict >= 0) & (given.radius >= radius)
        assert not (turned & inside).any()
        # Robust accuracy against the attack is at least what is certified.
        assert inside.mean() <= 1 - turned.mean()
        certain.append(inside.sum())
        fooled.append(turned.sum())
    # Neither side is empty: some images are certified, and beyond the radius the attack does turn some.
    assert certain[0] > 3
    assert fooled[-1] > 3


@pytest.mark.parametrize(
    "other",
    ["defended(genimage-cnn,jpeg(quality=74))", "defended(genimage-cnn,jpeg(subsampling=4:4:4))",
     "defended(genimage-cnn,median,jpeg)", "defended(genimage-cnn,jpeg,median)", "genimage-cnn",
     "defended(genimage-cnn.vae,jpeg)"],
)  # fmt: skip
def test_the_identity_tells_every_parameter_order_and_network_apart(other):
    def identity(name):
        return resolve(DetectorRequest(name)).identify().digest

    one = "defended(genimage-cnn,jpeg)"
    assert identity(one) == identity("defended(genimage-cnn, jpeg(quality=75))")
    assert identity(one) != identity(other)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("defended(genimage-cnn)", "at least one defence"),
        ("defended(genimage-cnn,)", "at least one defence"),
        ("defended(genimage-cnn,jpeg", "no detector called"),
        ("defended(genimage-cn,jpeg)", "genimage-cnn"),
        ("defended(genimage-cnn,jepg)", "no defence called 'jepg'.*jpeg"),
        ("defended(genimage-cnn,jpeg(qality=5))", "has no parameter 'qality'.*quality"),
        ("defended(genimage-cnn,jpeg(quality=0))", "from 1 to 100, got 0"),
        ("defended(genimage-cnn,median(size=4))", "must be odd"),
        ("defended(genimage-cnn,resizing,smoothing)", "both draw"),
    ],
)
def test_what_cannot_be_built_says_why(name, said):
    with pytest.raises((BenchError, DetectorError), match=said):
        resolve(DetectorRequest(name))


def test_every_defence_keeps_shape_and_range_and_lets_a_gradient_through():
    batch = pictures(2)
    for name, kind in registry.defences().items():
        assert kind.name == name
        assert kind.summary
        leaf = batch.clone().requires_grad_()
        changed = kind().apply(leaf, [0, 1])
        assert changed.shape == batch.shape
        assert float(changed.detach().min()) >= 0
        assert float(changed.detach().max()) <= 1
        slope = torch.autograd.grad(changed.sum(), leaf)[0]
        assert float(slope.abs().sum()) > 0
        assert torch.equal(kind().apply(batch, [5, 6]), kind().apply(batch, [5, 6]))
