"""What published detectors do with pixels, against NumPy, SciPy, torchvision and timm's own networks."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import scipy.fft
import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torchvision import transforms

from bench import registry
from detectors.card import DetectorCard, InputSpec
from detectors.errors import DetectorError
from detectors.inputs.spec import IMAGENET_MEAN
from detectors.network import NetworkDetector
from detectors.published.b_free import with_crops
from detectors.published.community_forensics import CommunityForensics
from detectors.published.drct import DRCT
from detectors.published.freqdetect import FreqDetect
from detectors.published.gram_net import GramNet, gram_matrix
from detectors.published.rine import RINE
from detectors.published.safe import SAFE
from detectors.published.spectrum import LogSpectrum
from detectors.published.wavelet import diagonal_details

PIXELS = InputSpec(size=None, fit="native", mean=(0, 0, 0), std=(1, 1, 1))


def small_transformer(outputs, *, side=56):
    """DINOv2 with registers as B-Free has it, but narrow and shallow, its crops of 4 x 4 patches."""
    return VisionTransformer(
        img_size=side,
        patch_size=14,
        embed_dim=32,
        depth=2,
        num_heads=2,
        init_values=0.5,
        reg_tokens=4,
        no_embed_class=True,
        num_classes=outputs,
    )


def small_clip():
    """CLIP's image encoder, but narrow and shallow, for 32 px."""
    return timm.create_model(
        "vit_large_patch14_clip_quickgelu_224",
        pretrained=False,
        num_classes=0,
        img_size=32,
        patch_size=8,
        embed_dim=32,
        depth=3,
        num_heads=2,
    )


def small_community_forensics(outputs):
    with torch.device("meta"):
        network = CommunityForensics(outputs, side=224)
    network.vit = timm.create_model(
        "vit_small_patch16_224",
        num_classes=outputs,
        img_size=32,
        embed_dim=64,
        depth=2,
        num_heads=2,
    )
    return network


def small_drct(outputs):
    with torch.device("meta"):
        network = DRCT(outputs)
    network.model = timm.create_model("convnext_atto", pretrained=False, num_classes=1024)
    network.fc = torch.nn.Linear(1024, outputs)
    return network


def small_freqdetect(outputs):
    network = FreqDetect(outputs)
    network.spectrum = LogSpectrum(64)
    return network


# Every kind of network with the head it calls its own, and a side it takes.
KINDS = {
    "community-forensics": (small_community_forensics, "vit.head", 32),
    "drct": (small_drct, "fc", 64),
    "rine": (lambda outputs: RINE(outputs, width=16, clip=small_clip()), "head.6", 32),
    "safe": (SAFE, "fc1", 64),
    "gram-net": (GramNet, "fcnewr.3", 64),
    "freqdetect": (small_freqdetect, "fc", 64),
    "b-free": (lambda outputs: with_crops(small_transformer(outputs)), "head", 70),
}


def detector(network, fake_logit):
    card = DetectorCard(name="n", arch="n", fake_logit=fake_logit, input=PIXELS)
    return NetworkDetector(network, card).to(torch.device("cpu"))


@pytest.fixture(params=KINDS)
def kind(request):
    torch.manual_seed(4)
    build, head, side = KINDS[request.param]
    two = build(2)
    for module in two.modules():  # layers that start as zero would hide what is behind them
        for parameter in module.parameters(recurse=False):
            if parameter.ndim > 1:
                torch.nn.init.kaiming_normal_(parameter)
    return build, head, two, torch.rand(3, 3, side, side)


