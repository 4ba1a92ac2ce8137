"""A small run is mostly its start: what it does not use is not imported, cycles are not looked for."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref

import pytest

from bench.support.memory.collector import seldom, started

# Seconds each; some are extras, and a run needs none of them.
UNUSED = (
    "lightning", "pytorch_lightning", "dask", "distributed", "matplotlib", "sklearn", "scipy.stats", "cv2",
    "timm", "torchvision", "sympy", "transformers", "onnxruntime", "jinja2", "bokeh", "torch._dynamo",
    "scipy.optimize", "scipy.sparse.csgraph", "torch.utils.flop_counter", "triton",
)  # fmt: skip

RUN = """
import sys
from bench.cli.main import main
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
print(*sorted(set({unused!r}) & set(sys.modules)), file=sys.stderr)
"""


def test_a_run_imports_nothing_that_it_does_not_use(tree, tmp_path):
    suite = tmp_path / "mini.toml"
    suite.write_text(
        'name = "mini"\ndescription = "."\nslices = ["generator"]\n'
        'conditions = ["clean", "jpeg(quality=50)", "resize(scale=0.5)", "noise(sigma=0.1)"]\n'
    )
    run = ["run", "-d", "genimage-cnn", "-s", str(suite), "--data", str(tree), "--no-audit", "-q"]
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(unused=UNUSED), *run, "-o", "out"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "", f"imported: {done.stderr.splitlines()[-1]}"
    assert done.stdout


@pytest.fixture
def looks():
    """The generations that were looked through for cycles, as they come."""
    found, usual = [], gc.get_threshold()

    def note(phase, info):
        if phase == "start":
            found.append(info["generation"])

    gc.callbacks.append(note)
    gc.set_threshold(100, 10, 10)
    yield found
    gc.callbacks.remove(note)
    gc.set_threshold(*usual)


class _Circle:
    def __init__(self):
        self.itself = self


def test_cycles_are_looked_for_seldom_while_a_command_starts_and_as_ever_afterwards(looks):
    with seldom(lasting=True), seldom(lasting=True):
        looks.clear()
        kept = [[] for _ in range(50_000)]
        during = len(looks)
        threshold = gc.get_threshold()
    assert during == 0
    assert threshold[0] > 50_000
    assert gc.get_threshold() == (100, 10, 10)
    assert gc.get_freeze_count() == 0
    # What was made meanwhile is not looked through at once: it is old already.
    looks.clear()
    kept += [[] for _ in range(90)]
    assert looks == []
    circle = weakref.ref(_Circle())
    kept += [[] for _ in range(500)]
    assert looks
    assert circle() is None


def test_garbage_of_a_process_that_goes_on_is_found():
    with seldom():
        circle = weakref.ref(_Circle())
    assert circle() is not None
    for _ in range(2):  # a young collection, as many new objects bring about
        gc.collect(0)
    assert circle() is None


def test_threads_that_start_at_once_leave_the_usual_thresholds(looks):
    first, second = seldom(), seldom()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert gc.get_threshold()[0] > 100
    second.__exit__(None, None, None)
    assert gc.get_threshold() == (100, 10, 10)


def test_a_collector_that_is_switched_off_stays_so(looks):
    gc.set_threshold(0)
    with seldom():
        assert gc.get_threshold()[0] == 0
    assert gc.get_threshold()[0] == 0


def test_what_a_process_started_with_is_looked_at_again_after_its_work():
    circle = weakref.ref(_Circle())
    with started():
        with seldom():
            pass
        gc.collect()
        assert circle() is not None  # made before, so not among what is looked through
        later = weakref.ref(_Circle())
        gc.collect()
        assert later() is None
    assert gc.get_freeze_count() == 0
    gc.collect()
    assert circle() is None
