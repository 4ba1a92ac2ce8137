"""Recompute a board from the scores that lie beside it, and say of each file whether it is the same.

What it shows is that a board follows from its scores, and that the scores are those that were written. That
the scores are what the detector gives, only the same command shows, run again; that nobody wrote all of it
anew, a signature shows (:mod:`bench.results.verification.digests`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator
from pathlib import Path

from bench import registry
from bench.errors import BenchError
from bench.results.baseline import BASELINE_NAME, cell_pairs, load_baseline
from bench.results.board import Report, report
from bench.results.verification.digests import check_digests
from bench.results.verification.texts import KEY, Cell, check_text
from bench.results.verification.verdict import (
    Difference,
    FileCheck,
    Verification,
    damaged,
    from_differences,
)
from bench.store.rundir import BAD_IMAGES_NAME, SPEC_NAME, RunDir, RunRecord
from bench.store.shards import ShardDamagedError, Store
from bench.support.progress import Progress
from bench.support.user_file import MOST_TABLE, read_bytes, why
from bench.version import __version__
from leaderboards.board import BOARD_FILES, CSV_NAME, MARKDOWN_NAME
from leaderboards.statistics.catalogue import CATALOGUE


def verify(place: Path, progress: Progress | None = None) -> Verification:
    """Verify the board of a run, or the cells of a baseline.

    Args:
        place: A run's folder, a baseline's folder, or a ``baseline.json``.
        progress: Listener to what takes long, the board of a large run.

    Raises:
        BenchError: There is neither a run, nor a baseline, nor a board.
    """
    folder = place.parent if place.is_file() else place
    if (folder / SPEC_NAME).is_file() and place.name != BASELINE_NAME:
        checks = _run(folder, progress)
    elif (folder / BASELINE_NAME).is_file():
        checks = _baseline(folder)
    else:
        return _without_scores(place)
    listed = tuple(check_digests(folder))
    return Verification(str(place), (*checks.files, *listed), checks.lacking, checks.remarks)


def _without_scores(place: Path) -> Verification:
    boards = [name for name in BOARD_FILES if (place / name).is_file()]
    if not boards:
        raise BenchError(
            f"{place} holds no run, no baseline and no board: give the --out folder of a `bench run`, or "
            "the folder of a `bench baseline update`"
        )
    return Verification(
        str(place),
        (),
        f"{', '.join(boards)} came without run.json and the scores: ask whoever published it for the "
        "whole folder",
    )


def _run(folder: Path, progress: Progress | None) -> Verification:
    broken = tuple(_broken_record(folder))
    if broken:
        return Verification(str(folder), broken)
    record = RunDir(folder).read()
    try:
        computed = report(folder, progress)
    except ShardDamagedError as error:
        return Verification(str(folder), tuple(_damaged_shards(record, error)))
    missing = _missing_units(record)
    sound = [FileCheck(name, "same") for name in (SPEC_NAME, *record.spec.files)]
    boards = tuple(_boards(folder, computed, is_whole=not missing))
    shipped = any((folder / name).is_file() for name in (MARKDOWN_NAME, CSV_NAME))
    lacking = f"{missing} units of scores are not here" if missing else ""
    if not shipped:
        lacking, boards = lacking or "no board is here: `bench board RUN --write` makes it", ()
    files = (*sound, *boards, *_bad_images(folder, computed))
    return Verification(str(folder), files, lacking, tuple(_remarks(record, boards)))


def _broken_record(folder: Path) -> Iterator[FileCheck]:
    """Name each file of the record that is not what was written."""
    run = RunDir(folder)
    try:
        spec = run.spec()
    except BenchError as error:
        yield damaged(SPEC_NAME, error)
        return
    names = run.damaged_tables(spec)
    for name in names:
        if (folder / name).exists():
            yield FileCheck(name, "damaged", f"not the file that {SPEC_NAME} was written with")
        else:
            yield FileCheck(name, "absent", f"{SPEC_NAME} was written with it")
    if names:
        return
    try:
        run.read()
    except BenchError as error:
        yield damaged(str(folder), error)


def _missing_units(record: RunRecord) -> int:
    """Count the units that have neither scores nor a reason why not."""
    failed = {(failure.detector, failure.condition) for failure in record.failures}
    store = Store(record.store)
    return sum(
        not store.has(unit["fingerprint"])
        for unit in record.units.to_pylist()
        if (unit["detector"], unit["condition"]) not in failed
    )


def _damaged_shards(record: RunRecord, error: ShardDamagedError) -> Iterator[FileCheck]:
    for unit in error.fingerprints:
        path = Store(record.store).path(unit)
        name = path.relative_to(record.root) if path.is_relative_to(record.root) else path
        yield FileCheck(name.as_posix(), "damaged", "not the scores that were written")


def _boards(folder: Path, computed: Report, *, is_whole: bool) -> Iterator[FileCheck]:
    files = computed.board.files()
    unscored = () if is_whole else _unscored(computed)
    for name in BOARD_FILES:
        shipped = _text(folder / name)
        if isinstance(shipped, FileCheck):
            yield shipped
        elif name not in files:
            if shipped is not None:
                yield FileCheck(name, "different", "this board has no such file")
        elif shipped is None:
            yield FileCheck(name, "absent", "the scores give one")
        elif is_whole or name == CSV_NAME:
            # Text for people, and curves, hold means: they say nothing where some scores are not here.
            yield check_text(name, shipped, files[name], unscored)


def _unscored(computed: Report) -> Collection[Cell]:
    rows = computed.board.rows
    partial = rows[rows["status"] == "incomplete"]
    return {tuple(str(row[key]) for key in KEY) for row in partial.to_dict("records")}


def _text(path: Path) -> str | FileCheck | None:
    try:
        return read_bytes(path, MOST_TABLE).decode()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        return FileCheck(path.name, "damaged", why(error))


def _bad_images(folder: Path, computed: Report) -> Iterator[FileCheck]:
    """Make sure that each image without scores is listed, with its reason."""
    shipped = _text(folder / BAD_IMAGES_NAME)
    if isinstance(shipped, FileCheck):
        yield shipped
        return
    if shipped is None:
        yield FileCheck(BAD_IMAGES_NAME, "absent", f"{len(computed.bad)} images have no scores")
        return
    try:
        listed = {tuple(row) for row in csv.reader(io.StringIO(shipped, newline=""))}
    except csv.Error as error:
        yield FileCheck(BAD_IMAGES_NAME, "damaged", why(error))
        return
    differences = [
        Difference(path, "", reason)
        for path, reason in computed.bad
        if (path, reason) not in listed
    ]
    noted = computed.board.notes
    if not differences and len(listed) - 1 != noted.bad_images:
        reason = f"{len(listed) - 1} images are listed, {noted.bad_images} were left out"
        yield FileCheck(BAD_IMAGES_NAME, "different", reason)
        return
    yield from_differences(BAD_IMAGES_NAME, differences, "images")


def _remarks(record: RunRecord, boards: Collection[FileCheck]) -> Iterator[str]:
    yield from _plugin_remark(boards)
    wrote = record.spec.versions.get("bench", "")
    if wrote != __version__ and any(check.state == "different" for check in boards):
        yield (
            f"the board was written by bench {wrote}, this is {__version__}: other wording alone may be why "
            "lines differ; that version tells"
        )


def _plugin_remark(boards: Collection[FileCheck]) -> Iterator[str]:
    """Say which metrics of other distributions stand on boards that are made here."""
    names = registry.metrics().keys() - {metric.name for metric in CATALOGUE}
    if names and any(check.state == "different" for check in boards):
        yield (
            f"here stand metrics of plug-ins ({', '.join(sorted(names))}) on every board: that alone may be "
            "why columns or lines differ; an environment with the writer's plug-ins tells"
        )


def _baseline(folder: Path) -> Verification:
    path = folder / BASELINE_NAME
    try:
        scores = load_baseline(path)
        pairs = cell_pairs(path, scores)
    except BenchError as error:
        return Verification(str(folder), (damaged(BASELINE_NAME, error),))
    differences = [
        Difference(f"{where} / {metric}", shipped, computed)
        for where, metric, shipped, computed in pairs
    ]
    cells = from_differences(BASELINE_NAME, differences, "numbers")
    return Verification(str(folder), (cells,), remarks=_interval_remark())


def _interval_remark() -> tuple[str, ...]:
    return (
        "intervals of a baseline's cells are not held against each other: the gate goes by the scores",
    )