def test_one_output_and_two_point_the_same_way(kind):
    build, head, two, images = kind
    one = build(1)
    state = copy.deepcopy(two.state_dict())
    for name in (f"{head}.weight", f"{head}.bias"):
        state[name] = (state[name][1] - state[name][0])[None]
    one.load_state_dict(state)
    with torch.inference_mode():
        single = detector(one, "z").checked_logits(images)
        double = detector(two, "z1-z0").checked_logits(images)
        assert double.std() > 0
        torch.testing.assert_close(single, double, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(detector(two, "z0-z1").checked_logits(images), -double)


def test_the_gradient_reaches_every_image_and_points_where_the_logit_rises(kind):
    _, _, two, images = kind
    scored = detector(two, "z1-z0")
    images = images.clamp(0.1, 0.9).requires_grad_()
    logits = scored.checked_logits(images)
    (gradient,) = torch.autograd.grad(logits.sum(), images)
    assert torch.isfinite(gradient).all()
    assert (gradient.abs().sum(dim=(1, 2, 3)) > 0).all()
    with torch.no_grad():
        norm = gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        ways = [gradient / norm * 10.0**-power for power in (2, 3, 4, 5)]
        steps = [scored.checked_logits(images + way) for way in ways]
    # Along the gradient the logit rises at one of these steps: too long a step leaves where it holds.
    assert (torch.stack(steps) > logits).any(dim=0).all()


def test_every_method_s_code_can_be_told_apart(kind):
    _, _, two, _ = kind
    assert detector(two, "z1-z0").identify().unknown == ()


class TestWavelet:
    """The filter bank of bior1.3, written out in loops."""

    HIGH = np.array([0, 0, -1, 1, 0, 0]) / np.sqrt(
        2
    )  # decomposition high-pass, published with the wavelet

    def along_rows(self, image):
        """Convolve with the filter, drop every second, on half-sample symmetric rows."""
        length = image.shape[1]
        padded = np.pad(image, ((0, 0), (6, 6)), mode="symmetric")
        count = (length + 5) // 2
        out = np.zeros((image.shape[0], count))
        for place in range(count):
            for tap in range(6):
                out[:, place] += self.HIGH[tap] * padded[:, 6 + 2 * place + 1 - tap]
        return out

    @pytest.mark.parametrize("size", [(12, 12), (9, 14), (3, 2)])
    def test_details_are_high_along_rows_and_columns(self, size):
        image = np.random.default_rng(0).random(size)
        expected = self.along_rows(self.along_rows(image).T).T
        details = diagonal_details(torch.from_numpy(image)[None, None])[0, 0].numpy()
        np.testing.assert_allclose(details, expected, atol=1e-12)

    def test_256_px_become_130_and_nothing_is_left_of_a_smooth_ramp(self):
        ramp = torch.linspace(0, 1, 256).expand(1, 3, 256, 256)
        details = diagonal_details(ramp)
        assert details.shape == (1, 3, 130, 130)
        assert details.abs().max() < 1e-6

    def test_its_gradient_is_that_of_finite_differences(self):
        images = torch.rand(1, 2, 5, 6, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(diagonal_details, images)


class TestSpectrum:
    """The cosine transform by a matrix against SciPy's, on the 8-bit pixels."""

    def spectrum(self, side):
        spectrum = LogSpectrum(side)
        generator = torch.Generator().manual_seed(1)
        spectrum.mean.copy_(torch.rand(3, side, side, generator=generator))
        spectrum.variance.copy_(torch.rand(3, side, side, generator=generator) + 0.5)
        return spectrum

    def expected(self, spectrum, pixels):
        coefficients = scipy.fft.dctn(
            pixels.astype(np.float64), type=2, norm="ortho", axes=(-2, -1)
        )
        logarithms = np.log(np.abs(coefficients) + 1e-12)
        return (logarithms - spectrum.mean.numpy()) / np.sqrt(spectrum.variance.numpy())

    def test_it_is_scipys_on_8_bit_images(self):
        pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 224, 224), dtype=np.uint8)
        spectrum = self.spectrum(224)
        scores = spectrum(torch.from_numpy(pixels).float() / 255).numpy()
        np.testing.assert_allclose(scores, self.expected(spectrum, pixels), atol=2e-5)

    def test_small_coefficients_of_smooth_images_are_not_those_of_float32(self):
        # A photograph's sky: a ramp of whole levels, whose high coefficients are a millionth of its mean.
        ramp = np.clip(np.add.outer(np.arange(32), np.arange(32)) + 100, 0, 255)
        pixels = np.broadcast_to(ramp, (1, 3, 32, 32)).astype(np.uint8)
        pixels = pixels + (np.random.default_rng(0).random(pixels.shape) < 0.002).astype(np.uint8)
        spectrum = self.spectrum(32)
        scores = spectrum(torch.from_numpy(pixels).float() / 255).numpy()
        expected = self.expected(spectrum, pixels)
        real = np.abs(scipy.fft.dctn(pixels.astype(float), axes=(-2, -1), norm="ortho")) > 1e-9
        np.testing.assert_allclose(scores[real], expected[real], atol=1e-3)

    def test_between_levels_it_moves_with_the_pixels(self):
        # An adversarial image is not of 8 bits: half a level must count.
        images = torch.full((1, 3, 16, 16), 100 / 255)
        images[..., 3, 5] += 0.5 / 255
        spectrum = self.spectrum(16)
        pixels = images.double().numpy() * 255
        np.testing.assert_allclose(
            spectrum(images).numpy(), self.expected(spectrum, pixels), atol=1e-2
        )


def test_the_gram_matrix_is_the_mean_product_of_channels():
    maps = np.random.default_rng(0).random((2, 5, 4, 6))
    expected = np.einsum("nchw,ndhw->ncd", maps, maps) / (5 * 4 * 6)
    matrix = gram_matrix(torch.from_numpy(maps))[:, 0].numpy()
    np.testing.assert_allclose(matrix, expected, rtol=1e-12)


