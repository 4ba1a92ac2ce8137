"""What a run is asked to do: every choice, before anything is looked up."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bench.errors import BenchError, NothingSelectedError
from bench.inference.detector import DetectorRequest
from bench.inference.numerics import Numerics
from bench.protocol.suite import Suite


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificates for ``tls://``; those left out are taken from Dask's own configuration.

    Attributes:
        ca: The authority's certificate.
        cert: This client's certificate.
        key: Its key.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    @property
    def given(self) -> dict[str, str]:
        """Dask's names of the files that are given."""
        named = {"tls_ca_file": self.ca, "tls_client_cert": self.cert, "tls_client_key": self.key}
        return {name: str(path) for name, path in named.items() if path is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """Everything a run depends on.

    Attributes:
        detectors: In board order.
        suite: The protocol.
        data: A folder or file; ``None`` takes the suite's data set.
        layout: Name of the layout, or ``auto``.
        split: ``None`` takes the suite's; ``""`` takes every image.
        out: The run's folder; ``None`` is ``runs/<suite>``.
        store: Folder of score shards; ``None`` is ``<out>/store``.
        limit: At most about so many images.
        device: ``auto``, ``cpu`` or ``cuda:N``.
        batch_size: ``None`` chooses, and halves when memory runs out.
        numerics: How logits are computed.
        seed: Of noise, random starts and subsampling.
        allow_untrained: Score detectors without trained weights, on purpose.
        cache: Folder of cached manifests; ``None`` is the user's cache.
        cluster: Where to score instead of in this process: see :mod:`bench.runs.cluster.spec`.
        tls: Certificates for the cluster.
    """

    detectors: tuple[DetectorRequest, ...]
    suite: Suite
    data: str | None = None
    layout: str = "auto"
    split: str | None = None
    out: Path | None = None
    store: Path | None = None
    limit: int | None = None
    device: str = "auto"
    batch_size: int | None = None
    numerics: Numerics = field(default_factory=Numerics)
    seed: int = 0
    allow_untrained: bool = False
    cache: Path | None = None
    cluster: str | None = None
    tls: Tls = field(default_factory=Tls)

    @property
    def folder(self) -> Path:
        """Where the run's files go."""
        return self.out or Path("runs") / self.suite.name

    def check(self) -> None:
        """Refuse what contradicts itself, before any work.

        Raises:
            BenchError: One sentence with the way out.
        """
        if not self.detectors:
            raise NothingSelectedError(
                "no detector given: pass --detector NAME (see `bench ls detectors`)"
            )
        labels = [request.label for request in self.detectors]
        for label in labels:
            if labels.count(label) > 1:
                raise BenchError(f"detector {label!r} is given twice: name each once")
        if self.limit is not None and self.limit < 2:
            raise BenchError(f"--limit {self.limit}: give at least 2, one real and one fake image")
        if self.batch_size is not None and self.batch_size < 1:
            raise BenchError(f"--batch-size {self.batch_size}: give at least 1, or auto")
        self.numerics.check()
