"""Keep libtiff from writing to the user's screen: what it has to say of a file is said of that file."""

from __future__ import annotations

import contextlib
import ctypes
import functools
from pathlib import Path

import PIL


@functools.cache
def silence_libtiff() -> bool:
    """Switch off the lines that Pillow's libtiff prints about damaged files, past Python.

    Pillow raises an error as well, so nothing is lost.

    Returns:
        Whether the library was there to be asked.
    """
    silenced = False
    for path in _libraries():
        # Pillow has loaded this very file: it is the same library, not another copy.
        with contextlib.suppress(OSError, AttributeError):
            library = ctypes.CDLL(str(path))
            for handler in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
                setter = getattr(library, handler)
                setter.restype, setter.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
                setter(None)
            silenced = True
    return silenced


def _libraries() -> list[Path]:
    """List the copies of libtiff that came with Pillow, or that this process has loaded."""
    package = Path(PIL.__file__).parent
    folders = (package.parent / "pillow.libs", package / ".dylibs")
    bundled = [path for folder in folders for path in sorted(folder.glob("libtiff*"))]
    if bundled:
        return bundled
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    loaded = {line.split(maxsplit=5)[-1] for line in maps.splitlines() if "libtiff" in line}
    return [Path(path) for path in sorted(loaded)]
