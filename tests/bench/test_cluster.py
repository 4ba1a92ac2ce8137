"""Runs on Dask workers: the same bytes as on one machine, whatever dies in between."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import bench
from bench.errors import BenchError
from bench.inference.detector import DetectorRequest
from bench.protocol.suite import Suite
from bench.runs.cluster.connect import connected
from bench.runs.cluster.questions import portable
from bench.runs.cluster.spec import Local, Remote, Slurm, parse
from bench.runs.cluster.work import differs
from bench.runs.request import RunRequest, Tls
from bench.support.memory.allocator import WORKER_ENVIRONMENT
from bench.support.progress import Silent

pytest.importorskip("distributed")

MINI = Suite(
    name="mini",
    slices=["generator"],
    conditions=["clean", "noise(sigma=0.1)", "pgd(eps=2/255,steps=3)", "jpeg(quality=50)"],
)
MANY = Suite(
    name="many",
    slices=["generator"],
    conditions=["clean", *(f"jpeg(quality={q})" for q in range(30, 90, 5)), "noise(sigma=0.1)"],
)
FILES = ("leaderboard.csv", "leaderboard.md")

TOYS = '''
import os, signal, sys, time
import torch
from detectors import Detector, DetectorCard, InputSpec

class Toy(Detector):
    card = DetectorCard(name="toy", arch="toy", fake_logit="z", input=InputSpec(size=32, fit="crop"))

    def logits(self, batch):
        means = batch.mean(dim=(2, 3))
        return 40 * (means[:, 0] - means[:, 2])

class Slow(Toy):
    def logits(self, batch):
        time.sleep(0.02)
        return super().logits(batch)

class Killer(Toy):
    """Ends its process, as a crash in a kernel would, on bright batches."""

    def logits(self, batch):
        if batch.mean() > 0.6 and os.environ.get("ON_WORKER"):
            with open(os.environ["ON_WORKER"], "a") as log:
                log.write("child\\n" if "isolation.child" in sys.orig_argv[-1] else "worker\\n")
            os.kill(os.getpid(), signal.SIGKILL)
        return super().logits(batch)

class Crash(Toy):
    def logits(self, batch):
        os.abort()

class Hungry(Toy):
    def logits(self, batch):
        if len(batch) > 8:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().logits(batch)

class Elsewhere(Toy):
    """Other weights on a worker than here."""

    def identity(self):
        return super().identity() + os.environ.get("ON_WORKER", "")
'''


class Workers:
    """A scheduler and its worker processes, started and ended one by one."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen] = []
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0", *options)
        self.address = self._said(self.folder / "scheduler-0.log", "Scheduler at:")

    def add(self, *options: str) -> subprocess.Popen:
        arguments = ["--nthreads", "1", "--no-nanny", "--no-dashboard", *options]
        process = self._start("worker", self.address, *arguments)
        self._said(self.folder / f"worker-{len(self.processes) - 1}.log", "Starting established")
        return process

    def _start(self, what: str, *arguments: str) -> subprocess.Popen:
        log = (self.folder / f"{what}-{len(self.processes)}.log").open("w")
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", what, *arguments],
            stdout=log,
            stderr=log,
            cwd=self.folder,
            env={**os.environ, "ON_WORKER": "yes"},
        )
        self.processes.append(process)
        return process

    def _said(self, log: Path, words: str) -> str:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            for line in log.read_text().splitlines():
                if words in line:
                    return line.split()[-1]
            time.sleep(0.05)
        raise AssertionError(log.read_text())

    def close(self) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    workers = Workers(tmp_path_factory.mktemp("dask"))
    workers.add()
    workers.add()
    yield workers
    workers.close()


@pytest.fixture
def own(tmp_path):
    workers = Workers(tmp_path)
    yield workers
    workers.close()


@pytest.fixture
def toys(tmp_path):
    path = tmp_path / "toys.py"
    path.write_text(TOYS)
    return lambda name: f"{path}:{name}"


def contents(folder):
    return {name: (folder / name).read_bytes() for name in FILES}


def when_stored(store: Path, shards: int, act) -> threading.Thread:
    def watch():
        deadline = time.monotonic() + 100
        while len(list(store.rglob("[!.]*.parquet"))) < shards and time.monotonic() < deadline:
            time.sleep(0.005)
        act()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


@pytest.fixture
def small_chunks(monkeypatch):
    from bench.store import units as plan

    monkeypatch.setattr(plan, "CHUNK_IMAGES", 4)


