"""Weights files of published names and shapes load strictly; what does not fit fails by name.

The networks stand on the meta device, where ViT-L costs as little as a linear layer.
"""

from __future__ import annotations

import json
import math

import pytest
import torch

from bench import registry
from bench.weights.known import candidates_of
from detectors.adapters.base import LoadOptions
from detectors.errors import WeightsError
from detectors.publication.load import load_method
from detectors.weights.torch_file import read_torch
from tests.detectors.published.names_and_shapes import COUNTED, PUBLISHED, clip_vit_large, empty

WRAPPERS = {
    "community-forensics-384": lambda state: {
        "model": state,
        "epoch": 3,
        "optimizer": {"state": {}},
    },
    "gram-net": lambda state: {"netC": {f"module.{key}": value for key, value in state.items()}},
    "freqdetect": lambda state: {"netC": state},
    "b-free": lambda state: {"model": state},
    "safe": lambda state: {"model": state, "epoch": 19, "scaler": {"scale": 1.0}},
}
# One name for every network: the others differ in what they were trained on.
NETWORKS = [
    name for name in PUBLISHED if name not in ("drct-convb-sdv2", "drct-convb-genimage", "rine-ldm")
]
# A head that would be read as another way round is the worst of all mistakes.
DIRECTIONS = {"drct-convb": "z1-z0", "safe": "z1-z0"}

pytestmark = pytest.mark.filterwarnings("ignore:.*meta parameter:UserWarning")


@pytest.fixture
def files(tmp_path):
    """Save a state as the method's publishers wrap it; whatever else they publish lies beside."""

    def save(name, state, wrap=lambda state: state):
        torch.save(wrap(state), tmp_path / "weights.pth")
        backbone = None
        if registry.detectors()[name].publication.backbone:
            backbone = tmp_path / "clip.pth"
            torch.save(empty(clip_vit_large()), backbone)
        for statistic in ("dct_mean", "dct_var"):
            torch.save(
                torch.ones((), dtype=torch.float64).expand(3, 224, 224), tmp_path / statistic
            )
        return tmp_path / "weights.pth", LoadOptions(backbone=backbone)

    return save


def load(name, file, options):
    with torch.device("meta"):
        return load_method(registry.detectors()[name], file, options)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_file_of_the_published_names_and_shapes_loads(name, files):
    detector = load(name, *files(name, empty(PUBLISHED[name]), WRAPPERS.get(name, lambda s: s)))
    held = {key: tuple(value.shape) for key, value in detector.network.state_dict().items()}
    assert PUBLISHED[name].items() <= held.items()
    assert detector.card.fake_logit == DIRECTIONS.get(
        name.removesuffix("-sdv2").removesuffix("-genimage"), "z"
    )
    assert detector.card.differentiable


@pytest.mark.parametrize("name", COUNTED)
def test_the_shapes_here_add_up_to_what_others_count_in_the_files(name):
    sizes = [math.prod(shape) for shape in PUBLISHED[name].values()]
    assert (len(sizes), sum(sizes)) == COUNTED[name]