class TestFiveCrops:
    """B-Free's crops of embedded patches against crops of pixels, scored by timm's own transformer."""

    @pytest.fixture
    def networks(self):
        torch.manual_seed(0)
        plain = small_transformer(1).eval()
        for parameter in plain.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        cropping = with_crops(small_transformer(1)).eval()
        cropping.load_state_dict(plain.state_dict())  # its keys are timm's
        return plain, cropping

    @torch.inference_mode()
    def test_the_logit_is_the_mean_of_the_centre_and_the_corners(self, networks):
        plain, cropping = networks
        images = torch.rand(
            2, 3, 14 * 7 + 5, 14 * 6 + 13
        )  # what is left of a patch is not looked at
        corners = (
            (1, 1),
            (0, 0),
            (3, 0),
            (3, 2),
            (0, 2),
        )  # in patches: 7 x 6 of them, crops of 4 x 4
        crops = [images[..., 14 * t : 14 * t + 56, 14 * le : 14 * le + 56] for t, le in corners]
        expected = torch.stack([plain(crop) for crop in crops]).mean(dim=0)
        assert plain(crops[0]).std() > 0
        torch.testing.assert_close(cropping(images), expected)

    @torch.inference_mode()
    @pytest.mark.parametrize("size", [(30, 100), (100, 17), (14, 14), (56, 56)])
    def test_a_smaller_image_is_tiled_in_whole_patches(self, networks, size):
        plain, cropping = networks
        image = np.random.default_rng(0).random((1, 3, *size), dtype=np.float32)
        patches = image[..., : size[0] // 14 * 14, : size[1] // 14 * 14]
        tiled = np.tile(patches, (1, 1, 4, 4))[..., :56, :56]
        torch.testing.assert_close(
            cropping(torch.from_numpy(image)), plain(torch.from_numpy(tiled))
        )

    def test_an_image_smaller_than_a_patch_is_refused(self, networks):
        with pytest.raises(
            DetectorError, match="patches of 14 px, and an image here is 40 x 13 px"
        ):
            networks[1](torch.rand(1, 3, 13, 40))


@torch.inference_mode()
def test_rine_reads_the_class_token_behind_every_block_s_second_norm():
    torch.manual_seed(0)
    network = RINE(1, width=16, clip=small_clip()).eval()
    read = []
    for block in network.clip.blocks:
        block.norm2.register_forward_hook(lambda _, __, output: read.append(output[:, 0].numpy()))
    images = torch.rand(2, 3, 32, 32)
    network.clip(images)  # timm's own forward
    tokens = np.stack(read, axis=1)
    np.testing.assert_allclose(network.class_tokens(images).numpy(), tokens, atol=1e-5)
    assert tokens.shape == (2, 3, 32)

    def stack(values, layers):
        for layer in (1, 4):
            weight, bias = layers[layer].weight.numpy(), layers[layer].bias.numpy()
            values = np.maximum(values @ weight.T + bias, 0)
        return values

    projected = stack(tokens, network.proj1)
    importance = np.exp(network.alpha.numpy())
    importance /= importance.sum(axis=1, keepdims=True)
    summed = stack((importance * projected).sum(axis=1), network.proj2)
    expected = network.head(torch.from_numpy(summed))
    torch.testing.assert_close(network(images), expected)


class TestGeometry:
    """The cards' input rules against torchvision on Pillow images, and DRCT's against NumPy."""

    @pytest.fixture(params=[(500, 331), (300, 451), (90, 700)])
    def image(self, request):
        rng = np.random.default_rng(0)
        return rng.integers(0, 256, (*request.param, 3), dtype=np.uint8)

    @pytest.mark.parametrize(
        ("name", "steps"),
        [
            ("community-forensics-224", [transforms.Resize(256), transforms.CenterCrop(224)]),
            ("community-forensics-384", [transforms.Resize(440), transforms.CenterCrop(384)]),
            ("gram-net", [transforms.Resize(256), transforms.CenterCrop(224)]),
            ("freqdetect", [transforms.Resize(256), transforms.CenterCrop(224)]),
            ("rine", [transforms.CenterCrop(224)]),
            ("safe", [transforms.CenterCrop(256)]),
        ],
    )
    def test_canvases_are_those_of_the_published_transforms(self, name, steps, image):
        pillow = transforms.Compose([transforms.ToPILImage(), *steps, transforms.PILToTensor()])
        np.testing.assert_array_equal(self.fitted(name, image), pillow(image).numpy())

    def test_drct_frames_in_black_and_cuts_the_smaller_half_first(self, image):
        height, width = image.shape[:2]
        rows, columns = max(0, 224 - height), max(0, 224 - width)
        before = rows // 2, columns // 2
        framed = np.pad(
            image, ((before[0], rows - before[0]), (before[1], columns - before[1]), (0, 0))
        )
        top, left = (framed.shape[0] - 224) // 2, (framed.shape[1] - 224) // 2
        expected = framed[top : top + 224, left : left + 224].transpose(2, 0, 1)
        np.testing.assert_array_equal(self.fitted("drct-convb", image), expected)

    def test_pixels_reach_spectrum_and_wavelet_as_they_are(self):
        for name in ("freqdetect", "safe"):
            spec = registry.detectors()[name].input
            assert (spec.mean, spec.std) == ((0, 0, 0), (1, 1, 1))
        assert registry.detectors()["b-free"].input.mean == IMAGENET_MEAN

    def fitted(self, name, image):
        card = DetectorCard(name=name, arch=name, input=registry.detectors()[name].input)
        return NetworkDetector(torch.nn.Identity(), card).fit(image)
