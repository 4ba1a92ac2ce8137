"""A folder with an image classifier as a detector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from detectors.card import DetectorCard, FakeLogit, WeightsRef
from detectors.errors import DetectorError, WeightsError, described
from detectors.global_state import kept
from detectors.huggingface import folder as files
from detectors.huggingface.head import LabelHead
from detectors.huggingface.labels import Sides, choose_sides, shown
from detectors.huggingface.network import Built, build
from detectors.huggingface.processor import Preprocessing, preprocessing
from detectors.huggingface.timm_folder import build_timm, is_of_timm, labels_of_timm, rule_of_timm
from detectors.inputs.views import views
from detectors.network import NetworkDetector
from detectors.options import LoadOptions

_ONE_OUTPUT = ("z", "-z")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a folder came from.

    Attributes:
        name: The detector as typed.
        label: What boards call it.
        url: Where it is published; empty for a folder of the user's own.
        revision: Commit of the hub; empty for a folder of the user's own.
    """

    name: str
    label: str
    url: str = ""
    revision: str = ""


def load_classifier(place: Path, origin: Origin, options: LoadOptions) -> NetworkDetector:
    """Build the classifier in a folder and fill it, strictly.

    Args:
        place: Folder with its configuration, its preprocessing and its weights.
        origin: Where it came from.
        options: What was said beside its name.

    Raises:
        DetectorError: If it cannot be built, or its labels or input are not clear; says what to pass.
        WeightsError: If the weights are not its own.
    """
    options.refuse(
        origin.name,
        weights="the folder holds them",
        backbone="the folder holds the whole network",
        output="a classifier gives logits",
    )
    path = place / files.CONFIG
    config = files.read_json(path)
    _refuse_foreign(config, path)
    of_timm = is_of_timm(config)
    labels = labels_of_timm(config) if of_timm else _labels(config, path)
    sides, direction = _meaning(labels, options, origin)
    before, stated = _preprocessing(place, config, options, origin)
    weights = files.weights_files(place)
    state = files.read_weights(weights)
    make = build_timm if of_timm else build
    built = make(config, state, place, origin.name)
    network = LabelHead(
        built.network,
        sides.fake,
        sides.real,
        outputs=len(labels),
        plain=of_timm,
        reverse_channels=before.reverse_channels,
        library=built.library,
    )
    hashes = files.digests([path, *stated, *weights])
    card = DetectorCard(
        name=origin.label,
        arch=_architecture(config),
        reference=origin.url,
        fake_logit=direction,
        fake_labels=() if len(labels) == 1 else sides.names(sides.fake),
        real_labels=() if len(labels) == 1 else sides.names(sides.real),
        input=before.input,
        weights=WeightsRef(
            sha256=files.together([hashes[file.name] for file in weights]),
            url=origin.url,
            revision=origin.revision,
            files=hashes,
        ),
        training={"library": built.library},
    )
    detector = NetworkDetector(network.eval(), card)
    _try(detector, network, config, origin, built)
    return detector


def _refuse_foreign(config: Mapping[str, Any], path: Path) -> None:
    if "auto_map" in config:
        raise DetectorError(
            f"{path} asks for code of its own (auto_map), which is never run: export the network to ONNX, or "
            "write a detector around it (path/to/file.py:Name)"
        )
    if config.get("quantization_config"):
        raise DetectorError(f"{path} describes quantised weights: fetch those before quantisation")
    if is_of_timm(config):
        return
    if not isinstance(config.get("model_type"), str):
        keys = ", ".join(sorted(map(str, config))[:6]) or "none"
        raise DetectorError(
            f"{path} is no configuration of transformers or timm (no model_type; its keys are {keys}): for a "
            "network of other code pass its weights to a detector that knows it (`bench ls detectors`)"
        )
    channels = files.integer(config, "num_channels")
    if channels not in (None, 3):
        raise DetectorError(f"{path}: the network takes {channels} channels, and images have 3")


