"""What can be named: listings and facts for people and scripts."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def rows(kind: str) -> list[dict[str, Any]]:
    """One row a name.

    Args:
        kind: ``detectors``, ``suites``, ``corruptions``, ``attacks``, ``layouts``, ``recipes``
            or ``datasets``.
    """
    listings: dict[str, Callable[[], list[dict[str, Any]]]] = {
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
    """Everything known of one name.

    Raises:
        BenchError: If nothing is called so; suggests the nearest.
    """
    if name == POCKET:
        return _dataset_facts()
    if name in registry.suites():
        suite = load_suite(name)
        return {"kind": "suite", **suite.model_dump()}
    if name in registry.recipes():
        return {"kind": "recipe", **load_recipe(name).model_dump(mode="json")}
    for kind, table in (("corruption", registry.corruptions()), ("attack", registry.attacks())):
        if name in table:
            return _plugin_facts(kind, name, table[name])
    if name in layouts():
        return _layout_facts(name)
    if name in registry.detectors() or name in zoo.weights():
        return _detector_facts(name)
    known = [
        *registry.detectors(),
        *zoo.weights(),
        *registry.suites(),
        *registry.corruptions(),
        *registry.attacks(),
        *layouts(),
        *registry.recipes(),
        POCKET,
    ]
    raise BenchError(f"nothing is called {name!r}: {nearest(name, known)}")


def _detectors() -> list[dict[str, Any]]:
    shipped = zoo.weights()
    listed = [
        {
            "name": name,
            "weights": next(
                (tag for tag in shipped if zoo.find(name) == shipped[tag]), "none shipped"
            ),
            "summary": found.summary
            if isinstance(found, Architecture)
            else (found.__doc__ or "").split("\n")[0],
        }
        for name, found in registry.detectors().items()
    ]
    defaults = {row["weights"] for row in listed}
    tagged = [
        {"name": name, "weights": name, "summary": f"trained on {_trained_on(path)}"}
        for name, path in shipped.items()
        if name not in defaults
    ]
    return [
        *listed,
        *tagged,
        {"name": "timm/<model>", "weights": "--weights FILE", "summary": "any classifier of timm"},
        {"name": "path/to/file.py:Name", "weights": "its own", "summary": "your own code"},
    ]


def _trained_on(weights: Path) -> str:
    data = read_card(card_beside(weights)).training_data
    return "unknown data" if data is None else f"{data.dataset}: {', '.join(data.generators)}"


def _suites() -> list[dict[str, Any]]:
    return [
        {"name": name, "conditions": len(suite.parsed), "description": suite.description}
        for name in registry.suites()
        for suite in [load_suite(name)]
    ]


def _layouts() -> list[dict[str, Any]]:
    return [{"name": name, "summary": found.summary} for name, found in layouts().items()]


def _layout_facts(name: str) -> dict[str, Any]:
    layout = layouts()[name]
    facts = {"kind": "layout", "name": name, "summary": layout.summary}
    return facts if layout.card is None else {**facts, "card": dataclasses.asdict(layout.card)}


def _recipes() -> list[dict[str, Any]]:
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


def _datasets() -> list[dict[str, Any]]:
    return [{"name": POCKET, "summary": "embedded smoke-test set", "path": str(pocket_root())}]


def _plugins(table: Any) -> list[dict[str, Any]]:
    return [
        {"name": name, "parameters": ", ".join(_parameters(plugin)), "summary": plugin.summary}
        for name, plugin in table.items()
    ]


def _parameters(plugin: type[Any]) -> list[str]:
    return [f"{field.name}={spell_value(field.default)}" for field in dataclasses.fields(plugin)]


def _plugin_facts(kind: str, name: str, plugin: type[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": kind, "name": name, "summary": plugin.summary}
    found["parameters"] = {
        field.name: None if field.default is None else spell_value(field.default)
        for field in dataclasses.fields(plugin)
    }
    if severities := getattr(plugin, "severities", None):
        found["severities"] = [{"severity": i, **s} for i, s in enumerate(severities, start=1)]
    # What a parameter's values stand for, where a plug-in has a table of it (platforms of upload).
    if table := getattr(plugin, "table", None):
        found["table"] = table()
    return found


def _detector_facts(name: str) -> dict[str, Any]:
    weights = zoo.find(name)
    found = registry.detectors().get(name.partition(".")[0])
    if weights is not None:
        card = read_card(card_beside(weights))
        counted = _parameter_facts(found, card.outputs, card.input.size)
        return {"kind": "detector", **card.model_dump(mode="json"), **counted}
    if isinstance(found, Architecture):
        return {
            "kind": "detector",
            "name": name,
            "summary": found.summary,
            "reference": found.reference,
            "input": found.input.model_dump(mode="json"),
            **_parameter_facts(found, 1, found.input.size),
            "weights": "none shipped: pass --weights FILE",
        }
    return {"kind": "detector", "name": name, "summary": found.__doc__ or ""}


def _parameter_facts(found: object, outputs: int, side: int | None) -> dict[str, str]:
    """How many numbers the network learns, beside what its paper says."""
    if not isinstance(found, Architecture):
        return {}
    import torch  # noqa: PLC0415

    with torch.device("meta"):  # shapes only: nothing is allocated or drawn
        network = found.network(outputs, side)
    count = sum(parameter.numel() for parameter in network.parameters())
    facts = {"parameters": f"{count:,} with {outputs} output{'s' if outputs > 1 else ''}"}
    return facts | ({"parameters in its paper": found.paper_size} if found.paper_size else {})


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
