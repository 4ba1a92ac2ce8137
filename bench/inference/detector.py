"""From what a user types after ``--detector`` to a detector with weights."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import registry
from bench.errors import BenchError, nearest

if TYPE_CHECKING:
    from types import ModuleType

    from detectors.base import Detector
    from detectors.card import FakeLogit
    from detectors.network import Architecture

TRAINED = ".safetensors"


@dataclass(frozen=True, slots=True)
class DetectorRequest:
    """One detector as asked for.

    Attributes:
        name: A registered name, ``arch.tag`` of the zoo, ``timm/<model>``, ``path/to/file.py:Name``,
            or a trained ``FILE.safetensors`` with its card beside it.
        weights: The user's weights file; ``None`` for those that ship.
        fake_logit: Label direction of a head whose weights come without a card.
    """

    name: str
    weights: Path | None = None
    fake_logit: FakeLogit | None = None

    @property
    def label(self) -> str:
        """What boards call it."""
        if self.name.endswith(TRAINED):
            return Path(self.name).stem
        return self.name.rpartition(":")[2] if ".py:" in self.name else self.name

    def absolute(self) -> DetectorRequest:
        """The same with absolute paths, for a process that works in another folder."""
        name = self.name
        if ".py:" in name:
            path, _, attribute = name.rpartition(":")
            name = f"{Path(path).resolve()}:{attribute}"
        elif name.endswith(TRAINED):
            name = str(Path(name).resolve())
        weights = self.weights.resolve() if self.weights else None
        return replace(self, name=name, weights=weights)


def resolve(request: DetectorRequest, *, allow_untrained: bool = False) -> Detector:
    """Build the detector and load its weights, strictly.

    Raises:
        BenchError: On an unknown name (suggesting the nearest), weights that do not fit, user code that
            fails, or a detector without trained weights.
    """
    from detectors.base import DetectorError  # noqa: PLC0415  (imports torch)

    try:
        if ".py:" in request.name:
            return _from_file(request, allow_untrained=allow_untrained)
        if request.name.endswith(TRAINED):
            return _from_weights(Path(request.name), request)
        return _from_registry(request, allow_untrained=allow_untrained)
    except DetectorError as error:
        raise BenchError(f"{request.label}: {error}") from error


def _from_registry(request: DetectorRequest, *, allow_untrained: bool) -> Detector:
    from detectors import zoo  # noqa: PLC0415
    from detectors.network import Architecture, load_network, untrained  # noqa: PLC0415

    found = _architecture(request.name)
    if not isinstance(found, Architecture):
        return _call(found, request, allow_untrained=allow_untrained)
    weights = request.weights or zoo.find(request.name)
    if weights is None:
        return untrained(found, allow=allow_untrained)
    return load_network(found, weights, fake_logit=request.fake_logit)


def _from_weights(path: Path, request: DetectorRequest) -> Detector:
    """A weights file whose card names its architecture, as `bench train` writes it."""
    from detectors.network import Architecture, card_beside, load_network, read_card  # noqa: PLC0415
    from detectors.weights import WeightsError  # noqa: PLC0415

    if request.weights is not None:
        raise BenchError(f"--detector {path} is a weights file already: leave --weights out")
    if not path.is_file():
        raise WeightsError(f"no weights file at {path}: check the path")
    card_path = card_beside(path)
    if not card_path.is_file():
        raise WeightsError(
            f"{path} has no card beside it ({card_path.name}): pass --detector NAME --weights {path}"
        )
    arch = _architecture(read_card(card_path).arch)
    if not isinstance(arch, Architecture):
        raise WeightsError(f"{card_path} names {arch.__name__}, which brings its own code")
    return load_network(arch, path, fake_logit=request.fake_logit)


def _architecture(name: str) -> Architecture | type[Detector]:
    from detectors import zoo  # noqa: PLC0415
    from detectors.backbones import PREFIX, timm_architecture  # noqa: PLC0415

    if name.startswith(PREFIX):
        return timm_architecture(name)
    table = registry.detectors()
    if name in table:
        return table[name]
    arch = name.partition(".")[0]
    if arch in table and name in zoo.weights():
        return table[arch]
    known = [*table, *zoo.weights(), "timm/<model>", "path/to/file.py:Name"]
    raise BenchError(f"no detector called {name!r}: {nearest(name, known)}")


def _from_file(request: DetectorRequest, *, allow_untrained: bool) -> Detector:
    path_text, _, attribute = request.name.rpartition(":")
    path = Path(path_text)
    if not path.is_file():
        raise BenchError(f"no file at {path}: check the path in --detector {request.name}")
    module = _import(path)
    names = [name for name in vars(module) if not name.startswith("_")]
    if not hasattr(module, attribute):
        raise BenchError(f"{path} defines no {attribute!r}: {nearest(attribute, names)}")
    return _call(getattr(module, attribute), request, allow_untrained=allow_untrained)


def _import(path: Path) -> ModuleType:
    name = f"bench_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise BenchError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pickling look a class's module up by name while the file is still being run.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # user code may raise anything
        del sys.modules[name]
        raise BenchError(f"{path} cannot be imported ({type(error).__name__}: {error})") from error
    return module


def _call(factory: Any, request: DetectorRequest, *, allow_untrained: bool) -> Detector:
    from detectors.base import Detector  # noqa: PLC0415
    from detectors.card import WeightsRef  # noqa: PLC0415
    from detectors.network import Architecture, load_network, untrained  # noqa: PLC0415
    from detectors.weights import WeightsError, file_sha256  # noqa: PLC0415

    if request.weights is not None and not request.weights.is_file():
        raise WeightsError(f"no weights file at {request.weights}: check the path")
    if isinstance(factory, Architecture):
        if request.weights is None:
            return untrained(factory, allow=allow_untrained)
        return load_network(factory, request.weights, fake_logit=request.fake_logit)
    arguments = {} if request.weights is None else {"weights": request.weights}
    try:
        detector = factory(**arguments) if callable(factory) else factory
    except Exception as error:  # user code may raise anything
        raise BenchError(
            f"{request.name} failed while being built ({type(error).__name__}: {error})"
        ) from error
    if not isinstance(detector, Detector) or not hasattr(detector, "card"):
        raise BenchError(
            f"{request.name} is not a detector: derive from detectors.Detector, set `card`, "
            "implement logits(batch)"
        )
    if request.weights is not None and detector.card.weights is None:
        # Whatever the user's code made of the file, another file is another detector.
        reference = WeightsRef(sha256=file_sha256(request.weights))
        detector.card = detector.card.model_copy(update={"weights": reference})
    return detector