@pytest.mark.parametrize("name", NETWORKS)
def test_one_key_missing_renamed_or_misshapen_fails_by_its_name(name, files):
    state = empty(PUBLISHED[name])
    keys = sorted(state)
    first, middle, last = keys[0], keys[len(keys) // 2], keys[-1]
    rest = {key: value for key, value in state.items() if key != first}
    with pytest.raises(WeightsError, match=rf"1 missing \({first}\)"):
        load(name, *files(name, rest))
    renamed = {key + "s" * (key == last): value for key, value in state.items()}
    with pytest.raises(WeightsError, match=rf"1 missing \({last}\) and 1 unexpected \({last}s\)"):
        load(name, *files(name, renamed))
    longer = torch.zeros(()).expand(*state[middle].shape[:-1], 11)
    with pytest.raises(WeightsError, match=rf"{middle} has shape \(.*11,?\), the network needs"):
        load(name, *files(name, state | {middle: longer}))


def test_a_file_that_leaves_the_backbone_out_asks_for_it(files):
    file, _ = files("rine", empty(PUBLISHED["rine"]))
    with pytest.raises(
        WeightsError, match=r"--backbone FILE .*vit_large_patch14_clip_quickgelu_224"
    ):
        load("rine", file, LoadOptions())


def test_a_backbone_s_own_key_is_missed_by_its_name(files):
    file, options = files("rine", empty(PUBLISHED["rine"]))
    state = empty(clip_vit_large())
    del state["blocks.7.norm2.weight"]
    torch.save(state, options.backbone)
    with pytest.raises(WeightsError, match=r"clip\.pth .*blocks\.7\.norm2\.weight"):
        load("rine", file, options)


def test_trainings_of_rine_differ_in_shape_and_none_loads_as_another(files):
    for name, other in (
        ("rine", "rine-1class"),
        ("rine-1class", "rine-2class"),
        ("rine-2class", "rine"),
    ):
        with pytest.raises(WeightsError):
            load(name, *files(name, empty(PUBLISHED[other])))


class TestStatisticsBesideTheWeights:
    """FreqDetect's mean and variance are files of their own."""

    @pytest.fixture
    def file(self, files):
        return files("freqdetect", empty(PUBLISHED["freqdetect"]))[0]

    def load(self, file):
        return load_method(registry.detectors()["freqdetect"], file, LoadOptions())

    def test_they_fill_the_spectrum_whatever_their_ending(self, file):
        (file.parent / "dct_mean").unlink()
        torch.save(torch.full((3, 224, 224), 2.5), file.parent / "dct_mean.zip")
        state = self.load(file).network.state_dict()
        assert (state["spectrum.mean"] == 2.5).all()
        assert (state["spectrum.variance"] == 1).all()

    def test_the_weights_alone_are_known_and_the_others_asked_for(self, file, monkeypatch):
        method = registry.detectors()["freqdetect"]
        monkeypatch.setattr(registry, "detectors", lambda: {"freqdetect": method})
        (candidate,) = candidates_of(read_torch(file, file.stat().st_size, 1 << 30))
        assert (candidate.match.verdict, candidate.outputs) == ("fits", 1)
        assert candidate.remark == "put dct_mean and dct_var beside it, as published"

    def test_one_file_may_hold_all(self, file, tmp_path):
        whole = self.load(file).network.state_dict()
        (tmp_path / "whole").mkdir()
        torch.save(
            whole | {"spectrum.mean": whole["spectrum.mean"] + 3}, tmp_path / "whole" / "all.pth"
        )
        loaded = self.load(tmp_path / "whole" / "all.pth").network.state_dict()
        assert (loaded["spectrum.mean"] == whole["spectrum.mean"] + 3).all()

    def test_a_card_beside_them_holds(self, file):
        said = {"name": "mine", "arch": "freqdetect", "fake_logit": "-z", "input": {"size": 224}}
        file.with_suffix(".json").write_text(json.dumps(said))
        detector = self.load(file)
        assert (detector.card.name, detector.card.fake_logit) == ("mine", "-z")
        assert detector.card.weights.sha256
        assert (detector.network.state_dict()["spectrum.mean"] == 1).all()
        with pytest.raises(WeightsError, match="--fake-logit contradicts the card"):
            load_method(registry.detectors()["freqdetect"], file, LoadOptions(fake_logit="z"))

    def test_they_belong_to_what_the_detector_is(self, file):
        before = self.load(file).identity()
        torch.save(torch.full((3, 224, 224), 1.5), file.parent / "dct_var")
        assert self.load(file).identity() != before

    def test_one_missing_ambiguous_or_of_another_kind_is_named(self, file):
        torch.save({"a": torch.zeros(1)}, file.parent / "dct_mean")
        with pytest.raises(WeightsError, match="dct_mean holds a dict, not a tensor"):
            self.load(file)
        torch.save(torch.zeros(3, 256, 256), file.parent / "dct_mean")
        with pytest.raises(
            WeightsError, match=r"dct_mean and dct_var: mean has shape \(3, 256, 256\)"
        ):
            self.load(file)
        torch.save(torch.full((3, 224, 224), torch.nan), file.parent / "dct_mean")
        with pytest.raises(WeightsError, match="mean holds values that are not finite"):
            self.load(file)
        (file.parent / "dct_mean").write_bytes(b"")
        with pytest.raises(WeightsError, match="dct_mean is empty"):
            self.load(file)
        (file.parent / "dct_mean.pt").write_bytes(b"x")
        with pytest.raises(WeightsError, match="2 files called dct_mean"):
            self.load(file)
        (file.parent / "dct_mean.pt").unlink()
        (file.parent / "dct_mean").unlink()
        with pytest.raises(
            WeightsError, match=r"weights\.pth .*dct_mean and dct_var.*has no dct_mean"
        ):
            self.load(file)
