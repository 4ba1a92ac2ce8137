"""Which runs are put together in passes over files, and which in memory."""

from __future__ import annotations

from typing import Final

from bench.store.run_spec import RunSpec

# From so many scores on a board is made in passes. In memory this many take up to 3 GB, 309 bytes each
# where every image has one score.
STREAM_FROM: Final = 10_000_000
_AXES: Final = frozenset({"generator", "domain", "generator*domain", "pooled"})


def n_scores(spec: RunSpec) -> int:
    """Count the scores that a run is to have."""
    return spec.n_images * len(spec.detectors) * len(spec.conditions)


def disk_bytes(images: int, detectors: int, conditions: int) -> int:
    """Bound the bytes under TMPDIR that the passes of a board take.

    Scores, kinds and clusters lie there throughout, contributions from each detector on. Beside them there is
    one column, sorted and counted for a cell, then sorted for the mean; or, before, the hashes of the index.
    """
    return images * (detectors * (4 * conditions + 8) + 8 + 40)


def is_streamed(spec: RunSpec) -> bool:
    """Say whether a run's board is made in passes, as far as its request tells.

    What needs the scores of an image beside others of the same image is made in memory: attacks and their
    checks, certificates, conditions of one class, parts of a protocol, equalised boards, stopping rules,
    matched pairs, slices by a column of the data, and scores made elsewhere.
    """
    suite = spec.suite
    in_memory = (
        spec.imported is not None, bool(spec.until), suite.pairing == "matched",
        bool(suite.equalise), bool(suite.ensemble), bool(suite.parts),
        any(c.attack or c.only or c.certificate is not None for c in spec.conditions),
        not set(suite.slices) <= _AXES,
    )  # fmt: skip
    return n_scores(spec) >= STREAM_FROM and not any(in_memory)