@pytest.mark.enable_socket
def test_the_same_bytes_as_on_one_machine_and_nothing_scored_twice(
    two, tree, toys, tmp_path, small_chunks
):
    detectors = [toys("Toy"), "genimage-cnn"]
    here = bench.run(detectors, suite=MINI, data=tree, out=tmp_path / "here")
    there = bench.run(detectors, suite=MINI, data=tree, out=tmp_path / "there", cluster=two.address)
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    assert here.counts.scored == there.counts.scored == 48 * 4 * 2
    again = bench.run(detectors, suite=MINI, data=tree, out=tmp_path / "there", cluster=two.address)
    assert (again.counts.decoded, again.counts.scored) == (0, 0)


@pytest.mark.enable_socket
def test_the_embedded_set_and_a_threshold_chosen_first(two, tmp_path):
    options = {"suite": "cross-generator", "limit": 64}
    from bench.protocol.suite import load_suite

    options["suite"] = load_suite("cross-generator").with_threshold("oracle")
    bench.run("genimage-cnn", out=tmp_path / "here", **options)
    bench.run("genimage-cnn", out=tmp_path / "there", cluster=two.address, **options)
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


@pytest.mark.enable_socket
def test_kill_a_worker_in_mid_run_and_the_bytes_are_the_same(
    own, tree, toys, tmp_path, small_chunks
):
    bench.run(toys("Slow"), suite=MANY, data=tree, out=tmp_path / "here")
    first, _ = own.add(), own.add()
    out = tmp_path / "there"
    killer = when_stored(out / "store", 20, lambda: os.kill(first.pid, signal.SIGKILL))
    bench.run(toys("Slow"), suite=MANY, data=tree, out=out, cluster=own.address)
    killer.join()
    assert first.wait() == -signal.SIGKILL
    assert contents(out) == contents(tmp_path / "here")


CLIENT = """
import sys, bench
from bench.store import units as plan
from tests.bench.test_cluster import MANY
plan.CHUNK_IMAGES = 4
bench.run(sys.argv[1], suite=MANY, data=sys.argv[2], out=sys.argv[3], cluster=sys.argv[4])
"""


@pytest.mark.enable_socket
def test_kill_the_client_and_the_same_command_gives_the_same_bytes(
    two, tree, toys, tmp_path, small_chunks
):
    bench.run(toys("Slow"), suite=MANY, data=tree, out=tmp_path / "here")
    out = tmp_path / "there"
    command = [sys.executable, "-c", CLIENT, toys("Slow"), str(tree), str(out), two.address]
    root = Path(__file__).parents[2]
    process = subprocess.Popen(command, cwd=root)
    when_stored(out / "store", 20, process.kill).join()
    assert process.wait() == -signal.SIGKILL
    assert not (out / "leaderboard.csv").exists()
    done = len(list((out / "store").rglob("[!.]*.parquet")))
    run = bench.run(toys("Slow"), suite=MANY, data=tree, out=out, cluster=two.address)
    assert done >= 20
    assert run.counts.scored == 14 * 48 - 4 * done
    assert contents(out) == contents(tmp_path / "here")


@pytest.mark.enable_socket
@pytest.mark.slow
@pytest.mark.timeout(600)  # a worker is started anew after each death
def test_a_unit_that_kills_its_worker_fails_alone_and_the_rest_goes_on(
    tree, toys, tmp_path, monkeypatch
):
    """Bright pictures are what the killer dies of."""
    suite = Suite(name="mini", slices=["generator"], conditions=["clean", "brightness(value=0.3)"])
    log = tmp_path / "deaths.txt"
    monkeypatch.setenv("ON_WORKER", str(log))
    out = tmp_path / "out"
    run = bench.run(
        [toys("Toy"), toys("Killer")], suite=suite, data=tree, out=out, cluster="local:2"
    )
    rows = run.board.rows
    failed = rows[rows["status"] != "ok"]
    assert set(failed["detector"]) == {"Killer"}
    assert {c.split("(")[0] for c in failed["condition"]} == {"brightness"}
    assert failed["reason"].str.contains("its process ended with SIGKILL").all()
    assert len(rows[rows["status"] == "ok"]) == 3 * 2
    # Two threads have four tasks in flight; the rest of the deaths are those of the detector's own processes.
    assert 1 <= log.read_text().split().count("worker") <= 4


@pytest.mark.enable_socket
@pytest.mark.slow
def test_isolated_on_a_cluster_a_crash_leaves_the_workers_alive(two, tree, toys, tmp_path):
    suite = Suite(name="short", slices=["generator"], conditions=["clean"])
    options = {"suite": suite, "data": tree, "audit": False}
    here = bench.run(toys("Toy"), out=tmp_path / "here", **options)
    there = bench.run(
        [toys("Toy"), toys("Crash")], out=tmp_path / "there", isolate=True, cluster=two.address,
        **options,
    )  # fmt: skip
    rows = there.board.rows
    toy = rows[rows["detector"] == "Toy"]
    assert toy.to_csv(index=False) == here.board.rows.to_csv(index=False)
    assert set(rows[rows["detector"] == "Crash"]["status"]) == {"failed"}
    assert rows["reason"].dropna().str.contains("SIGABRT").any()
    assert [process.poll() for process in two.processes] == [None] * 3


