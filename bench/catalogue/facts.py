"""All there is to know of one name, for `bench show`."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from bench import registry
from bench.catalogue.listings import parameters
from bench.datasets.open import POCKET, layouts, open_data
from bench.datasets.pocket import pocket_root
from bench.errors import BenchError, nearest
from bench.protocol.suite import load_suite
from bench.studies.recipe import load_recipe
from bench.support.progress import Silent
from detectors import zoo
from detectors.card import card_beside, read_card
from detectors.network import Architecture
from detectors.publication.method import Method


def facts(name: str) -> dict[str, Any]:
    """Gather everything there is to know of one name, its kind first.

    Raises:
        BenchError: If nothing has that name; suggests the nearest.
    """
    kinds = _kinds()
    for kind in kinds:
        if name in kind.names():
            return kind.facts(name)
    names = [name for kind in kinds for name in kind.names()]
    raise BenchError(f"nothing is called {name!r}: {nearest(name, names)}")


class _Kind(NamedTuple):
    """One kind of thing: its names, and the facts of one of them; nothing is imported before it is called."""

    names: Callable[[], Collection[str]]
    facts: Callable[[str], dict[str, Any]]


def _kinds() -> list[_Kind]:
    """List the kinds, the quick ones first: detectors and attacks import torch."""
    return [
        _Kind(lambda: [POCKET], lambda _: _dataset_facts()),
        _Kind(registry.suites, _suite_facts),
        _Kind(registry.recipes, _recipe_facts),
        _Kind(registry.corruptions, _corruption_facts),
        _Kind(registry.attacks, _attack_facts),
        _Kind(registry.launderings, _laundering_facts),
        _Kind(registry.certificates, _certificate_facts),
        _Kind(layouts, _layout_facts),
        _Kind(lambda: [*registry.detectors(), *zoo.weights()], _detector_facts),
    ]


def _suite_facts(name: str) -> dict[str, Any]:
    return {"kind": "suite", **load_suite(name).model_dump()}


def _recipe_facts(name: str) -> dict[str, Any]:
    return {"kind": "recipe", **load_recipe(name).model_dump(mode="json")}


def _layout_facts(name: str) -> dict[str, Any]:
    layout = layouts()[name]
    facts = {"kind": "layout", "name": name, "summary": layout.summary}
    return facts if layout.card is None else {**facts, "card": dataclasses.asdict(layout.card)}


def _attack_facts(name: str) -> dict[str, Any]:
    return {"kind": "attack", "name": name, **_plugin_facts(registry.attacks()[name])}


def _certificate_facts(name: str) -> dict[str, Any]:
    return {"kind": "certificate", "name": name, **_plugin_facts(registry.certificates()[name])}


def _corruption_facts(name: str) -> dict[str, Any]:
    return _pixel_facts("corruption", name, registry.corruptions()[name])


def _laundering_facts(name: str) -> dict[str, Any]:
    return _pixel_facts("attack", name, registry.launderings()[name])


def _pixel_facts(kind: str, name: str, corruption: type[Any]) -> dict[str, Any]:
    facts = {"kind": kind, "name": name, **_plugin_facts(corruption)}
    if corruption.severities:
        facts["severities"] = [
            {"severity": severity, **overrides}
            for severity, overrides in enumerate(corruption.severities, start=1)
        ]
    if table := corruption.table():
        facts["table"] = table
    return facts


def _plugin_facts(plugin: type[Any]) -> dict[str, Any]:
    return {"summary": plugin.summary, "parameters": parameters(plugin)}


def _detector_facts(name: str) -> dict[str, Any]:
    weights = zoo.find(name)
    detector = registry.detectors().get(name) or registry.detectors().get(name.partition(".")[0])
    if weights is not None:
        card = read_card(card_beside(weights))
        counts = _parameter_facts(detector, card.outputs, card.input.network_input)
        return {"kind": "detector", **card.model_dump(mode="json"), **counts}
    if isinstance(detector, Method):
        return _method_facts(name, detector)
    if isinstance(detector, Architecture):
        return {
            "kind": "detector",
            "name": name,
            "summary": detector.summary,
            "reference": detector.reference,
            "input": detector.input.model_dump(mode="json"),
            **_parameter_facts(detector, 1, detector.input.network_input),
            "weights": "none shipped: pass --weights FILE",
        }
    return {"kind": "detector", "name": name, "summary": detector.__doc__ or ""}


def _method_facts(name: str, method: Method) -> dict[str, Any]:
    """List what a paper published of its detector, its figures last."""
    publication = method.publication
    direction = method.fake_logit or "z"
    outputs = 1 if direction in ("z", "-z") else 2
    facts = {
        "kind": "detector",
        "name": name,
        "summary": method.summary,
        "reference": method.reference,
        "fake_logit": method.fake_logit or "not said: pass --fake-logit",
        "input": method.input.model_dump(mode="json"),
        **_parameter_facts(method, outputs, method.input.network_input),
        "weights": "none shipped: pass --weights FILE"
        + (f", as published: {publication.file}" if publication.file else ""),
        "published at": publication.url,
        "sha256": publication.sha256 or "not known",
        "licence of the weights": publication.licence,
        "backbone": "inside the weights file"
        if publication.backbone is None
        else f"pass --backbone FILE, weights of timm's {publication.backbone.model}",
        "training_data": "unknown"
        if publication.training_data is None
        else publication.training_data.model_dump(mode="json", exclude_defaults=True),
        "attackable by gradient": f"no: {publication.not_attackable}"
        if publication.not_attackable
        else "yes",
        "notes": list(publication.notes),
        "figures of its paper": [dataclasses.asdict(figure) for figure in publication.figures],
    }
    return {key: value for key, value in facts.items() if value not in ([], ())}


def _parameter_facts(
    detector: object, outputs: int, size: tuple[int, int] | None
) -> dict[str, str]:
    """Count the numbers that a network learns, beside what its paper says."""
    if not isinstance(detector, Architecture):
        return {}
    import torch  # noqa: PLC0415

    with torch.device("meta"):  # shapes only: nothing is allocated or drawn
        network = detector.network(outputs, size)
    count = sum(parameter.numel() for parameter in network.parameters())
    facts = {"parameters": f"{count:,} with {outputs} output{'s' if outputs > 1 else ''}"}
    return facts | ({"parameters in its paper": detector.paper_size} if detector.paper_size else {})


def _dataset_facts() -> dict[str, Any]:
    manifest = open_data(POCKET, Silent())
    photographs = json.loads((pocket_root() / "photographs.json").read_text(encoding="utf-8"))
    return {
        "kind": "dataset",
        "name": POCKET,
        "layout": manifest.layout,
        "images": len(manifest),
        "digest": manifest.digest,
        "pairing": {name: list(sources) for name, sources in manifest.pairing.items()},
        "licences": dict(sorted(Counter(photo["licence"] for photo in photographs).items())),
        "attribution": str(pocket_root() / "ATTRIBUTION.md"),
        "counts": manifest.counts().to_dict("records"),
        "readme": str(pocket_root() / "README.md"),
    }
