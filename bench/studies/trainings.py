"""From a command, with or without a recipe, to the trainings it stands for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from bench.datasets.open import open_data
from bench.errors import BenchError
from bench.studies.recipe import Recipe, load_recipe
from bench.support.progress import Progress
from bench.training.options import TrainOptions, TrainRequest
from bench.training.settings import make_settings


def list_trainings(
    options: TrainOptions,
    recipe: str | None,
    detector: str | None,
    budget: str,
    changes: Mapping[str, Any],
    *,
    progress: Progress,
) -> list[TrainRequest]:
    """List the trainings that are asked for, in order.

    Args:
        options: Data, device and the like, the same for all.
        recipe: A study's name or file.
        detector: An architecture, or one network of the recipe; ``None`` takes all of the recipe.
        budget: One of the recipe's, or empty.
        changes: Settings given on the command line.
        progress: Told while data are read.

    Raises:
        BenchError: If neither recipe nor detector is given, or they do not fit.
    """
    if recipe is not None:
        study = load_recipe(recipe)
        return list_study_trainings(study, options, detector, budget, changes, progress=progress)
    if detector is None:
        raise BenchError("nothing to train: pass --detector NAME or --recipe NAME")
    if budget:
        raise BenchError(f"--budget {budget} belongs to a recipe: pass --recipe NAME too")
    return [TrainRequest(make_settings({"detector": detector, **changes}), options)]


def list_study_trainings(
    study: Recipe,
    options: TrainOptions,
    detector: str | None,
    budget: str,
    changes: Mapping[str, Any],
    *,
    progress: Progress,
) -> list[TrainRequest]:
    """List the trainings of a study: one a network, or one a network and domain.

    Args:
        study: Recipe of the study.
        options: Data, device and the like, the same for all.
        detector: One network of the recipe; ``None`` takes all.
        budget: One of the recipe's, or empty.
        changes: Settings given on the command line.
        progress: Told while data are read.

    Raises:
        BenchError: If the study has no such network or budget, its data name no domains, or one name,
            folder or set of devices is to serve several trainings.
    """
    if options.layout == "auto":
        options = dataclasses.replace(options, layout=study.layout)
    networks = [detector] if detector else [network.detector for network in study.networks]
    domains: list[str | None] = [None]
    if study.per == "domain" and "domains" not in changes:
        domains = [*_domains(study, options, progress)]
    _check_shared(study, options, networks, len(networks) * len(domains))
    requests = []
    for network in networks:
        for domain in domains:
            narrowed = changes if domain is None else {**changes, "domains": [domain]}
            label = study.name if domain is None else f"{study.name}-{domain}"
            requests.append(
                TrainRequest(
                    study.settings(network, budget, narrowed),
                    dataclasses.replace(options, name=options.name or f"{network}.{label}"),
                    recipe=study.name,
                    budget=budget,
                )
            )
    return requests


def _domains(study: Recipe, options: TrainOptions, progress: Progress) -> list[str]:
    manifest = open_data(options.data, progress, layout=options.layout, cache=options.cache)
    domains = sorted(set(manifest.table["domain"].to_pylist()) - {""})
    if not domains:
        raise BenchError(
            f"recipe {study.name} trains on one domain at a time, and {manifest.name} names none: "
            "lay it out as <domain>/<generator>/{real,fake}, or pass a manifest with a column `domain`"
        )
    return domains


def _check_shared(study: Recipe, options: TrainOptions, networks: list[str], count: int) -> None:
    """Refuse a name, a folder or several devices for more than one training."""
    if count > 1 and (options.name or options.out):
        raise BenchError(
            f"recipe {study.name} trains {count} networks: give --name and --out only with "
            "--detector NAME (and --domains)"
        )
    if count > 1 and options.devices > 1:
        raise BenchError(
            f"several devices train one network a command: pass --detector NAME, one of {', '.join(networks)}"
        )
