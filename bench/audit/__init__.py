"""What a data set gives away without its pictures being looked at, and which images it holds twice."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any


class _CallableWing(ModuleType):
    """``bench.audit(data)`` audits: the wing and the function of the Python interface share a name."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Call :func:`bench.api.audit`."""
        return importlib.import_module("bench.api").audit(*args, **options)


sys.modules[__name__].__class__ = _CallableWing
