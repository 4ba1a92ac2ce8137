"""``timm/<model>``: any classifier of timm, with weights of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from detectors.adapters.base import Adapter, FindArchitecture, LoadOptions

if TYPE_CHECKING:
    from detectors.base import Detector
    from detectors.network import Architecture

_PREFIX = "timm/"


class TimmModel(Adapter):
    """A network of timm under its own name, such as ``timm/convnext_tiny.fb_in22k``."""

    pattern: ClassVar[str] = "timm/<model>"
    summary: ClassVar[str] = "any classifier of timm"
    weights: ClassVar[str] = "--weights FILE"

    def recognises(self, name: str) -> bool:
        """Tell whether the name starts with ``timm/``."""
        return name.startswith(_PREFIX)

    def architecture(self, name: str) -> Architecture:
        """Give timm's network with the input rule of timm's own configuration."""
        from detectors.backbones import timm_architecture  # noqa: PLC0415  (imports torch)

        return timm_architecture(name)

    def load(self, name: str, options: LoadOptions, find: FindArchitecture) -> Detector:
        """Build the network and fill it from ``--weights``."""
        from detectors.adapters.construct import construct  # noqa: PLC0415  (imports torch)

        del find
        return construct(self.architecture(name), name, options)


ADAPTERS = {TimmModel.pattern: TimmModel()}
