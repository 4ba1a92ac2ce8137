"""The process's global state put back after somebody's code has run: one detector must not move another's."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor


class _State(NamedTuple):
    """What foreign code most often changes for everybody, as it is at one moment."""

    folder: str
    dtype: torch.dtype
    device: torch.device
    threads: int
    gradients: bool
    deterministic: bool
    python: Any
    numpy: Any
    torch: Tensor


def _read() -> _State:
    return _State(
        os.getcwd(),  # noqa: PTH109  (a string to go back to, links unresolved)
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        random.getstate(),
        np.random.get_state(),
        torch.random.get_rng_state(),
    )


def seed_all() -> None:
    """Seed the global generators, so that code which draws while it is built is built the same each time."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Put back working folder, random states, default dtype and device, threads and gradient mode.

    Only what was changed is set again, so that a block which changes nothing costs some microseconds.
    """
    before = _read()
    try:
        yield
    finally:
        _restore(before, _read_safely())


@contextlib.contextmanager
def kept_environment() -> Iterator[None]:
    """Put back the variables of the environment: what libraries set for their workers is not for us."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        for name, value in before.items():
            if os.environ.get(name) != value:
                os.environ[name] = value


def _read_safely() -> _State | None:
    try:
        return _read()
    except OSError:  # the working folder itself is gone
        return None


def _restore(before: _State, after: _State | None) -> None:
    if after is None or after.folder != before.folder:
        os.chdir(before.folder)
    if after is None or after.dtype != before.dtype:
        torch.set_default_dtype(before.dtype)
    if after is None or after.device != before.device:
        torch.set_default_device(None if before.device.type == "cpu" else before.device)
    if after is None or after.threads != before.threads:
        torch.set_num_threads(before.threads)
    if after is None or after.gradients != before.gradients:
        torch.set_grad_enabled(before.gradients)
    if after is None or after.deterministic != before.deterministic:
        torch.use_deterministic_algorithms(before.deterministic)
    if after is None or after.python != before.python:
        random.setstate(before.python)
    if after is None or not _same(after.numpy, before.numpy):
        np.random.set_state(before.numpy)
    if after is None or not torch.equal(after.torch, before.torch):
        torch.random.set_rng_state(before.torch)


def _same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Compare two states of numpy's generator: words, position, and the second half of a normal pair."""
    return np.array_equal(one[1], other[1]) and one[2:] == other[2:]
