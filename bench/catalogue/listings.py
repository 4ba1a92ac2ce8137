"""Listings of what can be named, but detectors: suites, corruptions, attacks, layouts, metrics and more."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from bench import registry
from bench.datasets.open import POCKET, layouts
from bench.datasets.pocket import pocket_root
from bench.protocol.condition import spell_value
from bench.protocol.suite import load_suite
from bench.studies.recipe import load_recipe

Row = dict[str, Any]


def rows(kind: str) -> list[Row]:
    """List the names of one kind, a row each.

    Args:
        kind: ``suites``, ``corruptions``, ``attacks``, ``certificates``, ``defences``,
            ``layouts``, ``recipes``, ``metrics``, ``pages`` or ``datasets``.
    """
    listings: dict[str, Callable[[], list[Row]]] = {
        "suites": _suites,
        "corruptions": lambda: _plugins(registry.corruptions()),
        "attacks": lambda: _plugins({**registry.attacks(), **registry.launderings()}),
        "certificates": lambda: _plugins(registry.certificates()),
        "defences": lambda: _plugins(registry.defences()),
        "layouts": _layouts,
        "recipes": _recipes,
        "metrics": _metrics,
        "pages": _pages,
        "datasets": _datasets,
    }
    return listings[kind]()


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


def _metrics() -> list[Row]:
    return [
        {"name": name, "title": metric.title, "formula": metric.formula}
        for name, metric in registry.metrics().items()
    ]


def _pages() -> list[Row]:
    return [
        {"name": name, "title": page.title, "summary": page.summary}
        for name, page in registry.pages().items()
    ]


def _datasets() -> list[Row]:
    return [{"name": POCKET, "summary": "embedded smoke-test set", "path": str(pocket_root())}]


def _plugins(plugins: Mapping[str, type[Any]]) -> list[Row]:
    return [
        {"name": name, "parameters": ", ".join(_spelled(plugin)), "summary": plugin.summary}
        for name, plugin in plugins.items()
    ]


def _spelled(plugin: type[Any]) -> list[str]:
    return [f"{field.name}={spell_value(field.default)}" for field in dataclasses.fields(plugin)]


def parameters(plugin: type[Any]) -> dict[str, str | None]:
    """Spell the defaults of a plug-in's parameters, by name; None where a parameter is left out."""
    return {
        field.name: None if field.default is None else spell_value(field.default)
        for field in dataclasses.fields(plugin)
    }
