"""Which folder a run writes, and that no other run does: found by request, locked, never taken over."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.errors import BenchError
from bench.runs.folder.repeat import write_repeat
from bench.runs.prepare import Prepared
from bench.runs.record import run_spec
from bench.runs.request import RunRequest
from bench.store.lock import FolderBusyError, FolderLock, Holder, locked
from bench.store.provenance import fingerprint
from bench.store.run_spec import RunSpec
from bench.store.rundir import SPEC_NAME, RunDir
from bench.support.files import ensure_writable, sweep
from bench.support.progress import Progress

_LETTERS = 6  # of the digest, in a folder's name: enough to tell the runs of one suite apart


@contextmanager
def claimed(prepared: Prepared, progress: Progress) -> Iterator[Prepared]:
    """Hold the folder of a run: the one that was asked for, or the one that this request finds again.

    Args:
        prepared: The run that is to be written.
        progress: Told where the results go, where that is not the folder one would expect.

    Yields:
        The same run, with its folder in ``request.out``.

    Raises:
        FolderBusyError: Another process is writing the folder; says who.
        BenchError: The folder holds another request, and was asked for by name.
        OutputError: It cannot be written.
    """
    claim = _Claim.of(prepared)
    with ExitStack() as stack:
        folder = claim.folder()
        try:
            lock = _locked(stack, folder)
        except FolderBusyError as error:
            if claim.bound or error.holder.request in ("", claim.digest):
                raise
            folder = claim.beside
            lock = _locked(stack, folder)
        _take_over(claim, folder, lock, progress)
        lock.sign(claim.holder)
        RunDir(folder).sweep()
        sweep(folder, prepared.store.root)
        request = dataclasses.replace(prepared.request, out=folder)
        write_repeat(folder, request)
        yield dataclasses.replace(prepared, request=request)


def located(prepared: Prepared) -> Prepared:
    """Point a run that will not write at the folder that `claimed` would give it."""
    if prepared.missing_weights:  # no identity, hence no request to go by
        return prepared
    request = dataclasses.replace(prepared.request, out=_Claim.of(prepared).folder())
    return dataclasses.replace(prepared, request=request)


@dataclasses.dataclass(frozen=True, slots=True)
class _Claim:
    """A request that needs a folder.

    Attributes:
        request: What the command asked for.
        spec: The same, resolved.
        digest: Digest of all in it that moves a number.
    """

    request: RunRequest
    spec: RunSpec
    digest: str

    @classmethod
    def of(cls, prepared: Prepared) -> _Claim:
        spec = run_spec(prepared, prepared.initial)
        return cls(prepared.request, spec, fingerprint(spec.request))

    @property
    def bound(self) -> bool:
        """Whether it has to be the folder that the request names."""
        return self.request.out is not None or self.request.force

    @property
    def beside(self) -> Path:
        """The folder for this request alone."""
        folder = self.request.folder
        return folder.with_name(f"{folder.name}-{self.digest[:_LETTERS]}")

    @property
    def holder(self) -> Holder:
        detectors = ", ".join(detector.label for detector in self.spec.detectors)
        return Holder.here(self.digest, f"{detectors} over suite {self.spec.suite.name}")

    def folder(self) -> Path:
        """Choose the folder: where this request has been before, else the first that is free."""
        if self.bound:
            return self.request.folder
        if self.owns(self.beside):
            return self.beside
        free = not (self.request.folder / SPEC_NAME).exists() or self.owns(self.request.folder)
        return self.request.folder if free else self.beside

    def owns(self, folder: Path) -> bool:
        """Tell whether a folder holds this very request.

        Where ``run.json`` is damaged, the lock's file tells who wrote there last.
        """
        run = RunDir(folder)
        if not (folder / SPEC_NAME).exists():
            return False
        try:
            differences = set(run.spec().differences(self.spec))
            return not differences - ({"until"} if self.request.tighten else set())
        except BenchError:
            return FolderLock.of(folder).last.request == self.digest


def _locked(stack: ExitStack, folder: Path) -> FolderLock:
    ensure_writable(folder)
    RunDir(folder).check_names()
    return stack.enter_context(locked(folder))


def _take_over(claim: _Claim, folder: Path, lock: FolderLock, progress: Progress) -> None:
    """Make sure that a locked folder may be written for the claim, and tell what is unusual about it."""
    run = RunDir(folder)
    if claim.request.tighten:
        _check_continues(run)
    if not lock.works:
        progress.warn(f"{folder} lies where files cannot be locked: start no second run into it")
    if claim.owns(folder):
        damaged = _damaged(run)
        if damaged:
            progress.warn(f"{', '.join(damaged)} in {folder} was damaged and is written anew")
    elif (folder / SPEC_NAME).exists():
        if not claim.request.force:
            way = "give another --out, or --force to replace its board (scores are kept)"
            if _differ_in_target(run, claim.spec):
                way = "give --continue to go on from its scores, or another --out"
            raise BenchError(
                f"{folder} holds another request ({_difference(run, claim.spec)}): {way}"
            )
        progress.warn(f"{folder} held another request ({_difference(run, claim.spec)}): replaced")
        run.clear()
    if folder != claim.request.folder:
        other = claim.request.folder
        progress.warn(
            f"{other} belongs to another request: this one goes to {folder} (--store shares scores)"
        )


def _check_continues(run: RunDir) -> None:
    """Refuse to continue what is not there, or what has scored everything.

    Raises:
        BenchError: Says which.
    """
    if not (run.root / SPEC_NAME).exists():
        raise BenchError(
            f"--continue: {run.root} holds no run to go on from: leave it out for the first"
        )
    if not run.spec().until:
        raise BenchError(
            f"--continue: {run.root} holds a run without --until, which has scored everything: give another "
            "--out"
        )


def _differ_in_target(run: RunDir, asked: RunSpec) -> bool:
    """Tell whether two requests differ in nothing but the target at which cells stop."""
    try:
        recorded = run.spec()
    except BenchError:
        return False
    return bool(recorded.until and asked.until) and recorded.differences(asked) == ["until"]


def _damaged(run: RunDir) -> list[str]:
    """Name the files of a run's record that are not what was written."""
    try:
        return run.damaged_tables(run.spec())
    except BenchError:
        return [SPEC_NAME]


def _difference(run: RunDir, asked: RunSpec) -> str:
    """Say in what a folder's request differs from the one asked for."""
    try:
        recorded = run.spec()
    except BenchError as error:
        return str(error)
    return "; ".join(_differences(recorded, asked))


def _differences(there: RunSpec, here: RunSpec) -> Iterator[str]:
    for key in there.differences(here):
        before, now = there.request.get(key, False), here.request.get(key, False)
        if key == "detectors":
            yield _of_detectors(before, now)
        else:
            yield f"{key} {_short(before)} there, {_short(now)} asked for"


def _of_detectors(there: list[list[str]], here: list[list[str]]) -> str:
    names = [", ".join(label for label, _ in detectors) for detectors in (there, here)]
    if names[0] == names[1]:
        changed = [b[1] for a, b in zip(there, here, strict=True) if a != b]
        return f"detectors named alike, and {', '.join(changed)} asked for"
    return f"detectors {names[0]} there, {names[1]} asked for"


def _short(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
