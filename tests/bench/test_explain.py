"""``bench explain``: what is drawn is what can be worked out by hand, and what cannot be drawn is said."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import bench
from bench.errors import BenchError
from bench.pictures.explanation import explain as explain_module
from bench.pictures.explanation.explain import Picture, explain_detector
from bench.pictures.explanation.grad_cam import NO_LIBRARY, cam_layer, grad_cam
from bench.pictures.explanation.occlusion import occlusion, patch_count
from bench.pictures.explanation.spectrum import (
    crop_side,
    mean_spectra,
    power_spectrum,
    radial_mean,
)
from bench.protocol.suite import Suite
from bench.support.progress import Silent
from detectors.base import Detector
from detectors.card import DetectorCard, InputSpec
from detectors.network import NetworkDetector

CARD = DetectorCard(
    name="mine", arch="mine", reference="here", fake_logit="z", input=InputSpec(size=16)
)
SUITE = Suite(name="shown", slices=["generator"], conditions=["clean"])


@pytest.fixture
def canvas():
    return np.random.default_rng(3).integers(0, 256, (3, 16, 16), dtype=np.uint8)


@pytest.fixture
def network():
    """Two convolutions and a linear head over their mean: Grad-CAM of it has a closed form."""
    generator = torch.Generator().manual_seed(0)
    made = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 5, 3, stride=2), nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 1),
    )  # fmt: skip
    for parameter in made.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    return NetworkDetector(made.eval(), CARD).to(torch.device("cpu"))


class Weighed(Detector):
    """A linear detector without torch modules or gradient: logit = sum of weights times pixels."""

    card = CARD.model_copy(update={"differentiable": False})

    def __init__(self, weights):
        self.weights = weights

    def logits(self, batch):
        return torch.from_numpy(np.tensordot(batch.double().numpy(), self.weights, 3)).float()


def test_grad_cam_of_a_linear_head_is_its_weights_times_the_maps(network, canvas):
    pytest.importorskip("captum", reason="Grad-CAM needs captum, which is not installed")
    layer = cam_layer(network, canvas)
    assert layer.name == "3", "the last layer whose output is a map"
    batch = (torch.from_numpy(canvas[None]).float() / 255 - network._mean) / network._std
    with torch.no_grad():
        maps = network.network[:4](batch)[0].double().numpy()
    weights = network.network[6].weight[0].double().detach().numpy()
    expected = np.tensordot(weights, maps, 1) / maps[0].size
    assert grad_cam(network, canvas, layer) == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert expected.min() < 0 < expected.max(), "both directions are kept"
    assert not any(m._forward_hooks for m in network.network.modules())


def test_occlusion_of_a_linear_detector_is_its_weights(canvas):
    weights = np.random.default_rng(1).normal(size=(3, 16, 16))
    detector = Weighed(weights)
    pixels = canvas / 255
    away = weights * (pixels - pixels.mean(axis=(1, 2), keepdims=True))
    alone = occlusion(detector, canvas, patch=1)
    assert alone == pytest.approx(away.sum(0), abs=1e-4)
    # A patch hides several pixels, and a pixel lies under several patches: their mean.
    scored = []
    drops = occlusion(detector, canvas, patch=6, advance=scored.append)
    starts = [0, 3, 6, 9, 10]
    total, count = np.zeros((16, 16)), np.zeros((16, 16))
    for y in starts:
        for x in starts:
            place = np.s_[y : y + 6, x : x + 6]
            total[place] += away.sum(0)[place].sum()
            count[place] += 1
    assert drops == pytest.approx(total / count, abs=1e-3)
    assert sum(scored) == patch_count(canvas, 6) == 25


def test_occlusion_is_that_of_captum(network, canvas):
    attr = pytest.importorskip("captum.attr", reason="captum is not installed")
    batch = torch.from_numpy(canvas[None]).float() / 255
    colour = batch.mean(dim=(2, 3), keepdim=True).expand_as(batch)
    with torch.no_grad():
        expected = attr.Occlusion(network.logits).attribute(
            batch, sliding_window_shapes=(3, 4, 4), strides=(3, 2, 2), baselines=colour
        )
    assert occlusion(network, canvas, patch=4) == pytest.approx(
        expected[0, 0].double().numpy(), abs=1e-4
    )


def test_the_spectrum_of_a_sine_is_two_points():
    side, k, height = 32, 5, 40.0
    wave = 100 + height * np.cos(2 * np.pi * k * np.arange(side) / side)
    power = power_spectrum(np.tile(wave, (side, 1)))
    peaks = np.argwhere(power > 1e-6)
    assert peaks.tolist() == [[side // 2, side // 2 - k], [side // 2, side // 2 + k]]
    assert power[side // 2, side // 2 + k] == pytest.approx(height**2 * side**2 / 4)
    noise = np.random.default_rng(0).normal(size=(side, side))
    assert power_spectrum(noise).sum() == pytest.approx(((noise - noise.mean()) ** 2).sum())
    frequencies, ring = radial_mean(power_spectrum(noise))
    steps = np.fft.fftfreq(side) * side
    radius = np.rint(np.hypot(*np.meshgrid(steps, steps)))
    plain = np.abs(np.fft.fft2(noise - noise.mean())) ** 2 / side**2
    assert frequencies.tolist() == [i / side for i in range(1, side // 2 + 1)]
    assert ring == pytest.approx([plain[radius == i].mean() for i in range(1, side // 2 + 1)])


def test_pictures_are_gray_cropped_to_their_middle_and_averaged():
    rng = np.random.default_rng(2)
    pictures = [rng.integers(0, 256, (40, 24 + 8 * i, 3), dtype=np.uint8) for i in range(3)]
    spectra = mean_spectra(pictures, 32)
    assert spectra.n == 2, "one is too small"
    gray = [np.asarray(p, float) @ [0.299, 0.587, 0.114] for p in pictures[1:]]
    crops = [gray[0][4:36, :], gray[1][4:36, 4:36]]
    expected = [np.fft.fftshift(np.abs(np.fft.fft2(c - c.mean())) ** 2) / 1024 for c in crops]
    assert spectra.picture == pytest.approx(np.mean(expected, axis=0), abs=1e-6)
    assert mean_spectra(pictures, 64) is None
    assert crop_side([(300, 400)] * 3) == 256
    assert crop_side([(33, 90)] * 3) == 32
    assert crop_side([(12, 90)]) == crop_side([]) == 0


def explained(detector, folder, methods=()):
    pictures = [Picture("a $ name", np.full((20, 16, 3), 90, np.uint8))]
    return explain_detector(
        detector, "mine", pictures, folder, methods=methods, patch=None, progress=Silent()
    )


def test_what_has_no_gradient_map_or_library_is_occluded(network, tmp_path, monkeypatch):
    made = explained(Weighed(np.ones((3, 16, 16))), tmp_path / "linear")
    assert [path.name for path in made.files] == ["occlusion.png"]
    assert "no convolution over RGB pixels" in made.remarks[0]
    assert "no gradient for Grad-CAM" in made.remarks[1]
    tokens = NetworkDetector(
        nn.Sequential(nn.Conv2d(3, 4, 4, stride=4), nn.GELU(), nn.Flatten(), nn.Linear(64, 1)), CARD
    )
    assert cam_layer(tokens, np.zeros((3, 16, 16), np.uint8)) is None
    monkeypatch.setattr(explain_module, "has_library", lambda: False)
    made = explained(network, tmp_path / "bare")
    assert [path.name for path in made.files] == ["filters-and-maps.png", "occlusion.png"]
    assert made.remarks == [f"{NO_LIBRARY}; occlusion is drawn instead"]
    with pytest.raises(BenchError, match=r"pip install 'detector-bench\[explain\]'"):
        explained(network, tmp_path / "asked", ["grad-cam"])
    with pytest.raises(BenchError, match="no convolution over RGB pixels"):
        explained(Weighed(np.ones((3, 16, 16))), tmp_path / "asked", ["maps"])
    assert not (tmp_path / "asked").exists()


def test_a_run_is_explained_with_its_own_images_and_detectors(tree, toy, cli, tmp_path):
    run = bench.run([toy()], suite=SUITE, data=tree, out=tmp_path / "run").folder
    code, out, err = cli("explain", run, "-o", tmp_path / "one")
    assert code == 0, err
    names = [line.removeprefix(f"{tmp_path / 'one'}/") for line in out.splitlines()]
    assert names == [
        "Toy/occlusion.png", "spectra.png", "spectra-radial.svg", "spectra.csv", "index.html",
    ]  # fmt: skip
    cli("explain", run, "-o", tmp_path / "two", "-q")
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    rows = list(csv.DictReader((tmp_path / "one" / "spectra.csv").open()))
    assert {(r["generator"], r["n_fake"], r["n_real"]) for r in rows} == {
        ("alpha", "12", "12"), ("beta", "12", "12"),
    }  # fmt: skip
    mine = [float(r["power"]) for r in rows if (r["generator"], r["of"]) == ("beta", "picture")]
    pictures = [np.asarray(Image.open(p)) for p in sorted((tree / "beta" / "fake").iterdir())]
    side = 2 * len(mine)
    assert mine == pytest.approx(radial_mean(mean_spectra(pictures, side).picture)[1])
    # Another detector under the run's name explains nothing of it.
    source = tmp_path / "toy.py"
    source.write_text(source.read_text().replace("return 40 *", "return 30 *"))
    code, _, err = cli("explain", run, "-o", tmp_path / "three")
    assert code == 2
    assert "no longer what the run scored" in err


def test_images_are_explained_and_hostile_names_are_text(toy, cli, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    name = "<img src=x onerror=alert(1)>.png"
    Image.fromarray(np.full((40, 40, 3), 120, np.uint8)).save(folder / name)
    code, out, err = cli(
        "explain", folder, "-d", toy(), "-m", "occlusion", "--patch", "16", "-o", tmp_path / "out"
    )
    assert code == 0, err
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "<img src=x" not in page
    assert 'src="Toy/occlusion.png"' in page
    for arguments, said in (
        ([folder], "say which --detector"),
        ([folder, "-d", toy(), "-m", "spectra"], "give a run"),
        ([folder, "-d", toy(), "-m", "colours"], "--method"),
        ([folder, "-d", toy(), "--limit", "5"], "--limit has no effect"),
        ([folder, "-d", toy(), "-m", "grad-cam"], "Grad-CAM"),
        ([tmp_path / "nowhere", "-d", toy()], "check the path"),
    ):
        code, out, err = cli("explain", *arguments, "-o", tmp_path / "refused")
        assert (code, out) == (2, ""), arguments
        assert said in err
