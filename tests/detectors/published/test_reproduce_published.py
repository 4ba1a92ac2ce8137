"""`bench reproduce` of a published detector: our figures beside the paper's, and what is refused."""

from __future__ import annotations

import ast
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import average_precision_score

from bench import registry
from bench.cli import main as entry
from bench.inference.detector import DetectorRequest
from bench.inference.prediction import predict_images
from bench.protocol.input_rule import parse_input

GENERATORS = ("biggan", "GauGAN", "mystery")
COUNTS = {"0_real": 5, "1_fake": 7}
SMALL = "resize(32, interpolation=bilinear)"  # quick; NPR takes any even size


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Noise as ForenSynths lays it out; two generators of the paper's table and one that it lacks."""
    root = tmp_path_factory.mktemp("forensynths") / "test"
    rng = np.random.default_rng(0)
    for generator in GENERATORS:
        for kind, count in COUNTS.items():
            for number in range(count):
                path = root / generator / kind / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                spread = 60 if kind == "0_real" else 35 + 20 * (number % 3)
                pixels = np.clip(rng.normal(128, spread, (40, 40, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(path)
    return root


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Drawn weights of NPR under the published names, with a bias that puts scores on both sides."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        network = registry.detectors()["npr"].build(1)
    path = tmp_path_factory.mktemp("weights") / "NPR.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture
def cli(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)

    def call(*args):
        monkeypatch.setattr(sys, "argv", ["bench", *map(str, args)])
        with pytest.raises(SystemExit) as stop:
            entry.main()
        out, err = capsys.readouterr()
        return (stop.value.code or 0), out, err

    return call


def figure(facts, generator, metric):
    (row,) = [
        row for row in facts["figures"] if (row["generator"], row["metric"]) == (generator, metric)
    ]
    return row


def test_our_figures_stand_beside_the_papers(cli, data, weights, tmp_path):
    code, out, err = cli(
        "reproduce",
        "npr",
        "--data",
        data,
        "--weights",
        weights,
        "--device",
        "cpu",
        "--json",
        "--input",
        SMALL,
    )
    assert code == 0, err
    facts = json.loads(out)
    assert facts["test_set"] == "ForenSynths"
    request = DetectorRequest("npr", weights, input=parse_input(SMALL))
    predictions = predict_images([data / "biggan"], request, device="cpu")
    fake = np.array(["1_fake" in str(p.path) for p in predictions])
    logits = np.array([p.logit for p in predictions])
    right = (logits > 0) == fake
    expected = {
        "accuracy": right.mean(),
        "real accuracy": right[~fake].mean(),
        "fake accuracy": right[fake].mean(),
        "average precision": average_precision_score(fake, logits),
    }
    for metric, value in expected.items():
        assert figure(facts, "biggan", metric)["ours"] == pytest.approx(value, abs=1e-6), metric
    # Tan et al. 2024, table 2: BigGAN 87.5 / 94.5, GauGAN 86.6 / 88.8; it gives no R.Acc.
    assert figure(facts, "biggan", "accuracy")["paper"] == 0.875
    assert figure(facts, "GauGAN", "average precision")["paper"] == 0.888
    assert figure(facts, "biggan", "real accuracy")["paper"] is None
    assert figure(facts, "mystery", "accuracy")["paper"] is None
    # Six of the paper's generators are not here, so its mean is not beside ours.
    assert figure(facts, "", "accuracy")["paper"] is None
    assert "stylegan2" in facts["absent"]
    page = (tmp_path / "reproductions" / "npr" / "reproduction.md").read_text()
    assert "table 2" in page
    assert "sha256 is not known here" in page
    assert "| biggan" in page


def test_a_mean_stands_beside_the_papers_where_all_its_generators_are(cli, data, weights):
    args = ("reproduce", "npr", "--data", data, "-w", weights, "--device", "cpu", "--json")
    code, out, err = cli(*args, "--input", SMALL, "--test-set", "AIGIBench")
    assert code == 0, err
    facts = json.loads(out)
    assert figure(facts, "", "real accuracy")["paper"] == 0.938
    ours = [figure(facts, g, "real accuracy")["ours"] for g in GENERATORS]
    assert figure(facts, "", "real accuracy")["ours"] == pytest.approx(np.mean(ours))
    assert any("trained anew" in source for source in facts["sources"])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ["npr"],
            "npr trains nothing: pass --weights FILE, the published weights (NPR.pth at http",
        ),
        (
            ["npr", "--weights", "nowhere.pth"],
            "--weights nowhere.pth: no weights file there: check the path",
        ),
        (["npr", "--epochs", "3"], "--epochs has no effect on npr"),
        (["npr", "--detector", "npr"], "--detector has no effect on npr"),
        (["S1", "--weights", "x.pth"], "--weights has no effect on S1"),
        (["npr", "--weights", "W", "--test-set", "GenImage"], "npr has no figures on it"),
        (["resnet50", "--weights", "W"], "resnet50 is an architecture"),
        (
            ["nprr", "--weights", "W"],
            "no study or published detector called 'nprr': did you mean 'npr'",
        ),
    ],
)
def test_what_cannot_be_reproduced_is_refused_in_a_sentence(cli, args, message, data, weights):
    given = [weights if arg == "W" else arg for arg in args]
    code, out, err = cli("reproduce", *given, "--data", data)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


def test_what_departs_from_the_paper_is_said(cli, data, weights):
    args = ("reproduce", "npr", "--data", data, "-w", weights, "--device", "cpu")
    code, out, err = cli(*args, "--input", SMALL, "--limit", "20")
    assert code == 0, err
    assert "Departure: the paper's input rule is resize to 256 px (bilinear)." in out
    assert out.index("LIMITED") < out.index("| generator")


def test_every_figure_of_a_paper_is_a_share_with_a_source():
    for name, method in registry.detectors().items():
        publication = getattr(method, "publication", None)
        for each in publication.figures if publication else ():
            assert 0 < each.value <= 1, name
            assert each.source, name
            assert each.test_set, name


def test_show_prints_what_the_paper_published(cli):
    code, out, _ = cli("show", "npr", "--json")
    facts = json.loads(out)
    assert code == 0
    assert facts["published at"] == "https://github.com/chuangchuangtan/NPR-DeepfakeDetection"
    assert facts["training_data"]["generators"] == ["progan"]
    assert {"test_set", "generator", "metric", "value", "source"} == facts["figures of its paper"][
        0
    ].keys()
    assert facts["parameters"].startswith("1,437,761 ")
    code, out, _ = cli("show", "cnndetection-0.5")  # a dot in a name is no tag
    assert code == 0
    assert "blur_jpg_prob0.5.pth" in out


def test_names_are_listed_without_torch():
    code = (
        "import sys; from bench.catalogue import detectors; rows = detectors.rows(); "
        "assert 'torch' not in sys.modules; print([r['name'] for r in rows])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"npr", "ferretnet-s", "universalfakedetect", "probe/<timm model>"} <= set(
        ast.literal_eval(done.stdout)
    )
