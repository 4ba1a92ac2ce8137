"""From what a user types after ``--detector`` to a detector with weights."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench import registry
from bench.errors import BenchError, DetectorFailedError, nearest
from bench.protocol.defences.spelling import parse_defence
from bench.protocol.input_rule import spell_input
from bench.support.interruption import is_ctrl_c
from detectors import zoo
from detectors.adapters.base import FLAGS, LoadOptions
from detectors.adapters.behind.defended import DefendedDetector
from detectors.errors import DetectorError, ForeignCodeError, described

if TYPE_CHECKING:
    from detectors.adapters.base import Output
    from detectors.base import Detector
    from detectors.card import FakeLogit
    from detectors.inputs.spec import InputSpec
    from detectors.network import Architecture

# A name in front of ``=``; what holds a slash, a colon or a parenthesis is a detector's own spelling.
_ALIAS = re.compile(r"([A-Za-z0-9][\w.+@-]*)=(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class DetectorRequest:
    """One detector as asked for.

    Attributes:
        name: A registered name, ``arch.tag`` of the zoo, or a spelling that an adapter recognises
            (``timm/<model>``, ``path/to/file.py:Name``, ``FILE.safetensors``).
        weights: The user's weights file; ``None`` for those that ship.
        fake_logit: Label direction of a head whose weights come without a card.
        fake_labels: Labels of a classifier that mean AI-generated; empty where its own words tell.
        ignore_labels: Labels of a classifier whose outputs count for neither side.
        processor: Folder with the preprocessing of a network that comes without one.
        input: The input rule, where no card or file states one.
        output: Whether a network that comes without a card gives logits or probabilities.
        offline: Fetch nothing from anywhere.
        backbone: Weights of a backbone, for a detector whose own file leaves them out.
        alias: What boards are to call it; empty for the name that goes with its spelling.
        built: The detector itself, where somebody has built it already, in Python.
    """

    name: str
    weights: Path | None = None
    fake_logit: FakeLogit | None = None
    fake_labels: tuple[str, ...] = ()
    ignore_labels: tuple[str, ...] = ()
    processor: Path | None = None
    input: InputSpec | None = None
    output: Output | None = None
    offline: bool = False
    backbone: Path | None = None
    alias: str = ""
    built: Detector | None = field(default=None, repr=False)

    @classmethod
    def of(cls, detector: Detector, alias: str = "") -> DetectorRequest:
        """Ask for a detector that is there already, under the name on its card unless another is given."""
        name = alias or detector.card.name
        return cls(f"{type(detector).__qualname__}()", alias=name, built=detector)

    @classmethod
    def spelled(cls, text: str) -> DetectorRequest:
        """Read ``[ALIAS=]NAME[:FILE]``: a detector, what boards call it, and its weights file.

        A colon that belongs to the name (``hf:DIR``, ``path/to/file.py:Name``) stays with it.

        Examples:
            >>> request = DetectorRequest.spelled("mine=resnet50:runs/a.pth")
            >>> request.label, request.name, str(request.weights)
            ('mine', 'resnet50', 'runs/a.pth')
        """
        alias, name = "", text
        named = _ALIAS.match(text)
        if named and not Path(text).exists():
            alias, name = named.groups()
        front, colon, file = name.partition(":")
        if colon and file and _is_spelled_alone(front):
            return cls(front, Path(file), alias=alias)
        return cls(name, alias=alias)

    @property
    def key(self) -> str:
        """What a user calls it where an option says which detector it belongs to."""
        return self.alias or self.name

    @property
    def label(self) -> str:
        """What boards call it."""
        if self.alias:
            return self.alias
        adapter = registry.adapter_of(self.name)
        if isinstance(adapter, DefendedDetector):
            return adapter.around(self.name, self.inside(adapter).label)
        return self.name if adapter is None else adapter.label(self.name)

    def inside(self, adapter: DefendedDetector) -> DetectorRequest:
        """Ask for what stands inside the parentheses, with all that was said beside them.

        Raises:
            BenchError: The parentheses do not hold a detector and a defence.
        """
        try:
            inner = DetectorRequest.spelled(adapter.inner(self.name))
        except DetectorError as error:
            raise BenchError(str(error)) from error
        return replace(self, name=inner.name, weights=inner.weights or self.weights, alias="")

    def absolute(self) -> DetectorRequest:
        """Spell the same with absolute paths, for a process that works in another folder."""
        if self.built is not None:
            return self
        adapter = registry.adapter_of(self.name)
        name = self.name if adapter is None else adapter.absolute(self.name)
        if isinstance(adapter, DefendedDetector):
            inner = self.inside(adapter).absolute()
            file = f":{inner.weights}" if inner.weights and not self.weights else ""
            name = adapter.around(name, inner.name + file)
        return replace(
            self,
            name=name,
            weights=self.weights.resolve() if self.weights else None,
            processor=self.processor.resolve() if self.processor else None,
            backbone=self.backbone.resolve() if self.backbone else None,
        )

    @property
    def foreign(self) -> dict[str, str]:
        """What was said of a network that comes without a card, by flag, as a user types it."""
        said = {
            "--fake-label": ",".join(self.fake_labels),
            "--ignore-label": ",".join(self.ignore_labels),
            "--processor": "" if self.processor is None else str(self.processor),
            "--input": "" if self.input is None else spell_input(self.input),
            "--output": self.output or "",
            "--backbone": "" if self.backbone is None else str(self.backbone),
        }
        return {flag: value for flag, value in said.items() if value}

    def options(self, *, allow_untrained: bool = False) -> LoadOptions:
        """Give what was said beside the name, as adapters take it."""
        said = {option: getattr(self, option) for option in FLAGS}
        return LoadOptions(**said, allow_untrained=allow_untrained, offline=self.offline)


def resolve(request: DetectorRequest, *, allow_untrained: bool = False) -> Detector:
    """Build the detector and load its weights, strictly.

    Raises:
        BenchError: On an unknown name (suggesting the nearest), weights that do not fit, an option without
            effect, or a detector without trained weights.
        DetectorFailedError: On user code that fails.
    """
    if request.built is not None:
        return request.built
    options = request.options(allow_untrained=allow_untrained)
    try:
        adapter = registry.adapter_of(request.name)
        if isinstance(adapter, DefendedDetector):
            return _defended(request, adapter, allow_untrained=allow_untrained)
        if adapter is not None:
            return adapter.load(request.name, options, _on_a_card)
        from detectors.adapters.construct import construct  # noqa: PLC0415  (imports torch)

        return construct(_listed(request.name), request.name, options)
    except ForeignCodeError as error:
        raise DetectorFailedError(f"{request.label}: {error}") from error
    except DetectorError as error:
        says = str(error)
        whose = "" if says.startswith(f"{request.label} ") else f"{request.label}: "
        raise BenchError(f"{whose}{says}") from error
    except BenchError:
        raise
    except BaseException as error:  # plug-ins and what they call may raise anything, and even exit
        if is_ctrl_c(error):
            raise
        raise DetectorFailedError(
            f"{request.label}: failed while being built ({described(error)})"
        ) from error


def check_spelling(request: DetectorRequest) -> None:
    """Refuse a name that nothing could be built of, whatever weights there are.

    Raises:
        BenchError: No detector or no defence is called that (suggesting the nearest), or the defences do
            not fit together.
    """
    if request.built is not None:
        return
    adapter = registry.adapter_of(request.name)
    if adapter is None:
        _listed(request.name)
    elif isinstance(adapter, DefendedDetector):
        check_spelling(request.inside(adapter))
        try:
            adapter.defences(request.name, parse_defence)
        except DetectorError as error:
            raise BenchError(f"{request.label}: {error}") from error


def _is_spelled_alone(name: str) -> bool:
    """Say whether the text before a colon is a detector's name, so that weights follow behind it."""
    adapter = registry.adapter_of(name)
    if adapter is not None:
        return not Path(name).suffix  # a file is weights, or code, itself
    return name in registry.detectors() or name in zoo.weights()


