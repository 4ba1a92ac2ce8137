"""From a published weights file, and where it leaves one out a backbone's, to a detector."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor, nn

from detectors.card import DetectorCard, WeightsRef, card_beside
from detectors.errors import WeightsError
from detectors.network import NetworkDetector, load_network
from detectors.publication.beside import fill_beside
from detectors.publication.clip_names import as_timm
from detectors.publication.facts import Backbone
from detectors.publication.method import Method
from detectors.publication.stated import stated_card
from detectors.weights import file_sha256, load_strict, read_state, read_state_for, split_part

if TYPE_CHECKING:
    from detectors.adapters.base import LoadOptions


def load_method(method: Method, weights: Path, options: LoadOptions) -> NetworkDetector:
    """Build a published method and fill it strictly.

    Args:
        method: The method to build.
        weights: The published file, or ``FILE::PART``; with a card beside it that card holds.
        options: What was said beside the name: label direction, input rule, the backbone's weights.

    Raises:
        WeightsError: If a file does not fit, or the backbone's is missing or has no effect.
    """
    inside = method.publication.backbone
    if inside is None:
        options.refuse(method.name, backbone="its weights file holds the whole network")
    file, part = split_part(weights)
    beside = method.publication.beside
    if card_beside(file).is_file() and options.backbone is None and beside is None:
        return load_network(
            method, weights, fake_logit=options.fake_logit, input_rule=options.input
        )
    if not file.is_file():
        raise WeightsError(f"no weights file at {file}: check the path")
    body_sha256 = "" if options.backbone is None else _sha256(options.backbone)
    card = stated_card(method, file, part, options, body_sha256)
    if card is None:
        card = _card(method, file, options, body_sha256)
    reference = card.weights or WeightsRef()
    part = part or reference.part
    network = method.network(card.outputs, card.input.network_input)
    key_map = reference.key_map or method.publication.key_map
    if beside is not None:
        fill_beside(network, file, part, key_map, beside)
    elif inside is None:
        _fill(network, file, part, key_map)
    elif options.backbone is None:
        _fill_whole(network, file, part, inside)
    else:
        body = network.get_submodule(inside.module)
        # Without its body the network's keys are those of the published file.
        network.set_submodule(inside.module, nn.Identity())
        _fill(network, file, part, key_map)
        network.set_submodule(inside.module, body)
        load_strict(body, backbone_state(inside, options.backbone), options.backbone.name)
    card = card.model_copy(update={"weights": reference.model_copy(update={"part": part})})
    return NetworkDetector(network, card)


def _card(method: Method, file: Path, options: LoadOptions, backbone_sha256: str) -> DetectorCard:
    """Write the card of a file that comes without one, as far as what was said beside it goes."""
    direction = options.fake_logit or method.fake_logit
    if direction is None:
        raise WeightsError(
            f"nothing says which output of {file.name} means AI-generated: pass --fake-logit "
            f"z|-z|z1-z0|z0-z1, or put a card at {card_beside(file)}"
        )
    card = method.card(file_sha256(file), direction, backbone_sha256)
    return card if options.input is None else card.model_copy(update={"input": options.input})


def _sha256(backbone: Path) -> str:
    file, _ = split_part(backbone)
    if not file.is_file():
        raise WeightsError(f"no weights file of the backbone at {file}: check the path")
    return file_sha256(file)


def _fill(network: nn.Module, file: Path, part: str, key_map: Mapping[str, str]) -> None:
    """Fill a network from a file whose keys may have other prefixes, strictly."""
    load_strict(network, read_state_for(network, file, part=part, key_map=key_map), file.name)


def _fill_whole(network: nn.Module, file: Path, part: str, inside: Backbone) -> None:
    """Fill a network from a file that holds the backbone too; says which to pass where it does not."""
    state = read_state_for(network, file, part=part)
    if not any(key.startswith(f"{inside.module}.") for key in state):
        raise WeightsError(
            f"{file.name} leaves out the backbone: pass --backbone FILE with the weights of timm's "
            f"{inside.model}"
        )
    load_strict(network, state, file.name)


def backbone_state(inside: Backbone, file: Path) -> dict[str, Tensor]:
    """Read the weights of a backbone, in timm's names or in those of the library it was published with.

    Args:
        inside: The backbone, which says what of the file the detector has no use for.
        file: ``.safetensors`` or a torch checkpoint, or ``FILE::PART``.

    Returns:
        Tensors by timm's keys.

    Raises:
        WeightsError: If the file cannot be read.
    """
    path, part = split_part(file)
    state = read_state(path, part=part)
    named = as_timm(state) or state
    return {key: value for key, value in named.items() if not key.startswith(inside.unused)}
