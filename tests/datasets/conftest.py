"""Miniature data sets of tiny real images, made anew by each test."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.datasets import Manifest, index
from bench.datasets.indexing import reader as reading

Encode = Callable[..., bytes]
Lay = Callable[..., Path]
Index = Callable[..., Manifest]


def _pixels(seed: int, size: tuple[int, int]) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)


@pytest.fixture
def encode() -> Encode:
    """encode("PNG", seed=0, size=(w, h), **save options) -> the bytes of a small noise image."""

    def make(fmt: str = "PNG", seed: int = 0, size: tuple[int, int] = (8, 6), **save: Any) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(_pixels(seed, size)).save(buffer, fmt, **save)
        return buffer.getvalue()

    return make


@pytest.fixture
def lay(tmp_path: Path, encode: Encode) -> Lay:
    """lay([paths] or {path: bytes}) -> a folder with them; images differ and fit their suffix."""
    counter = 0

    def make(
        files: Sequence[str] | Mapping[str, bytes],
        root: str = "data",
        size: tuple[int, int] = (8, 6),
    ) -> Path:
        nonlocal counter
        formats = {".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
        top = tmp_path / root
        top.mkdir(parents=True, exist_ok=True)
        for name in files:
            path = top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            counter += 1
            fmt = formats.get(path.suffix.lower(), "PNG")
            made = encode(fmt, counter, size) if not isinstance(files, Mapping) else files[name]
            path.write_bytes(made)
        return top

    return make


@pytest.fixture
def read(tmp_path: Path) -> Index:
    """`index` with a cache of the test's own."""

    def run(path: Path, layout: str = "auto", **options: Any) -> Manifest:
        options.setdefault("cache_dir", tmp_path / "cache")
        return index(path, layout, **options)

    return run


@pytest.fixture
def facts() -> Callable[[Manifest], dict[str, tuple[int, str, str, str]]]:
    """facts(manifest) -> {sample_id: (label, generator or real source, domain, split)}."""

    def tell(manifest: Manifest) -> dict[str, tuple[int, str, str, str]]:
        return {r.sample_id: (r.label, r.generator, r.domain, r.split) for r in manifest.records()}

    return tell


@pytest.fixture(autouse=True)
def _own_default_cache(_own_cache: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test touches the user's cache, even where it names no cache folder."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "default-cache"))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The locators that indexing reads from here on."""
    seen: list[str] = []
    original = reading.Reader.read

    def spy(self: reading.Reader, locator: str) -> Any:
        seen.append(locator)
        return original(self, locator)

    monkeypatch.setattr(reading.Reader, "read", spy)
    return seen
