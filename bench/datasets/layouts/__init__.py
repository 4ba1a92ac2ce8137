"""One file a layout: a module that ends with a literal ``LAYOUTS = {"name": Mine()}``."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from bench.registry import merge

if TYPE_CHECKING:
    from bench.datasets.layouts.base import Layout


@cache
def builtin_layouts() -> Mapping[str, Layout]:
    """Collect the layouts of this package's modules, by name.

    Raises:
        BenchError: two have one name; says where both come from.
    """
    layouts: dict[str, Layout] = {}
    sources: dict[str, str] = {}
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        merge(layouts, sources, getattr(module, "LAYOUTS", {}), module.__name__)
    return MappingProxyType(dict(sorted(layouts.items())))
