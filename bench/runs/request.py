"""The request of a run: every choice, before anything is looked up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.audit.before_run import Wishes
from bench.errors import BenchError
from bench.inference.detector import DetectorRequest
from bench.inference.numerics import Numerics
from bench.protocol.suite import Suite
from bench.protocol.until import Until
from bench.support.objects.place import ObjectPath, Place, place_of
from bench.support.objects.remote import was_url
from bench.support.plain import path_name


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificates for ``tls://``; those left out are taken from Dask's own configuration.

    Attributes:
        ca: Certificate of the authority that signed the others.
        cert: Certificate that this client shows.
        key: Private key that belongs to ``cert``.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    @property
    def options(self) -> dict[str, str]:
        """Paths of the files that are not left out, by Dask's names for them."""
        files = {"tls_ca_file": self.ca, "tls_client_cert": self.cert, "tls_client_key": self.key}
        return {name: str(path) for name, path in files.items() if path is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """Everything a run depends on.

    Attributes:
        detectors: The detectors to score, in board order.
        suite: The protocol: conditions, slices and threshold policy.
        data: A folder, a file or the URL of one; ``None`` takes the suite's data set.
        layout: Name of the layout, or ``auto``.
        columns: Which columns of tables are which of ours.
        reals: Places of further real images.
        split: ``None`` takes the suite's; ``""`` takes every image.
        out: The run's folder; ``None`` is ``runs/<suite>``, or a folder beside it where that one holds
            another request.
        store: Folder of score shards; ``None`` is ``<out>/store``.
        parents: Stores of others, which are only read.
        limit: At most about so many images; ``None`` takes all.
        device: ``auto``, ``cpu`` or ``cuda:N``.
        batch_size: ``None`` chooses, and halves when memory runs out.
        numerics: Arithmetic that logits are computed in.
        seed: Seed of noise, random starts and subsampling.
        allow_untrained: Score detectors without trained weights, on purpose.
        cache: Folder of cached manifests; ``None`` is the user's cache.
        cluster: Where to score instead of in this process: see :mod:`bench.runs.cluster.spec`.
        tls: Certificates for the cluster.
        isolate: Score each detector in a process of its own.
        timeout: Seconds that a unit may take, and the building of a detector; isolates.
        audit: Read the files of some images first, and say on the board what they give away.
        drop_duplicates: Score every picture once: copies are left out for every detector alike.
        until: Score in rounds, and stop every cell where this is met; ``None`` scores everything.
        tighten: Go on in a folder that was scored until another target.
        force: Replace what another request has left in the folder.
        command: The command line, to be kept beside the results; empty where there is none.
    """

    detectors: tuple[DetectorRequest, ...]
    suite: Suite
    data: str | None = None
    layout: str = "auto"
    columns: Mapping[str, str] = field(default_factory=dict)
    reals: tuple[Place, ...] = ()
    split: str | None = None
    out: Path | None = None
    store: Path | None = None
    parents: tuple[Place, ...] = ()
    limit: int | None = None
    device: str = "auto"
    batch_size: int | None = None
    numerics: Numerics = field(default_factory=Numerics)
    seed: int = 0
    allow_untrained: bool = False
    cache: Path | None = None
    cluster: str | None = None
    tls: Tls = field(default_factory=Tls)
    isolate: bool = False
    timeout: float | None = None
    audit: bool = True
    drop_duplicates: bool = False
    until: Until | None = None
    tighten: bool = False
    force: bool = False
    command: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Folder that the run's files go to."""
        return self.out or Path("runs") / path_name(self.suite.name)

    def anchored(self) -> RunRequest:
        """Give the same request with the places it writes to made absolute, and those it names by a path.

        Raises:
            BenchError: A place that is written is a URL.
        """
        anchor = Path.cwd()
        for flag in ("out", "store", "cache"):
            path: Path | None = getattr(self, flag)
            if path is not None and was_url(path):
                raise BenchError(
                    f"--{flag} {path}: what a run writes lies on disk: name a folder, and copy it afterwards"
                )
        out, store, cache = (
            None if path is None else anchor / path for path in (self.out, self.store, self.cache)
        )
        parents = tuple(p if isinstance(p, ObjectPath) else anchor / p for p in self.parents)
        return replace(self, out=out, store=store, parents=parents, cache=cache)

    @property
    def isolated(self) -> bool:
        """Whether detectors get processes of their own; a limit in time needs one to end."""
        return self.isolate or self.timeout is not None

    def wishes(self, *, dry: bool = False) -> Wishes:
        """Say what the audit before the run is to do; where nothing is scored, only what a suite requires."""
        return Wishes(
            suite=self.suite,
            audit=self.audit and not dry,
            drop_duplicates=self.drop_duplicates,
            cache=self.cache,
        )

    def check(self) -> None:
        """Refuse what contradicts itself, before any work.

        Raises:
            BenchError: One sentence with the way out.
        """
        if not self.detectors:
            raise BenchError("no detector given: pass --detector NAME (see `bench ls detectors`)")
        by_label: dict[str, DetectorRequest] = {}
        for detector in self.detectors:
            label, name = detector.label, detector.name
            if by_label.get(label) == detector:
                raise BenchError(f"detector {label!r} is given twice: name each once")
            if label in by_label:
                way = f"--detector {label}-2={name}"
                if detector.built is not None:
                    way = f"DetectorRequest.of(detector, '{label}-2')"
                raise BenchError(
                    f"{by_label[label].name} and {name} would both stand on the board as {label!r}: give one "
                    f"a name of its own, as {way}"
                )
            by_label[label] = detector
        if self.data is not None:
            place_of(self.data)  # refuses a URL that no record may hold
        if self.limit is not None and self.limit < 2:
            raise BenchError(f"--limit {self.limit}: give at least 2, one real and one fake image")
        if self.batch_size is not None and self.batch_size < 1:
            raise BenchError(f"--batch-size {self.batch_size}: give at least 1, or auto")
        if self.suite.requires_audit and not self.audit:
            raise BenchError(
                f"--no-audit contradicts suite {self.suite.name!r}, which requires an audit: leave it out"
            )
        if self.timeout is not None and not 0 < self.timeout < float("inf"):
            raise BenchError(f"--timeout {self.timeout:g}: give a number of seconds above 0")
        elsewhere = self.isolated or self.cluster is not None
        for detector in self.detectors:
            if detector.built is not None and elsewhere:
                raise BenchError(
                    f"{detector.label} is an object of this process, which no other process can build: write "
                    "its class into a file, FILE.py:Name, or leave --isolate, --timeout and --cluster out"
                )
        self._check_until()
        self._check_numerics()

    def _check_numerics(self) -> None:
        """Refuse an arithmetic that contradicts something else."""
        self.numerics.check()
        if self.numerics.precision == "auto" and self.suite.policy.kind == "oracle":
            raise BenchError(
                "--precision auto contradicts --threshold oracle, which is fitted on every score: leave one "
                "of the two out"
            )

    def _check_until(self) -> None:
        """Refuse a target that contradicts something else."""
        if self.tighten and self.until is None:
            raise BenchError(
                "--continue has no effect without --until: say how far to go on, as --until auc=0.005 does"
            )
        if self.until is not None and self.suite.ensemble:
            raise BenchError(
                f"--until {self.until} contradicts the ensemble of suite {self.suite.name!r}, which needs "
                "every image under every attack: leave one of the two out"
            )
        if self.until is not None and self.suite.policy.kind == "oracle":
            raise BenchError(
                f"--until {self.until} contradicts --threshold oracle, which is fitted on every image: "
                "leave one of the two out"
            )
