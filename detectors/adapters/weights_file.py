"""``FILE.safetensors``, ``FILE.pth``: trained weights with their card beside them, as of ``bench train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from detectors.adapters.base import Adapter, FindArchitecture, LoadOptions

if TYPE_CHECKING:
    from detectors.base import Detector

_ENDING = ".safetensors"
# Files that hold more than tensors say what they are by the card beside them, or not at all.
_OTHERS = (".pth", ".pt", ".ckpt", ".bin")


class WeightsFile(Adapter):
    """A weights file whose card names its architecture."""

    pattern: ClassVar[str] = "<file>.safetensors"
    summary: ClassVar[str] = "weights with their card beside them, as `bench train` writes"
    weights: ClassVar[str] = "the file"

    def recognises(self, name: str) -> bool:
        """Tell whether it ends in ``.safetensors``, or is another checkpoint with its card beside it."""
        from detectors.card import card_beside  # noqa: PLC0415  (pydantic, which --help does without)

        path = Path(name)
        return name.endswith(_ENDING) or (path.suffix in _OTHERS and card_beside(path).is_file())

    def label(self, name: str) -> str:
        """Give the file's name without its ending."""
        return Path(name).stem

    def absolute(self, name: str) -> str:
        """Give the absolute path of the file."""
        return str(Path(name).resolve())

    def load(self, name: str, options: LoadOptions, find: FindArchitecture) -> Detector:
        """Build the architecture that the card names and fill it from the file."""
        from detectors.card import card_beside, read_card  # noqa: PLC0415
        from detectors.errors import WeightsError  # noqa: PLC0415
        from detectors.network import Architecture, load_network  # noqa: PLC0415  (imports torch)

        path = Path(name)
        if options.weights is not None:
            raise WeightsError(f"--detector {path} is a weights file already: leave --weights out")
        if not path.is_file():
            raise WeightsError(f"no weights file at {path}: check the path")
        card_path = card_beside(path)
        if not card_path.is_file():
            raise WeightsError(
                f"{path} has no card beside it ({card_path.name}): pass --detector NAME --weights {path}"
            )
        architecture = find(read_card(card_path).arch)
        if not isinstance(architecture, Architecture):
            raise WeightsError(
                f"{card_path} names {architecture.__name__}, which brings its own code"
            )
        options.refuse_but(
            name, "fake_logit", "input", why="its card says what its input and its outputs are"
        )
        return load_network(
            architecture, path, fake_logit=options.fake_logit, input_rule=options.input
        )


ADAPTERS = {WeightsFile.pattern: WeightsFile()}
