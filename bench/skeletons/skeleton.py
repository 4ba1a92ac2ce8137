"""Files of source code with holes for a name, and the rules for that name."""

from __future__ import annotations

import keyword
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final

from bench.errors import BenchError
from bench.skeletons.project import Offer, offered
from bench.support.files import write_text

_LONGEST = 60
# Modules of ours and those that every plug-in imports: a file of the same name would hide them.
_HIDING = frozenset({
    "attacks", "bench", "corruptions", "detectors", "leaderboards", "numpy", "PIL", "scipy", "timm", "torch",
    "torchvision",
})  # fmt: skip


_TEXTS: Final = Path(__file__).parent / "texts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Skeleton:
    """One kind of plug-in, as a file that works and a test of it.

    Attributes:
        kind: What it is called on the command line; the name of its texts.
        group: Entry-point group that offers it by name; "" where a path is given instead.
        runs: The command that tries it: ``$path`` is the file, ``$name`` its name, ``$title`` its class.
        ending: Ending of the file.
    """

    kind: str
    group: str
    runs: str
    ending: str = "py"

    def write(self, name: str, folder: Path) -> Written:
        """Write the file, its test, and what offers it by name; a file that is there is left alone.

        Args:
            name: Name of the plug-in and of the file, a Python identifier.
            folder: Where the files go; made if need be.

        Raises:
            BenchError: If the name cannot be one, or a file is there already.
            OutputError: If the folder cannot be written.
        """
        title = class_name(name)
        path, test = folder / f"{name}.{self.ending}", folder / f"test_{name}.py"
        for place in (path, test):
            if place.exists() or place.is_symlink():
                raise BenchError(f"{place} is there already: choose another name or --out FOLDER")
        holes = {"name": name, "title": title}
        write_text(path, _filled(self.kind, holes))
        write_text(test, _filled(f"{self.kind}_test", holes))
        offer = offered(self.group, name, folder) if self.group else Offer(None, "")
        places = {
            key: shlex.quote(str(place)) for key, place in (("path", path), ("folder", folder))
        }
        own = shlex.quote(f"{path}:{title}")
        runs = Template(self.runs).substitute(holes, **places, own=own)
        return Written(path, test, title, runs, offer)


def _filled(text: str, holes: Mapping[str, str]) -> str:
    return Template((_TEXTS / f"{text}.txt").read_text(encoding="utf-8")).substitute(holes)


@dataclass(frozen=True, slots=True)
class Written:
    """The files that one call has written.

    Attributes:
        path: Place of the plug-in.
        test: Test of the plug-in.
        title: Name of the class in it.
        runs: The command that tries it.
        offer: What makes its name known to bench.
    """

    path: Path
    test: Path
    title: str
    runs: str
    offer: Offer


def class_name(name: str) -> str:
    """Give the class of a plug-in's name, in capitalised words.

    Raises:
        BenchError: If the name is no plain Python identifier, or would hide another module.

    Example:
        >>> class_name("my_net"), class_name("FerretNet2")
        ('MyNet', 'FerretNet2')
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise BenchError(
            f"{name!r} cannot name a file and a class: begin with a letter, go on with letters, digits and "
            "underscores, as in my_net"
        )
    if len(name) > _LONGEST:
        raise BenchError(f"{name[:20]!r}... has {len(name)} letters: choose {_LONGEST} at most")
    title = "".join(word[:1].upper() + word[1:] for word in name.split("_"))
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or keyword.iskeyword(title):
        raise BenchError(
            f"{name!r} is a word of Python's own: choose another name, as in my_{name}"
        )
    if name in _HIDING or name in sys.stdlib_module_names:
        raise BenchError(
            f"{name}.py would hide the module {name!r}: choose another, as in my_{name}"
        )
    return title