@pytest.mark.enable_socket
def test_memory_that_runs_out_on_a_worker_halves_the_batch(two, tree, toys, tmp_path):
    run = bench.run(
        toys("Hungry"), suite=MINI, data=tree, out=tmp_path / "out", cluster=two.address
    )
    here = bench.run(toys("Hungry"), suite=MINI, data=tree, out=tmp_path / "here")
    assert run.board.to_csv() == here.board.to_csv()
    assert '"batch_size": 8' in (tmp_path / "out" / "run.json").read_text()


@pytest.mark.enable_socket
def test_a_worker_that_differs_is_refused_in_one_sentence(two, tree, toys, tmp_path):
    with pytest.raises(BenchError, match=r"another Elsewhere .* on every machine"):
        bench.run(
            toys("Elsewhere"), suite=MINI, data=tree, out=tmp_path / "out", cluster=two.address
        )
    assert not (tmp_path / "out" / "leaderboard.csv").exists()


@pytest.mark.enable_socket
def test_data_that_a_worker_does_not_see_is_told(two, tree, toys, tmp_path, monkeypatch):
    import dataclasses

    from bench.runs.cluster.dispatch import Dispatcher

    told = Dispatcher._context

    def elsewhere(self, prepared):
        return dataclasses.replace(told(self, prepared), root=Path("/no/such/mount"))

    monkeypatch.setattr(Dispatcher, "_context", elsewhere)
    with pytest.raises(BenchError, match="no data at /no/such/mount: mount the same path"):
        bench.run(toys("Toy"), suite=MINI, data=tree, out=tmp_path / "out", cluster=two.address)


def test_files_named_from_here_are_found_from_a_workers_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ("resnet50", "timm/resnet18", "mine.py:Mine", "trained/a.b.safetensors")
    asked = RunRequest(
        detectors=tuple(DetectorRequest(name, Path("w.pth")) for name in names), suite=MINI
    )
    sent = portable(asked)
    assert [d.name for d in sent.detectors] == [
        "resnet50",
        "timm/resnet18",
        f"{tmp_path}/mine.py:Mine",
        f"{tmp_path}/trained/a.b.safetensors",
    ]
    assert {d.weights for d in sent.detectors} == {tmp_path / "w.pth"}
    assert [d.label for d in sent.detectors] == [d.label for d in asked.detectors]


def test_what_differs_between_machines_is_named():
    ours = {"bench": "1", "libraries": {"torch": "2.4", "pillow": "11"}}
    other = {"bench": "1", "libraries": {"torch": "2.5", "pillow": "11"}}
    assert differs(ours, ours) == ""
    assert differs(ours, other) == "libraries torch 2.5 where the run has 2.4"
    assert differs({"bench": "1"}, {"bench": "2"}) == "bench 2 where the run has 1"


@pytest.mark.enable_socket
@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_tls_with_certificates_and_not_without(tree, toys, tmp_path):
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run([*request, *names], check=True, capture_output=True)
    files = ["--tls-ca-file", str(cert), "--tls-cert", str(cert), "--tls-key", str(key)]
    workers = Workers(tmp_path, "--protocol", "tls", *files)
    try:
        workers.add(*files)
        assert workers.address.startswith("tls://")
        options = {"suite": MINI, "data": tree, "cluster": workers.address}
        run = bench.run(toys("Toy"), out=tmp_path / "out", tls=Tls(cert, cert, key), **options)
        assert run.counts.scored == 48 * 4
        with pytest.raises(BenchError, match="check the address and, for tls://, the certificates"):
            bench.run(toys("Toy"), out=tmp_path / "other", **options)
    finally:
        workers.close()


@pytest.mark.enable_socket
def test_nobody_at_the_address_is_one_sentence(tree, toys, tmp_path, monkeypatch):
    import distributed

    real = distributed.Client
    monkeypatch.setattr(
        distributed, "Client", lambda to, **options: real(to, **{**options, "timeout": 1})
    )
    with pytest.raises(BenchError, match=r"no Dask scheduler answers at tcp://127.0.0.1:9"):
        bench.run(
            toys("Toy"), suite=MINI, data=tree, out=tmp_path / "out", cluster="tcp://127.0.0.1:9"
        )


