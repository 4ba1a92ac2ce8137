"""The network of a classifier's folder: layers of transformers, filled strictly with weights read here."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from detectors.errors import DetectorError, WeightsError, described
from detectors.global_state import kept, seed_all
from detectors.weights import why_unusable

EXTRA = "pip install 'detector-bench[hf]'"
# What of a configuration would load code or weights of others, or another way to compute the same.
_NEVER = ("auto_map", "attn_implementation", "_attn_implementation", "experts_implementation")
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Built:
    """A network with its weights.

    Attributes:
        network: In inference mode, float32, on the CPU.
        library: The library that built its layers, and the release.
    """

    network: nn.Module
    library: str


def transformers_library(name: str) -> Any:
    """Import transformers, which builds the layers of a network by its name.

    Raises:
        DetectorError: If it is not installed; names the extra.
    """
    try:
        return importlib.import_module("transformers")
    except ImportError as error:
        raise DetectorError(f"{name} needs transformers: {EXTRA}") from error


def build(config: Mapping[str, Any], state: dict[str, Tensor], folder: Path, name: str) -> Built:
    """Build a classifier from its configuration and fill it.

    Args:
        config: The object of ``config.json``; nothing that it names is fetched or run.
        state: Tensors of the weights files by name.
        folder: Where they lie, for messages.
        name: The detector as typed.

    Raises:
        DetectorError: If transformers cannot build it.
        WeightsError: If keys are missing, unexpected or misshapen, or values no plain finite numbers.
    """
    library = transformers_library(name)
    with kept(), _quiet(library):
        seed_all()
        made, cls = _configuration(library, config, folder)
        # Each release has its own words for the same option.
        dtype = "dtype" if int(library.__version__.partition(".")[0]) >= 5 else "torch_dtype"
        try:
            network, info = cls.from_pretrained(
                None,
                config=made,
                state_dict=dict(state),
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                **{dtype: torch.float32},
            )
        except Exception as error:  # a library may raise anything over a hostile configuration
            raise DetectorError(
                f"{folder}: transformers {library.__version__} cannot build {cls.__name__} "
                f"({described(error)})"
            ) from error
    _refuse_misfits(info, state, folder, cls.__name__)
    _refuse_values(network, state, folder)
    return Built(network.float().eval(), f"transformers {library.__version__}")


def _configuration(library: Any, config: Mapping[str, Any], folder: Path) -> tuple[Any, Any]:
    """The library's configuration object, and the class of the classifier."""
    auto = importlib.import_module("transformers.models.auto.modeling_auto")
    kinds = importlib.import_module("transformers.models.auto.configuration_auto").CONFIG_MAPPING
    kind, release = str(config.get("model_type")), library.__version__
    if kind not in kinds:
        raise DetectorError(
            f"{folder / 'config.json'} names model_type {kind[:60]!r}, which transformers {release} does not "
            "know: install a release that does"
        )
    try:
        made = kinds[kind].from_dict(_plain(config))
    except Exception as error:
        raise DetectorError(
            f"{folder / 'config.json'} is no configuration of {kind!r} ({described(error)})"
        ) from error
    classes = auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING.get(type(made), ())
    classes = classes if isinstance(classes, tuple) else (classes,)
    names = config.get("architectures") or [c.__name__ for c in classes[:1]]
    chosen = next((c for c in classes if c.__name__ in names), None)
    if chosen is None:
        raise DetectorError(
            f"{folder / 'config.json'} describes {', '.join(map(str, names))[:120]}, which is no image "
            f"classifier (a *ForImageClassification of transformers {release} is needed)"
        )
    return made, chosen


def _plain(config: Any) -> Any:
    """Leave out, at any depth, what would fetch or run what is not in the folder."""
    if isinstance(config, Mapping):
        return {k: _plain(v) for k, v in config.items() if k not in _NEVER}
    return [_plain(value) for value in config] if isinstance(config, list) else config


@contextlib.contextmanager
def _quiet(library: Any) -> Iterator[None]:
    """Let the library neither print nor reach for the hub while it builds layers."""
    from huggingface_hub import constants  # noqa: PLC0415  (transformers has imported it)

    logging = library.utils.logging
    verbosity, offline = logging.get_verbosity(), constants.HF_HUB_OFFLINE
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = offline
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _refuse_misfits(
    info: Mapping[str, Any], state: Mapping[str, Tensor], folder: Path, network: str
) -> None:
    parts = []
    for key, word in (("missing_keys", "missing"), ("unexpected_keys", "unexpected")):
        if names := sorted(map(str, info.get(key, ()))):
            parts.append(f"{len(names)} {word} ({_some(names)})")
    misshapen = [
        f"{name} has {tuple(had)}, the network {tuple(needs)}"
        for name, had, needs in info.get("mismatched_keys", ())
    ]
    if misshapen:
        parts.append(f"{len(misshapen)} of another shape ({_some(sorted(misshapen))})")
    parts += [str(message)[:200] for message in info.get("error_msgs", ())]
    if parts:
        raise WeightsError(
            f"the weights in {folder} are not of the {network} that its config.json describes: of "
            f"{len(state)} keys {' and '.join(parts)}; fetch the two from one place"
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _refuse_values(network: nn.Module, state: Mapping[str, Tensor], folder: Path) -> None:
    expected = network.state_dict()
    real = torch.zeros(())
    for name, value in state.items():
        # Names may have changed on the way in; what is then not found must be real numbers or counters.
        like = expected.get(name, real if value.is_floating_point() else value)
        if reason := why_unusable(value, like):
            raise WeightsError(f"{folder}: {name} {reason}")
