"""Listings and facts of everything that can be named, for people and scripts."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bench import registry
from bench.datasets import pocket_root
from bench.datasets.open import POCKET, layouts, open_data
from bench.errors import BenchError, nearest
from bench.protocol.condition import spell_value
from bench.protocol.suite import load_suite
from bench.studies.recipe import load_recipe
from bench.support.progress import Silent
from detectors import zoo
from detectors.card import card_beside, read_card
from detectors.network import Architecture

Row = dict[str, Any]


def rows(kind: str) -> list[Row]:
    """List the names of one kind, a row each.

    Args:
        kind: ``detectors``, ``suites``, ``corruptions``, ``attacks``, ``layouts``, ``recipes``
            or ``datasets``.
    """
    listings: dict[str, Callable[[], list[Row]]] = {
        "detectors": _detectors,
        "suites": _suites,
        "corruptions": lambda: _plugins(registry.corruptions()),
        "attacks": lambda: _plugins(registry.attacks()),
        "layouts": _layouts,
        "recipes": _recipes,
        "datasets": _datasets,
    }
    return listings[kind]()


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
        _Kind(layouts, _layout_facts),
        _Kind(lambda: [*registry.detectors(), *zoo.weights()], _detector_facts),
    ]


def _detectors() -> list[Row]:
    shipped = zoo.weights()
    architectures = [
        {
            "name": name,
            "weights": next(
                (tag for tag in shipped if zoo.find(name) == shipped[tag]), "none shipped"
            ),
            "summary": _summary(detector),
        }
        for name, detector in registry.detectors().items()
    ]
    defaults = {row["weights"] for row in architectures}
    further_weights = [
        {"name": name, "weights": name, "summary": f"trained on {_training_data(path)}"}
        for name, path in shipped.items()
        if name not in defaults
    ]
    return [
        *architectures,
        *further_weights,
        {"name": "timm/<model>", "weights": "--weights FILE", "summary": "any classifier of timm"},
        {"name": "path/to/file.py:Name", "weights": "its own", "summary": "your own code"},
    ]


def _summary(detector: Any) -> str:
    """Sum up an architecture, or a detector's class of a plug-in, in one line."""
    if isinstance(detector, Architecture):
        return detector.summary
    return (detector.__doc__ or "").split("\n")[0]


def _training_data(weights: Path) -> str:
    data = read_card(card_beside(weights)).training_data
    return "unknown data" if data is None else f"{data.dataset}: {', '.join(data.generators)}"


def _suites() -> list[Row]:
    return [
        {"name": name, "conditions": len(suite.parsed), "description": suite.description}
        for name in registry.suites()
        for suite in [load_suite(name)]
    ]


def _layouts() -> list[Row]:
    return [{"name": name, "summary": layout.summary} for name, layout in layouts().items()]


def _recipes() -> list[Row]:
    return [
        {
            "name": name,
            "networks": ", ".join(network.detector for network in recipe.networks),
            "budgets": ", ".join(recipe.budget) or "none",
            "title": recipe.title,
        }
        for name in registry.recipes()
        for recipe in [load_recipe(name)]
    ]


def _datasets() -> list[Row]:
    return [{"name": POCKET, "summary": "embedded smoke-test set", "path": str(pocket_root())}]


def _plugins(plugins: Mapping[str, type[Any]]) -> list[Row]:
    return [
        {"name": name, "parameters": ", ".join(_parameters(plugin)), "summary": plugin.summary}
        for name, plugin in plugins.items()
    ]


def _parameters(plugin: type[Any]) -> list[str]:
    return [f"{field.name}={spell_value(field.default)}" for field in dataclasses.fields(plugin)]


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


def _corruption_facts(name: str) -> dict[str, Any]:
    corruption = registry.corruptions()[name]
    facts = {"kind": "corruption", "name": name, **_plugin_facts(corruption)}
    if corruption.severities:
        facts["severities"] = [
            {"severity": severity, **parameters}
            for severity, parameters in enumerate(corruption.severities, start=1)
        ]
    if table := corruption.table():
        facts["table"] = table
    return facts


def _plugin_facts(plugin: type[Any]) -> dict[str, Any]:
    parameters = {
        field.name: None if field.default is None else spell_value(field.default)
        for field in dataclasses.fields(plugin)
    }
    return {"summary": plugin.summary, "parameters": parameters}


def _detector_facts(name: str) -> dict[str, Any]:
    weights = zoo.find(name)
    detector = registry.detectors().get(name.partition(".")[0])
    if weights is not None:
        card = read_card(card_beside(weights))
        parameters = _parameter_facts(detector, card.outputs, card.input.size)
        return {"kind": "detector", **card.model_dump(mode="json"), **parameters}
    if isinstance(detector, Architecture):
        return {
            "kind": "detector",
            "name": name,
            "summary": detector.summary,
            "reference": detector.reference,
            "input": detector.input.model_dump(mode="json"),
            **_parameter_facts(detector, 1, detector.input.size),
            "weights": "none shipped: pass --weights FILE",
        }
    return {"kind": "detector", "name": name, "summary": detector.__doc__ or ""}


def _parameter_facts(detector: object, outputs: int, side: int | None) -> dict[str, str]:
    """Count the numbers that a network learns, beside what its paper says."""
    if not isinstance(detector, Architecture):
        return {}
    import torch  # noqa: PLC0415

    with torch.device("meta"):  # shapes only: nothing is allocated or drawn
        network = detector.network(outputs, side)
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
