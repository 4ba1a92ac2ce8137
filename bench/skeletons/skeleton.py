"""A file of source code with holes for a name, and the rules for that name."""

from __future__ import annotations

import keyword
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from string import Template

from bench.errors import BenchError
from bench.support.files import write_text

_LONGEST = 60
# Modules of ours and those that every plug-in imports: a file of the same name would hide them.
_HIDING = frozenset({
    "attacks", "bench", "corruptions", "detectors", "leaderboards", "numpy", "PIL", "scipy", "timm", "torch",
    "torchvision",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Skeleton:
    """One kind of plug-in, as a file that runs.

    Attributes:
        kind: What it is called on the command line.
        text: The file, with ``$name`` for its name and ``$title`` for the class.
        runs: The command that runs it, with ``$detector`` for file and class besides.
    """

    kind: str
    text: str
    runs: str

    def write(self, name: str, folder: Path) -> Written:
        """Write the file; one that is there is left alone.

        Args:
            name: Name of the plug-in and of the file, a Python identifier.
            folder: Where the file goes; made if need be.

        Raises:
            BenchError: If the name cannot be one, or the file is there already.
            OutputError: If the folder cannot be written.
        """
        title = class_name(name)
        path = folder / f"{name}.py"
        if path.exists() or path.is_symlink():
            raise BenchError(f"{path} is there already: choose another name or --out FOLDER")
        holes = {"name": name, "title": title, "detector": shlex.quote(f"{path}:{title}")}
        write_text(path, Template(self.text).substitute(holes))
        return Written(path, title, Template(self.runs).substitute(holes))


@dataclass(frozen=True, slots=True)
class Written:
    """A file that was written.

    Attributes:
        path: Where it lies.
        title: Name of the class in it.
        runs: The command that runs it.
    """

    path: Path
    title: str
    runs: str


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
