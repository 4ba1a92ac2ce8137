"""Two parallel folders, real photographs and their AI variations, as one manifest of pairs."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.datasets.policy import KNOWN_FORMATS
from bench.errors import DataError
from bench.support.files import write_text
from bench.support.user_file import MOST_TABLE, read_bytes, why

COLUMNS: Final = ("path", "label", "generator", "domain", "split", "group")
_SUFFIXES: Final = {f".{name.lower()}" for name in KNOWN_FORMATS} | {".jpg", ".tif"}


@dataclass(frozen=True, slots=True)
class FolderPairs:
    """What two folders have in common.

    Attributes:
        rows: One row an image, with ``COLUMNS``.
        pairs: Photographs with at least one variation.
        lone_real: Photographs without any, left out; paths below the real folder.
        lone_fake: Variations without a photograph, left out.
    """

    rows: list[dict[str, str]]
    pairs: int
    lone_real: tuple[str, ...]
    lone_fake: tuple[str, ...]


def pair_folders(
    real: Path, fake: Path, *, generator: str, domain: str = "", split: str = "", strip: str = ""
) -> FolderPairs:
    """Pair images by their path below the folder, without suffix.

    Args:
        real: Folder of photographs.
        fake: Folder of variations, laid out alike; several of one photograph are told by ``strip``.
        generator: Generator of the variations.
        domain: Kind of content of both, or empty.
        split: Split of both, or empty.
        strip: A regular expression whose match is taken out of a variation's name, such as ``_v[0-9]+$``.

    Raises:
        DataError: No such folder, no pair, or two photographs of one name.
    """
    photographs = _photographs(real)
    variations = _variations(fake, strip)
    keys = sorted(photographs.keys() & variations.keys())
    if not keys:
        raise DataError(
            f"no image of {fake} has the name of one in {real} (such as "
            f"{next(iter(sorted(variations)))!r} and {next(iter(sorted(photographs)))!r}): "
            "--strip takes a part of the variations' names out"
        )
    rows = []
    for key in keys:
        group = f"{domain}/{key}" if domain else key
        common = {"domain": domain, "split": split, "group": group}
        photograph = str(photographs[key].resolve())
        rows.append({"path": photograph, "label": "real", "generator": "", **common})
        for path in variations[key]:
            variation = str(path.resolve())
            rows.append({"path": variation, "label": "fake", "generator": generator, **common})
    return FolderPairs(
        rows,
        len(keys),
        tuple(sorted(photographs.keys() - variations.keys())),
        tuple(sorted(variations.keys() - photographs.keys())),
    )


def add_pairs(rows: Iterable[Mapping[str, str]], out: Path) -> int:
    """Write rows to a manifest, after those it has already; the same image again is passed over.

    Args:
        rows: Rows of `FolderPairs`.
        out: CSV; paths below its folder become relative to it.

    Returns:
        Number of rows in the file.

    Raises:
        DataError: The file is there and is no such manifest, or lists an image otherwise.
        OutputError: The place cannot be written.
    """
    listed = _listed(out)
    folder = out.resolve().parent
    for row in rows:
        image = Path(row["path"])
        path = image.relative_to(folder).as_posix() if image.is_relative_to(folder) else str(image)
        new = {**row, "path": path}
        old = listed.setdefault(path, new)
        if old != new:
            column = next(name for name in COLUMNS if old[name] != new[name])
            raise DataError(
                f"{out} lists {path} with {column} {old[column]!r}, now {new[column]!r}: "
                "choose another --out"
            )
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(listed.values())
    write_text(out, text.getvalue())
    return len(listed)


def _photographs(folder: Path) -> dict[str, Path]:
    """Find photographs by key; each key stands for one.

    Raises:
        DataError: Two have one key.
    """
    photographs: dict[str, Path] = {}
    for path in _images(folder):
        key = _key(path, folder)
        if key in photographs:
            raise DataError(
                f"{folder} has two photographs called {key!r}: {photographs[key].name} and {path.name}"
            )
        photographs[key] = path
    return photographs


def _variations(folder: Path, strip: str) -> dict[str, list[Path]]:
    """Find variations by the key of their photograph.

    Raises:
        DataError: ``strip`` is no regular expression.
    """
    try:
        pattern = re.compile(strip)
    except re.error as error:
        raise DataError(f"--strip {strip!r} is no regular expression ({error})") from error
    variations: dict[str, list[Path]] = {}
    for path in _images(folder):
        key = _key(path, folder)
        variations.setdefault(pattern.sub("", key), []).append(path)
    return variations


def _listed(manifest: Path) -> dict[str, dict[str, str]]:
    """Read the rows of a manifest by path; none where it is not there.

    Raises:
        DataError: It has other columns than ours.
    """
    if not manifest.is_file():
        return {}
    try:
        text = read_bytes(manifest, MOST_TABLE).decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""))
        if tuple(reader.fieldnames or ()) == COLUMNS:
            return {row["path"]: row for row in reader}
    except (OSError, ValueError, csv.Error, MemoryError) as error:
        raise DataError(
            f"{manifest} is there and cannot be read ({why(error)}): choose another --out"
        ) from error
    raise DataError(
        f"{manifest} is there with other columns than {', '.join(COLUMNS)}: choose another --out"
    )


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"no folder at {folder}: check the path")
    images = [
        Path(parent) / name
        for parent, _, names in os.walk(folder)
        for name in names
        if Path(name).suffix.lower() in _SUFFIXES
    ]
    if not images:
        raise DataError(f"{folder} holds no image")
    return sorted(images)


def _key(path: Path, root: Path) -> str:
    """Give what a photograph and its variations share: the path below the folder, no suffix."""
    return path.relative_to(root).with_suffix("").as_posix()