def test_what_cluster_may_say():
    assert parse("local:3") == Local(3)
    assert parse("tls://host:8786") == Remote("tls://host:8786")
    for wrong in ("local:0", "local", "http://host:1", "tcp://host", "dask"):
        with pytest.raises(BenchError, match="local:"):
            parse(wrong)
    with pytest.raises(BenchError, match=r"no cluster file at nowhere\.toml"):
        parse("nowhere.toml")


def test_a_slurm_file_is_validated_by_key(tmp_path):
    path = tmp_path / "slurm.toml"
    path.write_text('jobs = 8\nqueue = "gpu"\nwalltime = "1-02:00:00"\ngpus = 1\n')
    read = parse(str(path))
    assert isinstance(read, Slurm)
    assert (read.jobs, read.gpus, read.seconds) == (8, 1, 26 * 3600)
    for line, key in (("job = 8", "job"), ("jobs = 0", "jobs"), ("jobs = 1\nwalltime = '5h'", "walltime"),
                      ("jobs = 1\nmemory = 'much'", "memory"), ("jobs = 1\nqeue = 'a'", "qeue")):  # fmt: skip
        path.write_text(line + "\n")
        with pytest.raises(BenchError, match=f"slurm.toml: {key}: "):
            parse(str(path))


def test_a_tls_file_that_is_not_there_is_told(tree, toys, tmp_path):
    with pytest.raises(BenchError, match=r"no TLS file at .*ca.pem"):
        bench.run(
            toys("Toy"), suite=MINI, data=tree, out=tmp_path / "out",
            cluster="tls://127.0.0.1:9", tls=Tls(ca=tmp_path / "ca.pem"),
        )  # fmt: skip


SBATCH = """#!{python}
# Stands in for SLURM: runs the job's script on this machine and says a job number.
import pathlib, subprocess, sys
text = pathlib.Path(sys.argv[-1]).read_text()
pathlib.Path({folder!r}, "job.sh").write_text(text)
log = open(pathlib.Path({folder!r}, "job.log"), "w")
job = subprocess.Popen(["bash", pathlib.Path({folder!r}, "job.sh")], stdout=log, stderr=log,
                       start_new_session=True)
pathlib.Path({folder!r}, "pid").write_text(str(job.pid))
print("Submitted batch job", job.pid)
"""


@pytest.mark.enable_socket
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_jobs_of_slurm_score_the_same_bytes(tree, toys, tmp_path, monkeypatch):
    handler = signal.getsignal(signal.SIGINT)
    pytest.importorskip("dask_jobqueue")
    signal.signal(signal.SIGINT, handler)  # imported, it takes Ctrl-C for itself
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, text in (
        ("sbatch", SBATCH.format(python=sys.executable, folder=str(tmp_path))),
        ("scancel", f"#!/bin/sh\nkill -- -$(cat {tmp_path}/pid)\n"),
    ):
        (tools / name).write_text(text)
        (tools / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    path = tmp_path / "slurm.toml"
    path.write_text(
        'jobs = 1\nqueue = "short"\ncores = 3\nmemory = "2GB"\ninterface = "lo"\n'
        f'directives = ["--exclusive"]\nprologue = ["export ON_WORKER=yes"]\n'
        f'log_directory = "{tmp_path}"\nlocal_directory = "{tmp_path}"\n'
    )
    bench.run(toys("Toy"), suite=MINI, data=tree, out=tmp_path / "here")
    for name in [name for name in sys.modules if name.startswith("dask_jobqueue")]:
        monkeypatch.delitem(sys.modules, name)  # so that it is imported, and takes it, in the run
    bench.run(toys("Toy"), suite=MINI, data=tree, out=tmp_path / "there", cluster=str(path))
    assert signal.getsignal(signal.SIGINT) is handler
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    script = (tmp_path / "job.sh").read_text()
    for line in (
        "#SBATCH -p short",
        "#SBATCH --cpus-per-task=3",
        "#SBATCH --exclusive",
        "--nthreads 1",
        *(f"export {name}={value}" for name, value in WORKER_ENVIRONMENT.items()),
    ):
        assert line in script


@pytest.mark.enable_socket
@pytest.mark.timeout(300)
def test_a_local_worker_that_takes_long_to_start_anew_is_waited_for():
    """Dask gives it up after ``lost-worker-timeout``, for good: here before any process can start."""
    import dask

    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "0.1s"}),
        connected(Local(1), Tls(), Silent()) as session,
    ):
        (first,) = session.client.run(os.getpid).values()
        os.kill(first, signal.SIGKILL)
        end = time.monotonic() + 120
        while (
            first in (now := session.client.run(os.getpid, on_error="ignore").values()) or not now
        ):
            assert time.monotonic() < end, "no worker has come back"
            time.sleep(0.2)
        assert len(now) == 1
