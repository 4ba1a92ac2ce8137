"""From a command, with or without a recipe, to the trainings it stands for."""

from __future__ import annotations

import dataclasses
from typing import Any

from bench.datasets.open import open_data
from bench.errors import BenchError
from bench.studies.recipe import Recipe, load_recipe
from bench.support.progress import Progress
from bench.training.request import TrainRequest
from bench.training.settings import make_settings


def requests(
    base: TrainRequest,
    recipe: str | None,
    detector: str | None,
    budget: str,
    changes: dict[str, Any],
    *,
    progress: Progress,
) -> list[TrainRequest]:
    """The trainings asked for, in order.

    Args:
        base: All that is no setting; its own settings are not looked at.
        recipe: A study's name or file.
        detector: An architecture, or one network of the recipe; ``None`` takes all of the recipe.
        budget: One of the recipe's, or empty.
        changes: Settings given on the command line.
        progress: Told while data are read.

    Raises:
        BenchError: If neither recipe nor detector is given, or they do not fit.
    """
    if recipe is None:
        if detector is None:
            raise BenchError("nothing to train: pass --detector NAME or --recipe NAME")
        if budget:
            raise BenchError(f"--budget {budget} belongs to a recipe: pass --recipe NAME too")
        settings = make_settings({"detector": detector, **changes})
        return [dataclasses.replace(base, settings=settings)]
    return of_recipe(load_recipe(recipe), base, detector, budget, changes, progress=progress)


def of_recipe(
    study: Recipe,
    base: TrainRequest,
    detector: str | None,
    budget: str,
    changes: dict[str, Any],
    *,
    progress: Progress,
) -> list[TrainRequest]:
    """The trainings of a study: one a network, or one a network and domain."""
    layout = study.layout if base.layout == "auto" else base.layout
    names = [detector] if detector else [network.detector for network in study.networks]
    domains: list[str | None] = [None]
    if study.per == "domain" and "domains" not in changes:
        manifest = open_data(base.data, progress, layout=layout, cache=base.cache)
        domains = sorted(set(manifest.table["domain"].to_pylist()) - {""})
        if not domains:
            raise BenchError(
                f"recipe {study.name} trains on one domain at a time, and {manifest.name} names "
                "none: lay it out as "
                "<domain>/<generator>/{real,fake}, or pass a manifest with a column `domain`"
            )
    if len(names) * len(domains) > 1 and (base.name or base.out):
        raise BenchError(
            f"recipe {study.name} trains {len(names) * len(domains)} networks: give --name and --out "
            "only with "
            "--detector NAME (and --domains)"
        )
    if len(names) * len(domains) > 1 and base.devices > 1:
        raise BenchError(
            f"several devices train one network a command: pass --detector NAME, one of {', '.join(names)}"
        )
    made = []
    for name in names:
        for domain in domains:
            narrowed = {**changes, **({"domains": [domain]} if domain else {})}
            settings = study.settings(name, budget, narrowed)
            tag = f"{study.name}-{domain}" if domain else study.name
            made.append(
                dataclasses.replace(
                    base,
                    settings=settings,
                    layout=layout,
                    name=base.name or f"{name}.{tag}",
                    recipe=study.name,
                    budget=budget,
                )
            )
    return made
