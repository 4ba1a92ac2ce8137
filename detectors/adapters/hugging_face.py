"""``hf:DIR`` and ``hf:owner/name``: an image classifier as the Hugging Face Hub has it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from detectors.adapters.base import Adapter, FindArchitecture, LoadOptions
from detectors.errors import DetectorError

if TYPE_CHECKING:
    from detectors.base import Detector

_PREFIX = "hf:"


class HuggingFace(Adapter):
    """A folder with config.json, preprocessor_config.json and weights, here or on the hub."""

    pattern: ClassVar[str] = "hf:<folder or owner/name>"
    summary: ClassVar[str] = (
        "any image classifier of the Hugging Face Hub, or a folder of that form"
    )
    weights: ClassVar[str] = "the folder"

    def recognises(self, name: str) -> bool:
        """Tell whether the name starts with ``hf:``."""
        return name.startswith(_PREFIX)

    def label(self, name: str) -> str:
        """Give the folder's name, or the hub's ``owner/name``; of the hub's own cache too."""
        place = Path(name.removeprefix(_PREFIX))
        if not place.is_dir():
            return name.removeprefix(_PREFIX)
        place = place.resolve()
        cached = place.parent.parent.name if place.parent.name == "snapshots" else ""
        if cached.startswith("models--"):
            return cached.removeprefix("models--").replace("--", "/", 1)
        return place.name or name

    def absolute(self, name: str) -> str:
        """Give the absolute path of a folder; a name of the hub stays as it is."""
        place = Path(name.removeprefix(_PREFIX))
        return f"{_PREFIX}{place.resolve()}" if place.is_dir() else name

    def load(self, name: str, options: LoadOptions, find: FindArchitecture) -> Detector:
        """Read the folder, fetched first where it is a name of the hub, and fill its network."""
        from detectors.huggingface import hub  # noqa: PLC0415  (imports torch)
        from detectors.huggingface.classifier import Origin, load_classifier  # noqa: PLC0415

        del find
        text = name.removeprefix(_PREFIX)
        place = Path(text)
        if text and place.is_dir():
            return load_classifier(place, Origin(name, self.label(name)), options)
        if place.is_file():
            raise DetectorError(
                f"{place} is a file: give the folder it lies in, as hf:{place.parent}"
            )
        if not hub.is_hub_name(text):
            raise DetectorError(
                f"no folder at {text or 'hf:'}: check the path in --detector {name}; of the hub, names are "
                "owner/name"
            )
        fetched = hub.fetch(text, name, offline=options.offline)
        origin = Origin(name, self.label(name), fetched.url, fetched.revision)
        return load_classifier(fetched.folder, origin, options)


ADAPTERS = {HuggingFace.pattern: HuggingFace()}
