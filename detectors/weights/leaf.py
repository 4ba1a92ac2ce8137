"""A tensor in a file, not read yet."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """A tensor in a file.

    Attributes:
        shape: Sizes of its dimensions.
        read: Function that gives the tensor, on the CPU.
        dtype: Its kind of number, as torch calls it; "" where nobody has looked.
    """

    shape: tuple[int, ...]
    read: Callable[[], Tensor]
    dtype: str = ""

    @property
    def size(self) -> int:
        """How many values the tensor has."""
        return math.prod(self.shape)


# What a file holds: nested mappings with tensors at their ends. Whatever else it holds is left out.
Tree: TypeAlias = Mapping[str, "Leaf | Tree"]