def _labels(config: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    """The labels by position; numbered ones where none are named, as the library does."""
    names = config.get("id2label")
    count = files.integer(config, "num_labels")
    if names is None:
        return tuple(f"LABEL_{i}" for i in range(2 if count is None else count))
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names:
        raise DetectorError(
            f"{path}: id2label is {str(names)[:60]}: a label for each output was expected"
        )
    try:
        by_position = {int(key): shown(label) for key, label in names.items()}
    except ValueError:
        by_position = {}
    if by_position.keys() != set(range(len(names))):
        raise DetectorError(
            f"{path}: id2label has the keys {', '.join(map(str, names))[:80]}, not the numbers from 0"
        )
    if config.get("problem_type") == "multi_label_classification":
        raise DetectorError(
            f"{path} describes labels that do not exclude each other (problem_type "
            "multi_label_classification): no one logit says AI-generated; write a detector around it "
            "(path/to/file.py:Name)"
        )
    if config.get("problem_type") == "regression" and len(by_position) > 1:
        raise DetectorError(
            f"{path} describes a regression (problem_type), not a classifier: there is no label that means "
            "AI-generated; write a detector around it (path/to/file.py:Name)"
        )
    return tuple(by_position[i] for i in range(len(by_position)))


def _meaning(
    labels: tuple[str, ...], options: LoadOptions, origin: Origin
) -> tuple[Sides, FakeLogit]:
    """Which outputs mean AI-generated; a single output has a direction instead."""
    if len(labels) > 1:
        options.refuse(
            origin.name,
            fake_logit=f"its {len(labels)} labels say which output means what; name labels with --fake-label",
        )
        return choose_sides(labels, options.fake_labels, options.ignore_labels), "z"
    reason = "its head has one output; say --fake-logit z, or -z, for its direction"
    options.refuse(origin.name, fake_labels=reason, ignore_labels=reason)
    if options.fake_logit not in _ONE_OUTPUT:
        raise WeightsError(
            f"the head of {origin.name} has one output, a regression to the library, and nothing says "
            "whether a high one means AI-generated: pass --fake-logit z if it does, or -z"
        )
    return Sides((0,), (), labels), options.fake_logit


def _preprocessing(
    place: Path, config: Mapping[str, Any], options: LoadOptions, origin: Origin
) -> tuple[Preprocessing, list[Path]]:
    """The input rule, and the file that states it where it is no option."""
    if options.input is not None:
        if options.processor is not None:
            raise DetectorError(
                "--processor and --input both state the input rule: give one of the two"
            )
        return Preprocessing(options.input), []
    if options.processor is not None:
        path = files.processor_file(options.processor)
        if path is None:
            raise DetectorError(
                f"--processor {options.processor}: there is no preprocessor_config.json in it: check the path"
            )
    elif is_of_timm(config):
        return rule_of_timm(config, place / files.CONFIG), []
    else:
        path = files.processor_file(place)
    if path is None:
        side = files.integer(config, "image_size") or 224
        raise DetectorError(
            f"{origin.name} has no preprocessor_config.json, so nothing says how images are resized and "
            "normalised: pass --processor DIR of a folder that has the right one, or --input RULE, such as "
            f"--input 'resize({side}, mean=half, std=half)'"
        )
    said = files.read_processor(path)
    return preprocessing(said, str(config.get("model_type")), str(path)), [path]


def _architecture(config: Mapping[str, Any]) -> str:
    names = config.get("architectures")
    if isinstance(names, list) and names:
        return str(names[0])
    return str(config.get("architecture") or config.get("model_type"))


def _try(
    detector: NetworkDetector,
    head: LabelHead,
    config: Mapping[str, Any],
    origin: Origin,
    built: Built,
) -> None:
    """Run two black canvases through: what does not fit together shows here, not in the midst of a run."""
    size = detector.card.input.canvas_or(files.integer(config, "image_size") or 224)
    try:
        with kept(), torch.inference_mode():
            canvases = torch.zeros(2, 3, *size)
            detector.checked_logits(canvases)
            shape = tuple(head.answers(next(views(canvases, detector.card.input))).shape)
            if shape != (2, head.outputs):
                raise ValueError(f"shape {shape} for 2 images and {head.outputs} labels")
    except Exception as error:  # somebody's layers, over whatever canvas was stated
        wants = config.get("image_size")
        hint = (
            f"its config.json says image_size {wants}; state the rule with --input, such as --input "
            f"'resize({wants}, mean=half, std=half)'"
            if isinstance(wants, int)
            else "state another rule with --input"
        )
        raise DetectorError(
            f"the network of {origin.name} does not take what its input rule gives "
            f"({detector.card.input.describe()}), or gives no logit of its labels, with {built.library} "
            f"({described(error)}): {hint}"
        ) from error
