"""Which images to leave out so that every picture counts once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.audit.copies.duplicates import Copies
from bench.audit.copies.sides import Place, Side
from bench.audit.leaks import clusters
from bench.datasets import FAKE, REAL


def copies_to_drop(side: Side, copies: Copies) -> NDArray[np.bool_]:
    """Choose the images that make every picture count once; (n,) bool.

    Of copies in one class the first by id stays: of fakes in all generators, of reals in each source
    (reals that several generators share are no fault), of either in each domain and split. Exact copies
    that stand in both classes go altogether, as one of their labels is wrong and nobody knows which. A
    fake that is merely like a real image stays: it may well be its variation.
    """
    places, groups = side.places, side.groups
    dropped = np.zeros(len(places), dtype=bool)
    for kind, code in copies.codes.items():
        exact = kind in ("file", "pixels")
        for members in clusters(code):
            labels = {places[i].label for i in members}
            one_group = groups[members[0]] != "" and len({groups[i] for i in members}) == 1
            if labels == {REAL, FAKE} and exact:
                dropped[members] = True
                continue
            seen: set[Place] = set()
            for i in members:
                place = places[i]
                key = place._replace(generator="") if place.label == FAKE else place
                # Variations of one group in one class are the data's own idea, not a copy by mistake.
                dropped[i] |= key in seen and (exact or not one_group)
                seen.add(key)
    return dropped
