from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.errors import BenchError
from bench.inference.detector import DetectorRequest, resolve

LOADS = """
import numpy as np
from detectors import Detector, DetectorCard

class Linear(Detector):
    card = DetectorCard(name="linear", arch="linear")

    def __init__(self, weights=None):
        self.scale = float(np.load(weights)) if weights else 1.0

    def logits(self, batch):
        return self.scale * batch.mean(dim=(1, 2, 3))

made = Linear
"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(LOADS)
    return path


def weights(tmp_path, value):
    path = tmp_path / f"{value}.npy"
    np.save(path, np.array(value))
    return path


def test_own_code_with_own_weights(own, tmp_path):
    detector = resolve(DetectorRequest(f"{own}:Linear", weights(tmp_path, 3.0)))
    assert detector.logits(torch.ones(2, 3, 4, 4)).tolist() == [3.0, 3.0]


def test_other_weights_or_other_code_is_another_detector(own, tmp_path):
    def identity(value):
        return resolve(DetectorRequest(f"{own}:Linear", weights(tmp_path, value))).identity()

    first = identity(3.0)
    assert identity(3.0) == first
    assert identity(4.0) != first
    own.write_text(LOADS.replace("self.scale *", "2 * self.scale *"))
    assert identity(3.0) != first


def test_a_missing_weights_file_is_said_before_own_code_runs(own, tmp_path):
    with pytest.raises(BenchError, match="no weights file"):
        resolve(DetectorRequest(f"{own}:Linear", tmp_path / "absent.npy"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("def", "cannot be imported"),
        ("import nowhere_at_all", "ModuleNotFoundError"),
        ("Linear = 3", "not a detector"),
    ],
)
def test_own_code_that_fails_is_named(own, text, says):
    own.write_text(text)
    with pytest.raises(BenchError, match=says):
        resolve(DetectorRequest(f"{own}:Linear"))


def test_the_bare_name_means_the_shipped_weights():
    bare, tagged = (
        resolve(DetectorRequest("genimage-cnn")),
        resolve(DetectorRequest("genimage-cnn.pocket")),
    )
    assert bare.identity() == tagged.identity()
    assert bare.card.training_data.dataset == "pocket"
