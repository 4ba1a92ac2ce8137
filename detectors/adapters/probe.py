"""``probe/<model>``: a linear layer of one's own on any network of timm, CLIP towers among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from detectors.adapters.base import Adapter, FindArchitecture, LoadOptions
from detectors.errors import WeightsError

if TYPE_CHECKING:
    from pathlib import Path

    from detectors.base import Detector
    from detectors.publication.method import Method

_PREFIX = "probe/"
# A tower that was trained on as a classifier has no projection any more.
_TRAINED_ON = "_ft_"


class ProbeModel(Adapter):
    """A linear probe on a network by its name in timm: ``probe/vit_base_patch14_dinov2.lvd142m``."""

    pattern: ClassVar[str] = "probe/<timm model>"
    summary: ClassVar[str] = "a linear layer on any network of timm or CLIP"
    weights: ClassVar[str] = "--weights, --backbone"

    def recognises(self, name: str) -> bool:
        """Tell whether the name starts with ``probe/``."""
        return name.startswith(_PREFIX)

    def architecture(self, name: str) -> Method:
        """Give the probe on the features that a network of timm is published with."""
        model = name.removeprefix(_PREFIX)
        return _method(name, model, projected=_has_projection(model))

    def load(self, name: str, options: LoadOptions, find: FindArchitecture) -> Detector:
        """Build the probe whose features the file's linear layer takes, and fill it from two files."""
        from detectors.adapters.construct import construct  # noqa: PLC0415  (imports torch)

        del find
        model = name.removeprefix(_PREFIX)
        projected = _has_projection(model)
        if projected and options.weights is not None and options.backbone is not None:
            projected = _takes_projection(options.weights, model)
        return construct(_method(name, model, projected=projected), name, options)


def _has_projection(model: str) -> bool:
    """Tell whether a network is a CLIP tower with its projection, by timm's own configuration.

    Raises:
        DetectorError: If timm knows no such model.
    """
    from detectors.backbones import timm_architecture  # noqa: PLC0415  (imports torch)

    timm_architecture(f"timm/{model}")  # refuses an unknown name, and says which are near
    import timm  # noqa: PLC0415  (5 s to import)

    cfg = timm.get_pretrained_cfg(model, allow_unregistered=True)
    return (
        cfg is not None
        and "clip" in model
        and _TRAINED_ON not in (cfg.tag or "")
        and bool(cfg.num_classes)
    )


def _takes_projection(weights: Path, model: str) -> bool:
    """Tell by the width of a linear layer whether its features stand behind the projection or before it."""
    import torch  # noqa: PLC0415

    from detectors.probe import Probe  # noqa: PLC0415  (imports torch)
    from detectors.weights import read_state, split_part  # noqa: PLC0415  (imports torch)

    file, part = split_part(weights)
    widths = {value.shape[1] for value in read_state(file, part=part).values() if value.ndim == 2}
    with torch.device("meta"):
        known = {p: Probe(model, projected=p).fc.in_features for p in (True, False)}
    for projected, width in known.items():
        if width in widths:
            return projected
    raise WeightsError(
        f"{file.name} has a linear layer of {_spelled(widths)} features, {model} gives {known[True]} behind "
        f"its projection and {known[False]} before it: name the network that it was trained on"
    )


def _spelled(widths: set[int]) -> str:
    return " or ".join(map(str, sorted(widths))) or "no"


def _method(name: str, model: str, *, projected: bool) -> Method:
    from detectors.backbones import timm_architecture  # noqa: PLC0415  (imports torch)
    from detectors.probe import probe_builder  # noqa: PLC0415  (imports torch)
    from detectors.publication.facts import Backbone, Publication  # noqa: PLC0415
    from detectors.publication.method import Method  # noqa: PLC0415  (imports torch)

    network = timm_architecture(f"timm/{model}")
    features = "behind its projection" if projected else "before any classifier"
    unused = () if projected or network.pretrained is None else network.pretrained.head
    return Method(
        name=name,
        build=probe_builder(model, projected=projected),
        input=network.input,
        reference=f"a linear probe on timm {model}, features {features}",
        summary=f"a linear probe on {model}",
        publication=Publication(
            url="",
            file="",
            key_map={"": "fc."},
            backbone=Backbone(model, "backbone", unused),
        ),
    )


ADAPTERS = {ProbeModel.pattern: ProbeModel()}
