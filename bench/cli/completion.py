"""Names that a shell completes with Tab; read from sources and folders, so that no key waits for torch."""

from __future__ import annotations

from collections.abc import Iterable


def detectors(incomplete: str) -> list[str]:
    """Complete detectors, shipped weights among them; behind an alias and after a comma too."""
    from bench import registry
    from detectors import zoo

    front, last = _before(incomplete, "=,")
    names = {*registry.listed("detectors", "DETECTORS"), *zoo.weights(), "timm/", "hf:"}
    return _beginning(front, last, names)


def suites(incomplete: str) -> list[str]:
    """Complete the names of suites."""
    from bench import registry

    return _beginning("", incomplete, registry.suites())


def recipes(incomplete: str) -> list[str]:
    """Complete the recipes of studies."""
    from bench import registry

    return _beginning("", incomplete, registry.recipes())


def layouts(incomplete: str) -> list[str]:
    """Complete the layouts of data sets."""
    from bench import registry

    return _beginning(
        "", incomplete, {"auto", *registry.listed("bench.datasets.layouts", "LAYOUTS")}
    )


def corruptions(incomplete: str) -> list[str]:
    """Complete the last corruption of a chain."""
    from bench import registry

    front, last = _before(incomplete, "+")
    return _beginning(front, last, registry.listed("corruptions", "CORRUPTIONS"))


def anything(incomplete: str) -> list[str]:
    """Complete whatever `bench show` knows: detectors, suites, corruptions, attacks, layouts, recipes."""
    from bench import registry

    kinds = (detectors, suites, recipes, layouts, corruptions)
    names = {name for kind in kinds for name in kind(incomplete)}
    names |= {*_beginning("", incomplete, [*registry.listed("attacks", "ATTACKS"), "pocket"])}
    return sorted(names - {"auto", "timm/", "hf:"})


def plots(incomplete: str) -> list[str]:
    """Complete the kinds of figures."""
    from bench.results.figures.kinds import plot_names

    return _beginning("", incomplete, plot_names())


def formats(incomplete: str) -> list[str]:
    """Complete formats of an export."""
    from bench.results.formats import format_names

    names = format_names("FORMATS", "METRIC_FORMATS", "MODEL_CARD_FORMATS")
    return _beginning("", incomplete, (*names, "scores"))


def _before(text: str, signs: str) -> tuple[str, str]:
    """Cut what is typed behind the last of some signs."""
    place = max((text.rfind(sign) for sign in signs), default=-1) + 1
    return text[:place], text[place:]


def _beginning(front: str, last: str, names: Iterable[str]) -> list[str]:
    return [front + name for name in sorted(names) if name.startswith(last)]
