"""From an ONNX file, its card and what a user says to a detector: what nobody says is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from detectors.adapters.base import FLAGS, LoadOptions
from detectors.card import DetectorCard, InputSpec, WeightsRef, card_beside, read_card
from detectors.errors import DetectorError, described
from detectors.inputs.spec import spelled
from detectors.onnx_model.detector import OnnxDetector
from detectors.onnx_model.heads import looks_like_probabilities, one_logit
from detectors.onnx_model.session import OnnxFile
from detectors.weights import file_sha256

# Side in px of the images that a network of any size is tried with.
_TRIAL_SIDE = 64


def build(path: Path, options: LoadOptions) -> OnnxDetector:
    """Load an ONNX file as a detector.

    Args:
        path: Path of the model.
        options: What was said beside it.

    Raises:
        DetectorError: It cannot be loaded, or nobody says how images become its input, or what its
            outputs mean.
    """
    if not path.is_file():
        raise DetectorError(f"no ONNX file at {path}: check the path")
    file = OnnxFile.load(path, torch.device("cpu"))
    beside = card_beside(path)
    stated = read_card(beside) if beside.is_file() else None
    card = stated or DetectorCard(name=path.stem, arch="onnx")
    sha256 = file_sha256(path)
    if card.weights is not None and card.weights.sha256 not in ("", sha256):
        raise DetectorError(f"{beside} is the card of another file than {path}: its sha256 differs")
    said = _said(options, stated, beside)
    spec = _input_rule(file, said.get("input") or _of(stated, "input"))
    weights = (card.weights or WeightsRef()).model_copy(update={"sha256": sha256})
    # Gradients only on demand: by default a card says that there are some, and here there are none.
    wants_gradient = card.differentiable and "differentiable" in card.model_fields_set
    twin = _twin(path) if wants_gradient else None
    card = card.model_copy(
        update={**said, "input": spec, "weights": weights, "differentiable": twin is not None}
    )
    outputs = _tried(file, spec)
    _check_head(file, outputs, card, said, stated)
    one_logit(outputs, card)
    return OnnxDetector(file, card, twin)


def _said(options: LoadOptions, stated: DetectorCard | None, beside: Path) -> dict[str, Any]:
    """Fields of the card that options state, held against those that the card beside the file states.

    Raises:
        DetectorError: They contradict each other.
    """
    said: dict[str, Any] = {
        "fake_logit": options.fake_logit,
        "output": options.output,
        "input": options.input,
        "fake_outputs": _positions("fake_labels", options.fake_labels),
        "ignored_outputs": _positions("ignore_labels", options.ignore_labels),
    }
    said = {name: value for name, value in said.items() if value not in (None, ())}
    if "ignored_outputs" in said and not (said.get("fake_outputs") or _of(stated, "fake_outputs")):
        raise DetectorError(
            "--ignore-label has no effect without --fake-label: say which mean fake"
        )
    if "fake_outputs" in said and "fake_logit" in said:
        raise DetectorError("--fake-label and --fake-logit say the same: give one of the two")
    flags = {**FLAGS, "fake_outputs": "--fake-label", "ignored_outputs": "--ignore-label"}
    for name, value in said.items():
        theirs = _of(stated, name)
        if theirs is not None and theirs != value:
            raise DetectorError(
                f"{flags[name]} contradicts the card {beside.name}: change the card, or leave it out"
            )
    return said


def _of(card: DetectorCard | None, name: str) -> Any:
    """What a card states of a field itself; None where it leaves it at its default."""
    return getattr(card, name) if card is not None and name in card.model_fields_set else None


def _positions(option: str, labels: tuple[str, ...]) -> tuple[int, ...]:
    for label in labels:
        if not (label.isascii() and label.isdigit()):
            raise DetectorError(
                f"{FLAGS[option]} {label}: an ONNX file has no words for its outputs: give their numbers, "
                "from 0"
            )
    return tuple(map(int, labels))


def _input_rule(file: OnnxFile, stated: InputSpec | None) -> InputSpec:
    """The input rule: as stated, its size as the graph declares it.

    Raises:
        DetectorError: Nobody states one, or it contradicts the graph.
    """
    path = file.path
    declared = "" if file.size is None else f"(size={spelled(file.size)}, ...)"
    if stated is None:
        raise DetectorError(
            f"nobody says how images become the input of {path}: put a card beside it "
            f"({card_beside(path).name}), or pass --input, for example --input 'shortest-crop{declared}'"
        )
    normalised = {"mean", "std"} & stated.model_fields_set
    neutral = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    if file.dtype == np.uint8:
        if normalised and (stated.mean, stated.std) != (neutral["mean"], neutral["std"]):
            raise DetectorError(
                f"{path} takes 8-bit images and normalises them itself: leave mean and std out"
            )
        stated = stated.model_copy(update=neutral)
    if file.size is None:
        return stated
    if "size" not in stated.model_fields_set and stated.fit != "native" and stated.views == "one":
        square = file.size[0] == file.size[1]
        stated = stated.model_copy(update={"size": file.size[0] if square else file.size})
    if stated.network_input != file.size:
        theirs = stated.network_input
        raise DetectorError(
            f"{path} takes {spelled(file.size)} px and the input rule gives "
            f"{'images of their own size' if theirs is None else spelled(theirs) + ' px'}: say "
            f"size={spelled(file.size)}"
        )
    return InputSpec.model_validate(stated.model_dump(exclude_defaults=True))


def _tried(file: OnnxFile, spec: InputSpec) -> Tensor:
    """Outputs of a few pictures, (n, k): grey, black, white and noise.

    Raises:
        DetectorError: The model fails on them.
    """
    height, width = spec.network_input or file.size or (_TRIAL_SIDE, _TRIAL_SIDE)
    noise = np.random.default_rng(0).random((3, height, width))
    pictures = np.stack([np.full_like(noise, 0.5), noise * 0, noise * 0 + 1, noise])
    mean, std = (np.array(each).reshape(3, 1, 1) for each in (spec.mean, spec.std))
    return torch.from_numpy(file.run(((pictures - mean) / std).astype(np.float32)))


def _check_head(
    file: OnnxFile,
    outputs: Tensor,
    card: DetectorCard,
    said: dict[str, Any],
    stated: DetectorCard | None,
) -> None:
    """Make sure that somebody says which outputs mean AI-generated, and what they are.

    Raises:
        DetectorError: Nobody does, and the outputs leave it open.
    """
    path, count = file.path, outputs.shape[1]
    directed = ("fake_logit", "fake_outputs")
    if not any(name in said or _of(stated, name) is not None for name in directed):
        how = (
            "--fake-logit z (large means AI-generated) or -z"
            if count == 1
            else "--fake-logit z1-z0 or z0-z1"
            if count == 2
            else f"--fake-label with their numbers, 0 to {count - 1}"
        )
        raise DetectorError(
            f"{path} has {count} output{'s' * (count > 1)}, and nobody says what means AI-generated: pass "
            f"{how}"
        )
    is_logit = file.facts.ends_affine  # in [0, 1] by chance, on a few pictures
    if card.output is None and looks_like_probabilities(outputs) and not is_logit:
        raise DetectorError(
            f"the outputs of {path} lie in [0, 1] as probabilities do, and nobody says what they are: pass "
            "--output probability or --output logit"
        )


def _twin(path: Path) -> nn.Module | None:
    """The same network in torch, by onnx2torch; None where that is not installed.

    Raises:
        DetectorError: It is installed, and cannot convert the file.
    """
    try:
        import onnx2torch  # noqa: PLC0415  (not even an extra)
    except ImportError:
        return None
    try:
        network: nn.Module = onnx2torch.convert(str(path))
    except Exception as error:  # whatever it cannot convert
        raise DetectorError(
            f"the card of {path} says that it is differentiable, and onnx2torch cannot convert it "
            f'({described(error)}): say "differentiable": false'
        ) from error
    return network.eval()
