"""Opening and closing a cluster; the only file that knows how Dask starts its workers."""

from __future__ import annotations

import logging
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.runs.cluster.spec import SHARED_BY, Local, Remote, Slurm, Where
from bench.runs.request import Tls
from bench.support.files import writable
from bench.support.memory.allocator import WORKER_ENVIRONMENT
from bench.support.progress import Progress
from detectors.global_state import kept_environment

# A worker that hands its work over so long before SLURM ends the job loses nothing.
_GRACE_S = 300
# Deaths of workers that a task may be present at before the client hears of it: it tries again with care.
_ALLOWED_FAILURES = 0

# Seconds that a run waits while no worker is there; for SLURM's jobs its file says how long.
_PATIENCE_S = 600.0


@dataclass(frozen=True, slots=True)
class Session:
    """A client of a cluster.

    Attributes:
        client: Dask's client, connected to the scheduler.
        patience_s: Seconds to wait while no worker is there.
    """

    client: Any
    patience_s: float

    def workers(self) -> dict[str, int]:
        """Count the threads of each worker, by its address.

        Raises:
            BenchError: If the scheduler is gone.
        """
        try:
            return dict(self.client.nthreads())
        except (OSError, RuntimeError, TimeoutError) as error:
            raise BenchError(
                f"the Dask scheduler is gone ({type(error).__name__}): what was scored is kept, run the "
                "same command again to go on"
            ) from error

    def tell(self, job: Callable[[], None]) -> None:
        """Have every worker that can be reached do something at once, whatever else it is at."""
        with suppress(Exception):  # a run that ends has an error of its own, or its result
            self.client.run(job, on_error="ignore")


@contextmanager
def connected(where: Where, tls: Tls, progress: Progress) -> Iterator[Session]:
    """Open a session that has at least one worker; a cluster started here ends with it.

    Raises:
        BenchError: The extra is missing, nobody answers, or no worker comes.
    """
    check_here(where)
    dask, distributed = _dask()
    settings = {
        "distributed.scheduler.allowed-failures": _ALLOWED_FAILURES,
        # Only what runs can be blamed for a death: nothing waits on a worker behind another task.
        "distributed.scheduler.worker-saturation": 1.0,
        # Dask's own is a small threshold for trimming, under which every tensor is mapped and unmapped.
        **{f"distributed.nanny.pre-spawn-environ.{k}": v for k, v in WORKER_ENVIRONMENT.items()},
    }
    if isinstance(where, Local):
        settings[f"distributed.nanny.pre-spawn-environ.{SHARED_BY}"] = str(where.workers)
        # Dask gives a worker that died up after 15 seconds, for good; on a busy machine its process needs
        # longer to start anew, and a run whose workers have all died would wait for nobody.
        settings["distributed.deploy.lost-worker-timeout"] = f"{_PATIENCE_S:g}s"
    # Dask sets its workers' variables, threads and allocator among them, in this process too.
    with kept_environment(), dask.config.set(settings), ExitStack() as stack:
        session = _open(where, tls, stack, distributed)
        _wait(session, where, progress)
        workers = session.workers()
        progress.note(
            f"cluster: {len(workers)} workers, {sum(workers.values())} threads; dashboard "
            f"{session.client.dashboard_link or 'off'}"
        )
        if not isinstance(where, Remote):
            environment = ", ".join(f"{name}={value}" for name, value in WORKER_ENVIRONMENT.items())
            progress.note(f"workers run with {environment}")
        yield session


def _dask() -> tuple[Any, Any]:
    try:
        import dask  # noqa: PLC0415  (an extra, and slow to import)
        import distributed  # noqa: PLC0415
    except ImportError:
        raise BenchError("--cluster needs Dask: pip install 'detector-bench[cluster]'") from None
    return dask, distributed


def check_here(where: Where) -> None:
    """Refuse at once what cannot work on this machine.

    Raises:
        BenchError: SLURM is asked for where there is no SLURM.
    """
    if isinstance(where, Slurm) and shutil.which("sbatch") is None:
        raise BenchError(
            "--cluster with a SLURM file submits jobs by `sbatch`, and there is none on this machine: run it "
            "on a login node, or use local:N"
        )


def _open(where: Where, tls: Tls, stack: ExitStack, distributed: Any) -> Session:
    security = _security(tls, distributed)
    if isinstance(where, Remote):
        return Session(_client(distributed, where.address, security, stack), _PATIENCE_S)
    if isinstance(where, Slurm):
        cluster = stack.enter_context(_slurm(where, security))
        # Adapting between equal bounds replaces the jobs that end; scaling alone does not.
        cluster.adapt(minimum_jobs=where.jobs, maximum_jobs=where.jobs)
        return Session(_client(distributed, cluster, security, stack), where.wait_minutes * 60)
    cluster = stack.enter_context(_local(where, security, distributed))
    return Session(_client(distributed, cluster, security, stack), _PATIENCE_S)


def _security(tls: Tls, distributed: Any) -> Any:
    for path in (tls.ca, tls.cert, tls.key):
        if path is not None and not path.is_file():
            raise BenchError(f"no TLS file at {path}: check the path")
    if not tls.options:
        return None
    worker = {f"tls_{kind}_{part}": str(path) for kind in ("worker", "scheduler")
              for part, path in (("cert", tls.cert), ("key", tls.key)) if path}  # fmt: skip
    return distributed.Security(require_encryption=True, **tls.options, **worker)


