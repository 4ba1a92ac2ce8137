"""``FILE.onnx``: a network exported by anybody, run by onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from detectors.adapters.base import Adapter, FindArchitecture, LoadOptions

if TYPE_CHECKING:
    from detectors.base import Detector

_ENDING = ".onnx"


class OnnxNetwork(Adapter):
    """An ONNX file; a card beside it, or options, say what its input and its outputs are."""

    pattern: ClassVar[str] = "<file>.onnx"
    summary: ClassVar[str] = "a network exported to ONNX, forward only (extra onnx)"
    weights: ClassVar[str] = "the file"

    def recognises(self, name: str) -> bool:
        """Tell whether the name ends in ``.onnx``."""
        return name.lower().endswith(_ENDING)

    def label(self, name: str) -> str:
        """Give the file's name without its ending."""
        return Path(name).stem

    def absolute(self, name: str) -> str:
        """Give the absolute path of the file."""
        return str(Path(name).resolve())

    def load(self, name: str, options: LoadOptions, find: FindArchitecture) -> Detector:
        """Load the file and settle what its input and its outputs are."""
        from detectors.adapters.onnx_rules import build  # noqa: PLC0415  (imports torch)

        del find
        options.refuse(
            name,
            weights="the file holds its weights",
            backbone="the file holds the whole network",
            processor="its card or --input says how images become its input",
        )
        return build(Path(name), options)


ADAPTERS = {OnnxNetwork.pattern: OnnxNetwork()}