def _defended(
    request: DetectorRequest, adapter: DefendedDetector, *, allow_untrained: bool
) -> Detector:
    """Build the detector inside, with the border around it where it needs one, and the defences before it."""
    from bench.inference.foreign import guarded  # noqa: PLC0415  (imports torch)

    inside = guarded(resolve(request.inside(adapter), allow_untrained=allow_untrained))
    return adapter.wrap(request.name, inside, request.label, parse_defence)


def architecture(name: str) -> Architecture:
    """Find the architecture to train.

    Raises:
        BenchError: If there is none, or it is a detector that brings its own code.
    """
    from detectors.network import Architecture  # noqa: PLC0415  (imports torch)

    adapter = registry.adapter_of(name)
    try:
        listed = _listed(name) if adapter is None else adapter.architecture(name)
    except DetectorError as error:
        raise BenchError(str(error)) from error
    if not isinstance(listed, Architecture):
        raise BenchError(
            f"{name} brings its own code and cannot be trained here: choose an architecture"
        )
    return listed


def _on_a_card(name: str) -> Architecture | type[Detector]:
    """What a card names as its architecture: one that is listed, or one that an adapter spells."""
    adapter = registry.adapter_of(name)
    return _listed(name) if adapter is None else adapter.architecture(name)


def _listed(name: str) -> Architecture | type[Detector]:
    """What stands in the lists under a name, or under the part of ``arch.tag`` before the dot."""
    table = registry.detectors()
    arch = name.partition(".")[0]
    if name in table:
        return table[name]
    if arch in table and name in zoo.weights():
        return table[arch]
    if Path(name).is_file():
        from detectors.weights.listing.file_kind import file_kind, not_weights  # noqa: PLC0415

        if name.endswith(".py"):
            raise BenchError(f"--detector {name} is a Python file: say what in it, as {name}:Name")
        kind = file_kind(Path(name))
        if kind.form == "other":
            raise BenchError(str(not_weights(Path(name), kind)))
        raise BenchError(
            f"{name} is a file that does not say what network it is for: pass --detector NAME --weights "
            f"{name}"
        )
    from timm import is_model  # noqa: PLC0415  (only this error needs it)

    if arch == name and is_model(name):
        raise BenchError(f"no detector called {name!r}: did you mean 'timm/{name}'?")
    names = [*table, *zoo.weights(), *registry.adapters()]
    raise BenchError(f"no detector called {name!r}: {nearest(name, names)}")
