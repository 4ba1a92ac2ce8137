"""Which real images each generator's fakes are compared with: by the layout, or by a rule of the user's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.datasets.record import FAKE, REAL
from bench.errors import BenchError

if TYPE_CHECKING:
    import pandas as pd

    from bench.datasets.manifest import Manifest


def pair_reals(
    manifest: Manifest, rows: NDArray[np.int64], rule: str
) -> Mapping[str, tuple[str, ...]]:
    """Pair each generator with real sources.

    Args:
        manifest: The data set.
        rows: (n,) rows of it that are scored.
        rule: ``layout`` (as its layout pairs them), ``own`` (only sources that no other generator is
            compared with), ``shared`` (every source, controls aside), or ``matched`` (as the layout pairs
            them; the slices then keep only reals whose group a fake of the generator has).

    Returns:
        Generator to the names of its real sources.

    Raises:
        BenchError: If a generator among the rows has no real image left under the rule.
    """
    pairing = manifest.pairing
    if rule == "layout":
        return pairing
    part = manifest.table.select(["label", "generator", "group"]).take(rows).to_pandas()
    generators = sorted(set(part["generator"][part["label"] == FAKE]))
    if rule == "matched":
        _check_matches(part, pairing, generators, manifest.name)
        return pairing
    owners: dict[str, list[str]] = {}
    for generator, sources in pairing.items():
        for source in sources:
            owners.setdefault(source, []).append(generator)
    if rule == "shared":
        return dict.fromkeys(pairing, tuple(sorted(owners)))
    single = {
        generator: tuple(source for source in sources if owners[source] == [generator])
        for generator, sources in pairing.items()
    }
    for generator in generators:
        if not single.get(generator):
            raise BenchError(
                f"pairing 'own': generator {generator!r} of {manifest.name} has no real images of its own: "
                "leave the pairing to the layout, or use 'shared'"
            )
    return single


def _check_matches(
    part: pd.DataFrame,
    pairing: Mapping[str, tuple[str, ...]],
    generators: list[str],
    name: str,
) -> None:
    reals = part[part["label"] == REAL]
    for generator in generators:
        fakes = part[(part["label"] == FAKE) & (part["generator"] == generator)]
        groups = set(fakes["group"]) - {""}
        sources = reals[reals["generator"].isin(pairing.get(generator, ()))]
        if not groups.intersection(sources["group"]):
            raise BenchError(
                f"pairing 'matched': no real image of {name} shares its group (source photograph or prompt) "
                f"with a fake of {generator!r}: name groups in a manifest's column 'group', or use another "
                "pairing"
            )
