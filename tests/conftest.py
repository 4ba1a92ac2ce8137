"""Small real files every test can make: image trees, a detector whose logit is known in closed form."""

from __future__ import annotations

import signal
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image

from bench.inference.device import quiet_numerics
from tests.global_state import own_modules, unchanged

sys.dont_write_bytecode = True

# The same examples every time, and no deadline: a busy machine is no failure.
settings.register_profile("bench", deadline=None, derandomize=True, database=None)
settings.load_profile("bench")


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """One thread of torch's in this process: quick on small nets, and the same bits on any machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True, scope="session")
def repeatable_device() -> None:
    """Set a GPU, where there is one, to repeat itself, as every run does: no test is the first to do so."""
    if torch.cuda.is_available():
        quiet_numerics(torch.device("cuda"))


@pytest.fixture(autouse=True, scope="module")
def _module_leaves_no_state(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fixtures and tests of a whole module leave the process as it was, our modules in it too."""
    with unchanged(request.node.nodeid, own_modules()):
        yield


@pytest.fixture(autouse=True)
def _test_leaves_no_state(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test leaves the process as it was: what leaks moves the numbers of tests far behind it."""
    with unchanged(request.node.nodeid):
        yield


@pytest.fixture(autouse=True)
def _own_cache(
    _test_leaves_no_state: None,  # before monkeypatch, so that it looks once that has undone all
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No test reads or writes the user's cache or settings, or sees whether it runs in CI."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("COLUMNS", "110")
    for name in ("CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def ctrl_c() -> Iterator[Callable[[object], object]]:
    """Set who takes Ctrl-C for one test, whatever this process was started with."""
    before = signal.getsignal(signal.SIGINT)
    yield lambda handler: signal.signal(signal.SIGINT, handler)
    signal.signal(signal.SIGINT, before)


def picture(seed: int, *, fake: bool, size: tuple[int, int] = (40, 48)) -> np.ndarray:
    """A noisy (H, W, 3) uint8 picture; fakes are redder than reals by some 12 levels."""
    rng = np.random.default_rng([seed, fake])
    ramp = np.linspace(60, 160, size[1])[None, :, None]
    image = ramp + rng.normal(0, 25, (*size, 3)) + rng.normal(0, 3, 3)
    image[..., 0] += 6 if fake else -6
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two generators with 12 real and 12 fake PNGs each: ``<gen>/{real,fake}``."""
    root = tmp_path / "images"
    for g, name in enumerate(("alpha", "beta")):
        for i in range(12):
            for kind in ("real", "fake"):
                path = root / name / kind / f"{i:02d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture(100 * g + i, fake=kind == "fake")).save(path)
    return root


@pytest.fixture
def bucket() -> Iterator[Callable[[Path], str]]:
    """bucket(path) -> the URL of a copy of a file or folder in a store in memory."""
    from fsspec.implementations.memory import MemoryFileSystem

    def copy(path: Path) -> str:
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        for file in files:
            name = file.relative_to(path.parent).as_posix()
            MemoryFileSystem().pipe_file(f"/bucket/{name}", file.read_bytes())
        return f"memory://bucket/{path.name}"

    yield copy
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


TOY = '''
import torch
from detectors import Detector, DetectorCard, InputSpec, TrainingData

class Toy(Detector):
    """Logit = 40 * (mean red - mean blue): linear, so every attack has an exact answer."""

    card = DetectorCard(
        name="toy", arch="toy", fake_logit="z",
        input=InputSpec(size=32, fit="crop"),
        training_data=TrainingData(dataset="toy", generators=("alpha",)),
    )

    def logits(self, batch):
        means = batch.mean(dim=(2, 3))
        return 40 * (means[:, 0] - means[:, 2])

class Wrong(Toy):
    def logits(self, batch):
        return batch.mean(dim=(2, 3))

class Rounds(Toy):
    def logits(self, batch):
        return super().logits(torch.round(batch * 255) / 255)

class Hungry(Toy):
    def logits(self, batch):
        if len(batch) > 8:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().logits(batch)

class Raises(Toy):
    def logits(self, batch):
        raise KeyError("no such layer")

class NoCard(Detector):
    def logits(self, batch):
        return batch.mean(dim=(1, 2, 3))
'''


@pytest.fixture
def toy(tmp_path: Path) -> Callable[[str], str]:
    """``path/to/toy.py:Name`` of a detector class written for the test."""
    path = tmp_path / "toy.py"
    path.write_text(textwrap.dedent(TOY))
    return lambda name="Toy": f"{path}:{name}"
