"""A recipe: one study's trainings, figures and matching suite, in one TOML file that holds no code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bench import registry
from bench.errors import BenchError, nearest
from bench.support.toml import read_toml
from bench.training.settings import Settings, make_settings


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Network(_Strict):
    """One network of a study.

    Attributes:
        detector: Name of the architecture.
        train: Settings that differ from the recipe's ``[train]``.
        paper: Figures the study reports on its test images, by metric of ours: ``accuracy``, ``auc``,
            ``balanced_accuracy``, ``precision``, ``recall``, ``f1``; for the
            training table ``parameters`` (millions), ``loss`` and ``ms_step``.
    """

    detector: str
    train: dict[str, Any] = Field(default_factory=dict)
    paper: dict[str, float] = Field(default_factory=dict)


class Budget(_Strict):
    """A way to run a recipe on less than the study had.

    Attributes:
        description: What is cut, in a sentence.
        train: Settings that change for all networks.
        networks: Settings that change for one network, by detector.
    """

    description: str
    train: dict[str, Any] = Field(default_factory=dict)
    networks: dict[str, dict[str, Any]] = Field(default_factory=dict)


class Recipe(_Strict):
    """A study, as written in one TOML file.

    Attributes:
        name: Name of the study, as it is typed.
        title: What was studied, in a sentence.
        source: Authors and place of publication.
        layout: How the data are laid out; ``auto`` recognises it.
        suite: Suite that `bench reproduce` runs after the training.
        per: ``domain`` trains each network once for every domain of the data.
        train: Settings of the study, all networks alike.
        networks: In the study's order.
        budget: Lighter ways to run it, by name.
        exact: What is as in the study, a line each.
        assumed: What the study leaves open or is done otherwise here, a line each.
    """

    name: Annotated[str, Field(min_length=1)]
    title: str
    source: str
    layout: str = "auto"
    suite: str = "cross-generator"
    per: Literal["", "domain"] = ""
    train: dict[str, Any] = Field(default_factory=dict)
    networks: Annotated[list[Network], Field(min_length=1)]
    budget: dict[str, Budget] = Field(default_factory=dict)
    exact: list[str] = []
    assumed: list[str] = []

    def network(self, detector: str) -> Network:
        """Find the recipe's network called ``detector``.

        Raises:
            BenchError: If it has none.
        """
        networks = {network.detector: network for network in self.networks}
        if detector not in networks:
            raise BenchError(
                f"recipe {self.name} trains no {detector!r}: {nearest(detector, networks)}"
            )
        return networks[detector]

    def settings(
        self, detector: str, budget: str = "", changes: Mapping[str, Any] | None = None
    ) -> Settings:
        """Merge what one network trains with: the study, then the budget, then the command line.

        Raises:
            BenchError: On an unknown network, budget or setting.
        """
        network = self.network(detector)
        if budget and budget not in self.budget:
            raise BenchError(
                f"recipe {self.name} has no budget {budget!r}: {nearest(budget, self.budget)}"
            )
        lighter = self.budget[budget] if budget else Budget(description="")
        merged = {
            **self.train,
            **network.train,
            **lighter.train,
            **lighter.networks.get(detector, {}),
            **(changes or {}),
        }
        return make_settings({"detector": detector, **merged})


def load_recipe(name_or_path: str) -> Recipe:
    """Find a recipe by name or read one from a TOML file; every variant of it is checked.

    Raises:
        BenchError: If there is none, or the file is not a recipe; names the file and the key.
    """
    path = registry.find_file(registry.recipes(), name_or_path, "recipe")
    recipe = read_toml(path, Recipe, f"no recipe file at {path}: check the path")
    for network in recipe.networks:
        for budget in ("", *recipe.budget):
            try:
                recipe.settings(network.detector, budget)
            except BenchError as error:
                raise BenchError(f"{path}, {network.detector}: {error}") from error
    return recipe
