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

COLUMNS: Final = ("path", "label", "generator", "domain", "split", "group")
_SUFFIXES: Final = {f".{name.lower()}" for name in KNOWN_FORMATS} | {".jpg", ".tif"}


@dataclass(frozen=True, slots=True)
class Paired:
    """What two folders had in common.

    Attributes:
        rows: One an image, as written: ``COLUMNS``.
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
) -> Paired:
    """Pair images by their path below the folder, without suffix.

    Args:
        real: Folder of photographs.
        fake: Folder of variations, laid out alike; several of one photograph are told by ``strip``.
        generator: Of the variations.
        domain: Of both.
        split: Of both, or empty.
        strip: A regular expression whose match is taken out of a variation's name, such as ``_v[0-9]+$``.

    Raises:
        DataError: No such folder, no pair, or two photographs of one name.
    """
    try:
        pattern = re.compile(strip) if strip else None
    except re.error as error:
        raise DataError(f"--strip {strip!r} is no regular expression ({error})") from error
    photographs: dict[str, Path] = {}
    for path in _images(real):
        key = _key(path, real)
        if key in photographs:
            raise DataError(
                f"{real} has two photographs called {key!r}: {photographs[key].name} and {path.name}"
            )
        photographs[key] = path
    variations: dict[str, list[Path]] = {}
    for path in _images(fake):
        key = _key(path, fake)
        variations.setdefault(pattern.sub("", key) if pattern else key, []).append(path)
    both = sorted(photographs.keys() & variations.keys())
    if not both:
        raise DataError(
            f"no image of {fake} has the name of one in {real} (such as "
            f"{next(iter(sorted(variations)))!r} and {next(iter(sorted(photographs)))!r}): "
            "--strip takes a part of the variations' names out"
        )
    rows = []
    for key in both:
        same = {"domain": domain, "split": split, "group": f"{domain}/{key}" if domain else key}
        rows.append(
            {"path": str(photographs[key].resolve()), "label": "real", "generator": "", **same}
        )
        rows += [
            {"path": str(path.resolve()), "label": "fake", "generator": generator, **same}
            for path in variations[key]
        ]
    return Paired(
        rows,
        len(both),
        tuple(sorted(photographs.keys() - variations.keys())),
        tuple(sorted(variations.keys() - photographs.keys())),
    )


def add_pairs(rows: Iterable[Mapping[str, str]], out: Path) -> int:
    """Write rows to a manifest, after those it has already; the same image again is passed over.

    Args:
        rows: As `pair_folders` gives them.
        out: CSV; paths below its folder become relative to it.

    Returns:
        Rows it has now.

    Raises:
        DataError: It is there and is no such manifest, or lists an image otherwise.
        OutputError: The place cannot be written.
    """
    kept: dict[str, dict[str, str]] = {}
    if out.is_file():
        with out.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise DataError(
                    f"{out} is there with other columns than {', '.join(COLUMNS)}: choose another --out"
                )
            kept = {row["path"]: row for row in reader}
    base = out.resolve().parent
    for row in rows:
        place = Path(row["path"])
        path = place.relative_to(base).as_posix() if place.is_relative_to(base) else str(place)
        new = {**row, "path": path}
        old = kept.setdefault(path, new)
        if old != new:
            wrong = next(key for key in COLUMNS if old[key] != new[key])
            raise DataError(
                f"{out} lists {path} with {wrong} {old[wrong]!r}, now {new[wrong]!r}: choose another --out"
            )
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(kept.values())
    write_text(out, text.getvalue())
    return len(kept)


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"no folder at {folder}: check the path")
    found = [
        Path(place) / name
        for place, _, names in os.walk(folder)
        for name in names
        if Path(name).suffix.lower() in _SUFFIXES
    ]
    if not found:
        raise DataError(f"{folder} holds no image")
    return sorted(found)


def _key(path: Path, root: Path) -> str:
    return path.relative_to(root).with_suffix("").as_posix()
