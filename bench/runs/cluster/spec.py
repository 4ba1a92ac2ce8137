"""What follows ``--cluster``: workers of this machine, a scheduler's address, or a TOML file for SLURM."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from bench.errors import BenchError
from bench.support.toml import read_toml

SHARED_BY = "BENCH_WORKERS_HERE"
"""Variable of a worker that shares its machine: how many workers do, for its share of the cores."""

_WAYS = "write local:N, tcp://HOST:PORT, tls://HOST:PORT, or the path of a SLURM .toml file"


@dataclass(frozen=True, slots=True)
class Local:
    """Worker processes on this machine."""

    workers: int


@dataclass(frozen=True, slots=True)
class Remote:
    """A Dask scheduler that is running already."""

    address: str


class Slurm(BaseModel):
    """Jobs on a SLURM cluster, one worker each; see ``docs/cluster.md``.

    Attributes:
        jobs: Jobs to keep in the queue, one worker process each.
        queue: Partition; the cluster's default where none is named.
        account: Account that the jobs are charged to.
        walltime: Walltime of a job, ``HH:MM:SS``; its worker hands work over some minutes before the end.
        cores: CPU cores a job; those beyond the first decode and corrupt beside a GPU.
        memory: Memory of a job, as ``16GB``.
        gpus: GPUs a job: 0 or 1.
        interface: Network interface the machines reach each other by, as ``ib0``.
        python: Interpreter of the workers; this one by default.
        prologue: Shell lines before the worker starts.
        directives: Further ``#SBATCH`` lines.
        local_directory: Scratch space on the machines.
        log_directory: Where SLURM writes the workers' output.
        wait_minutes: Minutes to wait while there is no worker.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    jobs: int = Field(ge=1)
    queue: str | None = None
    account: str | None = None
    walltime: str = Field("04:00:00", pattern=r"^(\d+-)?\d{1,3}:[0-5]\d:[0-5]\d$")
    cores: int = Field(4, ge=1)
    memory: str = Field("16GB", pattern=r"^\d+(\.\d+)?\s?[KMGT]i?B$")
    gpus: int = Field(0, ge=0, le=1)
    interface: str | None = None
    python: str | None = None
    prologue: list[str] = []
    directives: list[str] = []
    local_directory: str | None = None
    log_directory: str | None = None
    wait_minutes: float = Field(60.0, gt=0)

    @property
    def seconds(self) -> int:
        """The walltime in seconds."""
        days, _, clock = self.walltime.rpartition("-")
        hours, minutes, seconds = (int(part) for part in clock.split(":"))
        return int(days or 0) * 86400 + hours * 3600 + minutes * 60 + seconds


Where = Local | Remote | Slurm


def parse(text: str) -> Where:
    """Read what follows ``--cluster``.

    Raises:
        BenchError: It is none of the ways; for a TOML file, names the file and the key.
    """
    if local := re.fullmatch(r"local:(\d+)", text):
        workers = int(local[1])
        if not workers:
            raise BenchError(f"--cluster {text}: give at least one worker, as local:2")
        return Local(workers)
    if re.fullmatch(r"(tcp|tls)://[^\s/]+:\d+", text):
        return Remote(text)
    if not text.endswith(".toml"):
        raise BenchError(f"--cluster {text}: {_WAYS}")
    return read_toml(text, Slurm, f"no cluster file at {text}: {_WAYS}")
