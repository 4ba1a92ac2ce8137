"""Two data sets of which one has grown or shrunk by whole generators or domains: what both hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray


class Kind(NamedTuple):
    """Images that come and go together: those of one class, one generator or real source, one domain."""

    label: int
    generator: str
    domain: str

    def __str__(self) -> str:
        name = f"{self.generator} in {self.domain}" if self.domain else self.generator
        return f"{name} ({'fake' if self.label else 'real'})"


@dataclass(frozen=True, slots=True, eq=False)
class CommonSet:
    """What two data sets have in common, by kinds of image.

    Attributes:
        before: (n,) rows of the first set that are of a kind both hold.
        after: (m,) rows of the second set that are.
        pairing: Generator to the real sources that both compare it with.
        gone: Kinds of the first set alone, with how many images each has.
        new: Kinds of the second set alone, likewise.
    """

    before: NDArray[np.int64]
    after: NDArray[np.int64]
    pairing: Mapping[str, tuple[str, ...]]
    gone: Mapping[Kind, int]
    new: Mapping[Kind, int]

    @property
    def whole(self) -> bool:
        """Whether the two hold the same kinds of image."""
        return not self.gone and not self.new


class OtherPairingError(ValueError):
    """One generator is compared with other reals, though both sets hold them all."""


def common_set(
    before: pd.DataFrame,
    after: pd.DataFrame,
    pairings: tuple[Mapping[str, Sequence[str]], Mapping[str, Sequence[str]]],
) -> CommonSet:
    """Find what two data sets have in common.

    Args:
        before: One row an image, with ``label``, ``generator`` and ``domain``.
        after: The other set, likewise.
        pairings: Generator to its real sources, of either set.

    Raises:
        OtherPairingError: A generator is compared with other reals, though both sets hold them.
    """
    kinds = _kinds(before), _kinds(after)
    counts = [Counter(frame) for frame in kinds]
    gone = {kind: counts[0][kind] for kind in counts[0] if kind not in counts[1]}
    new = {kind: counts[1][kind] for kind in counts[1] if kind not in counts[0]}
    shared = set(counts[0]) & set(counts[1])
    pairing = _common_pairing(pairings, {kind.generator for kind in shared})
    real = {source for sources in pairing.values() for source in sources}
    paired = {source for either in pairings for names in either.values() for source in names}

    def is_common(kind: Kind) -> bool:
        if kind not in shared:
            return False
        # Reals that no common generator is compared with belong to those that came or went.
        return kind.generator in (pairing if kind.label else real | (_sources(shared) - paired))

    rows = [np.flatnonzero(frame.map(is_common).to_numpy(dtype=bool)) for frame in kinds]
    return CommonSet(rows[0], rows[1], pairing, _sorted(gone), _sorted(new))


def _kinds(samples: pd.DataFrame) -> pd.Series:
    columns = (samples[name] for name in ("label", "generator", "domain"))
    kinds = [Kind(int(label), str(g), str(d)) for label, g, d in zip(*columns, strict=True)]
    return pd.Series(kinds, index=samples.index, dtype=object)


def _sources(kinds: set[Kind]) -> set[str]:
    return {kind.generator for kind in kinds if not kind.label}


def _common_pairing(
    pairings: tuple[Mapping[str, Sequence[str]], Mapping[str, Sequence[str]]], shared: set[str]
) -> dict[str, tuple[str, ...]]:
    """Pair every generator that both hold with the sources that both hold."""
    pairing: dict[str, tuple[str, ...]] = {}
    for generator, sources in pairings[0].items():
        if generator not in pairings[1] or generator not in shared:
            continue
        others = pairings[1][generator]
        differ = sorted(set(sources) ^ set(others))
        if still_there := [source for source in differ if source in shared]:
            raise OtherPairingError(
                f"{generator} is compared with {', '.join(sources) or 'nothing'} in the one and "
                f"{', '.join(others) or 'nothing'} in the other, and both hold {still_there[0]}"
            )
        common = tuple(source for source in sources if source in others)
        if common:
            pairing[generator] = common
    return pairing


def _sorted(kinds: Mapping[Kind, int]) -> dict[Kind, int]:
    return {kind: kinds[kind] for kind in sorted(kinds)}
