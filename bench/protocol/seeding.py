"""Seeds that depend on what is drawn for, never on when: order, batch and shard do not matter."""

from __future__ import annotations

import hashlib

import numpy as np


def seed_for(seed: int, purpose: str, sample_id: str) -> int:
    """Derive a 63-bit seed for one image under one step.

    Args:
        seed: Seed of the whole run.
        purpose: The step, spelled with every parameter, and its position in the chain.
        sample_id: Id of the image that is drawn for.
    """
    digest = hashlib.sha256(f"{seed}\0{purpose}\0{sample_id}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def generator_for(seed: int, purpose: str, sample_id: str) -> np.random.Generator:
    """Make a numpy generator for one image under one step; see :func:`seed_for`."""
    return np.random.default_rng(seed_for(seed, purpose, sample_id))
