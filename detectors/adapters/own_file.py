"""``path/to/file.py:Name``: a detector class or architecture in a file of one's own."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from detectors.adapters.base import Adapter, FindArchitecture, LoadOptions
from detectors.errors import DetectorError, ForeignCodeError, described, near

if TYPE_CHECKING:
    from types import ModuleType

    from detectors.base import Detector

_MARK = ".py:"


class OwnFile(Adapter):
    """A name in a Python file: a class, an instance, a function that makes one, or an architecture."""

    pattern: ClassVar[str] = "path/to/file.py:Name"
    summary: ClassVar[str] = "your own code"
    weights: ClassVar[str] = "its own"

    def recognises(self, name: str) -> bool:
        """Tell whether the name holds ``.py:``."""
        return _MARK in name

    def label(self, name: str) -> str:
        """Give the name behind the colon."""
        return name.rpartition(":")[2]

    def absolute(self, name: str) -> str:
        """Give the absolute path of the file, with the name behind it."""
        path, _, attribute = name.rpartition(":")
        return f"{Path(path).resolve()}:{attribute}"

    def load(self, name: str, options: LoadOptions, find: FindArchitecture) -> Detector:
        """Run the file and build what it calls ``Name``."""
        from detectors.adapters.construct import construct  # noqa: PLC0415  (imports torch)

        del find
        text, _, attribute = name.rpartition(":")
        path = Path(text)
        if not path.is_file():
            raise DetectorError(f"no file at {path}: check the path in --detector {name}")
        module = _imported(path)
        if not hasattr(module, attribute):
            public = [known for known in vars(module) if not known.startswith("_")]
            raise DetectorError(f"{path} defines no {attribute!r}: {near(attribute, public)}")
        return construct(getattr(module, attribute), name, options)


def _imported(path: Path) -> ModuleType:
    from detectors.global_state import kept, seed_all  # noqa: PLC0415  (imports torch)

    # Two files of one name are two modules, or the code of the one would be taken for the other's.
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]
    name = f"bench_user_{path.stem}_{digest}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise DetectorError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pickling look a class's module up by name while the file is still being run.
    sys.modules[name] = module
    try:
        with kept():
            seed_all()
            spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # user code may raise anything, and even exit
        del sys.modules[name]
        raise ForeignCodeError(f"{path} cannot be imported ({described(error)})") from error
    return module


ADAPTERS = {OwnFile.pattern: OwnFile()}
