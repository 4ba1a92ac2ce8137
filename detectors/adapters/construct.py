"""From what a name stands for to a detector: an architecture is filled, anybody's own class is called."""

from __future__ import annotations

import inspect
from typing import Any

from detectors import zoo
from detectors.adapters.base import LoadOptions
from detectors.adapters.card_check import check_card
from detectors.base import Detector
from detectors.card import WeightsRef
from detectors.errors import DetectorError, ForeignCodeError, described
from detectors.global_state import kept, seed_all
from detectors.network import Architecture, load_network, untrained
from detectors.publication.load import load_method
from detectors.publication.method import Method
from detectors.weights import WeightsError, file_sha256, split_part


def construct(made_from: Any, name: str, options: LoadOptions) -> Detector:
    """Build a detector from what a name stands for.

    Args:
        made_from: An architecture, a detector, a detector class, or a function that returns one.
        name: What a user typed, for weights that ship under it and for messages.
        options: What was said beside it.

    Raises:
        DetectorError: It cannot be built, or an option would have no effect.
    """
    file, part = split_part(options.weights) if options.weights is not None else (None, "")
    if file is not None and not file.is_file():
        raise WeightsError(f"no weights file at {file}: check the path")
    if not isinstance(made_from, Method):
        options.refuse(name, backbone="it has no backbone apart from its weights")
    if isinstance(made_from, Architecture):
        return _filled(made_from, name, options)
    if part:
        options.refuse(name, weights=f"its own code reads the file, and is not told of {part!r}")
    arguments = _arguments(made_from, name, options)
    try:
        with kept():
            seed_all()
            detector = made_from(**arguments) if callable(made_from) else made_from
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # user code may raise anything, and even exit
        raise ForeignCodeError(f"{name} failed while being built ({described(error)})") from error
    if not isinstance(detector, Detector) or not hasattr(detector, "card"):
        raise DetectorError(
            f"{name} is not a detector: derive from detectors.Detector, set `card`, "
            "implement logits(batch)"
        )
    detector.card = check_card(detector.card, name)
    if options.weights is not None and detector.card.weights is None:
        # Whatever the user's code made of the file, another file is another detector.
        reference = WeightsRef(sha256=file_sha256(options.weights))
        detector.card = detector.card.model_copy(update={"weights": reference})
    return detector


def _filled(architecture: Architecture, name: str, options: LoadOptions) -> Detector:
    weights = options.weights or zoo.find(name)
    if weights is None:
        options.refuse_but(name, why="it has no trained weights whose head could be read")
        return untrained(architecture, allow=options.allow_untrained)
    if isinstance(architecture, Method):
        options.refuse_but(
            name,
            "weights",
            "fake_logit",
            "input",
            "backbone",
            why="a published method says itself what its head and its input are",
        )
        return load_method(architecture, weights, options)
    options.refuse_but(
        name,
        "weights",
        "fake_logit",
        "input",
        why="an architecture's head gives logits, and its card or --fake-logit says which means fake",
    )
    return load_network(
        architecture, weights, fake_logit=options.fake_logit, input_rule=options.input
    )


def _arguments(made_from: Any, name: str, options: LoadOptions) -> dict[str, Any]:
    """The options that the user's code takes, by parameter name; one that it does not take is refused."""
    arguments = options.given
    if not arguments:
        return {}
    if not callable(made_from):
        options.refuse_but(name, why="it is a finished object and takes no options")
    parameters = inspect.signature(made_from).parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for key in arguments:
        if key not in parameters and not takes_all:
            reason = f"its code takes no parameter {key!r}; add one, or leave the option out"
            options.refuse(name, **{key: reason})
    return arguments