def _client(distributed: Any, to: Any, security: Any, stack: ExitStack) -> Any:
    try:
        client = distributed.Client(to, security=security, timeout=60)
    except (OSError, TimeoutError, ValueError, TypeError, RuntimeError) as error:
        name = to if isinstance(to, str) else "the cluster"
        text = " ".join(str(error).split())[:200]
        raise BenchError(
            f"no Dask scheduler answers at {name} ({type(error).__name__}: {text}): check the address "
            "and, for tls://, the certificates"
        ) from error
    return stack.enter_context(client)


def _local(where: Local, security: Any, distributed: Any) -> Any:
    options: dict[str, Any] = {
        "n_workers": where.workers,
        "threads_per_worker": 1,
        "memory_limit": 0,  # chunks are bounded; a restart in mid-chunk would only repeat it
        "silence_logs": logging.CRITICAL,
        "dashboard_address": "127.0.0.1:0",
        "host": "127.0.0.1",
        "security": security,
        "protocol": "tls" if security is not None else "tcp",
    }
    if cuda := _cuda_cluster():
        return cuda(**options)
    return distributed.LocalCluster(processes=True, **options)


def _cuda_cluster() -> Any:
    """Look up dask-cuda's cluster class, one GPU a worker; None without GPUs or without dask-cuda."""
    import torch  # noqa: PLC0415

    if not torch.cuda.is_available():
        return None
    try:
        from dask_cuda import LocalCUDACluster  # noqa: PLC0415
    except ImportError:
        return None
    return LocalCUDACluster


@contextmanager
def _same_ctrl_c() -> Iterator[None]:
    """Keep who takes Ctrl-C: dask-jobqueue, imported, makes it a silent end with exit code 0."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if before is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


def _slurm(where: Slurm, security: Any) -> Any:
    try:
        with _same_ctrl_c():
            from dask_jobqueue import slurm  # noqa: PLC0415
    except ImportError:
        raise BenchError(
            "SLURM needs dask-jobqueue: pip install 'detector-bench[cluster]'"
        ) from None
    temporary = security is None
    security = security or _temporary()
    directives = [*([f"--gres=gpu:{where.gpus}"] if where.gpus else []), *where.directives]
    extra = []
    if where.seconds > 2 * _GRACE_S:
        left = where.seconds - _GRACE_S
        extra = ["--lifetime", f"{left}s", "--lifetime-stagger", f"{min(120, left // 10)}s"]
    cluster: Any = slurm.SLURMCluster
    return cluster(
        queue=where.queue,
        account=where.account,
        walltime=where.walltime,
        # One task at a time a worker; the job's further cores decode for it.
        cores=1,
        job_cpu=where.cores,
        processes=1,
        memory=where.memory,
        interface=where.interface,
        python=where.python or sys.executable,
        # Last word to the user's own lines.
        job_script_prologue=[
            *(f"export {name}={value}" for name, value in WORKER_ENVIRONMENT.items()),
            *where.prologue,
        ],
        job_extra_directives=directives,
        local_directory=where.local_directory,
        log_directory=where.log_directory,
        worker_extra_args=extra,
        # The scheduler runs whatever it is sent: only who holds the run's certificate may send anything.
        scheduler_options={"dashboard_address": "127.0.0.1:0"},
        silence_logs=logging.CRITICAL,
        security=security,
        protocol="tls://",
        # Certificates made for this run alone reach the workers as files that only this user can read.
        shared_temp_directory=str(_shared_folder(where)) if temporary else None,
    )


def _temporary() -> Any:
    """Make a certificate for this run alone.

    Raises:
        BenchError: Neither `cryptography` nor `openssl` is here to make one.
    """
    from distributed import Security  # noqa: PLC0415

    make: Any = Security.temporary
    try:
        return make()
    except ImportError:
        pem = _by_openssl()
    roles = ("client", "scheduler", "worker")
    files = {f"tls_{role}_{part}": pem for role in roles for part in ("cert", "key")}
    security: Any = Security
    return security(require_encryption=True, tls_ca_file=pem, **files)


def _by_openssl() -> str:
    """Make a key and a certificate of its own, as one PEM text."""
    program = shutil.which("openssl")
    if program is None:
        raise BenchError(
            "SLURM's workers are reached by TLS, and there is nothing to make a certificate with: pip "
            "install 'detector-bench[cluster]', or give --tls-ca, --tls-cert and --tls-key"
        )
    request = "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=bench -keyout - -out -"
    made = subprocess.run(  # noqa: S603  (no word of it is a user's)
        [program, *request.split()], capture_output=True, text=True, check=False
    )
    if made.returncode or "BEGIN CERTIFICATE" not in made.stdout:
        raise BenchError(
            "openssl makes no certificate for SLURM's workers: give --tls-ca, --tls-cert and --tls-key"
        )
    return made.stdout


def _shared_folder(where: Slurm) -> Path:
    """Give a folder of this user's alone, shared by the machines, for the run's certificate."""
    folder = Path(where.log_directory or Path.cwd()) / ".bench-tls"
    with writable(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    return folder


def _wait(session: Session, where: Where, progress: Progress) -> None:
    count = where.workers if isinstance(where, Local) else 1
    if isinstance(where, Slurm):
        progress.note(f"SLURM: {where.jobs} jobs submitted, waiting for the first worker")
    try:
        session.client.wait_for_workers(count, timeout=session.patience_s)
    except TimeoutError:
        log = f"; see {where.log_directory or Path.cwd()}" if isinstance(where, Slurm) else ""
        raise BenchError(
            f"no Dask worker came within {session.patience_s / 60:g} minutes: start workers for the "
            f"scheduler{log}"
        ) from None
