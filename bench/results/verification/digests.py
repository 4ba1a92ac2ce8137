"""The list of digests that people sign with a tool of their own, in the format of ``sha256sum``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.errors import BenchError
from bench.results.baseline import BASELINE_NAME, scores_file
from bench.results.verification.verdict import FileCheck
from bench.store.rundir import BAD_IMAGES_NAME, FAILURES_NAME, SPEC_NAME, RunDir
from bench.store.seal import bytes_digest
from bench.store.shards import Store
from bench.support.user_file import MOST_TABLE, read_bytes, read_text, why
from leaderboards.board import BOARD_FILES

DIGESTS_NAME: Final = "SHA256SUMS"
_LINE: Final = re.compile(r"([0-9a-f]{64}) [ *](.+)")


def digest_lines(place: Path) -> str:
    """List the digest of each file that a board rests on, and of the board itself.

    Args:
        place: A run's folder, or a baseline's.

    Returns:
        Lines as ``sha256sum`` writes them and ``sha256sum -c`` reads them, ordered by name.

    Raises:
        BenchError: A file cannot be read, lies outside the folder, or has a name that no line can hold.
    """
    names = sorted(_names(place))
    return "".join(f"{_digest(place, name)}  {name}\n" for name in names)


def check_digests(place: Path) -> Iterator[FileCheck]:
    """Hold the files of a folder against its list of digests, where it has one."""
    if not (place / DIGESTS_NAME).is_file():
        return
    try:
        listed = _listed(place / DIGESTS_NAME)
    except BenchError as error:
        yield FileCheck(DIGESTS_NAME, "damaged", str(error))
        return
    wrong = 0
    for name, digest in listed.items():
        try:
            same = _digest(place, name) == digest
        except BenchError as error:
            wrong += 1
            yield FileCheck(name, "absent", f"{DIGESTS_NAME} lists it: {error}")
            continue
        if not same:
            wrong += 1
            yield FileCheck(name, "different", f"its SHA-256 is not that of {DIGESTS_NAME}")
    unlisted = sorted(set(_names(place)) - listed.keys())
    if unlisted:
        more = f" and {len(unlisted) - 1} more" if len(unlisted) > 1 else ""
        yield FileCheck(DIGESTS_NAME, "different", f"it does not list {unlisted[0]}{more}")
    elif not wrong:
        yield FileCheck(DIGESTS_NAME, "same")


def _names(place: Path) -> Iterator[str]:
    if not (place / SPEC_NAME).is_file():
        yield BASELINE_NAME
        yield scores_file(place / BASELINE_NAME)
        return
    record = RunDir(place).read()
    yield SPEC_NAME
    yield from record.spec.files
    for name in (FAILURES_NAME, BAD_IMAGES_NAME, *BOARD_FILES):
        if (place / name).is_file():
            yield name
    store = Store(record.store)
    for unit in dict.fromkeys(record.units["fingerprint"].to_pylist()):
        if store.has(unit):
            yield _inside(place, store.path(unit))


def _inside(place: Path, path: Path) -> str:
    try:
        return path.resolve().relative_to(place.resolve()).as_posix()
    except ValueError:
        raise BenchError(
            f"the scores of {place} lie elsewhere, in {path.parent.parent}: copy them into {place}/store, or "
            "run the command again with another --out and no --store"
        ) from None


def _digest(place: Path, name: str) -> str:
    path = place / name
    if "\n" in name or "\\" in name or not path.resolve().is_relative_to(place.resolve()):
        raise BenchError(f"{name!r} is no name of a file inside {place}")
    try:
        return bytes_digest(read_bytes(path, MOST_TABLE))
    except OSError as error:
        raise BenchError(f"cannot read {path} ({why(error)})") from error


def _listed(path: Path) -> dict[str, str]:
    try:
        lines = read_text(path).splitlines()
    except (OSError, ValueError) as error:
        raise BenchError(f"cannot read {path} ({why(error)})") from error
    entries = {}
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        if match is None or match[2] in entries:
            raise BenchError(
                f"line {number} of {path} is no digest and name, or a second of one name"
            )
        entries[match[2]] = match[1]
    return entries
