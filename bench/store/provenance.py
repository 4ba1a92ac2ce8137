"""Where a number comes from: versions, codecs, device, code state. Recorded, and hashed into fingerprints."""

from __future__ import annotations

import functools
import hashlib
import json
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.datasets.policy import codec_versions
from bench.errors import BenchError
from bench.version import __version__
from detectors.identity.source_code import SourceUnknownError, code_digest

if TYPE_CHECKING:
    from bench.protocol.condition import Condition

# Distributions whose release can change a score.
SCORING = ("torch", "torchvision", "timm", "torchattacks", "numpy", "scipy", "pillow")
# ... and those recorded beside it for whoever has to rebuild the environment.
RECORDED = (
    *SCORING,
    "pandas",
    "pyarrow",
    "scikit-learn",
    "scikit-image",
    "safetensors",
    "pydantic",
)
BUNDLED = ("attacks", "corruptions")
# Raised by hand when the engine's arithmetic changes: old shards then no longer count as done.
SCORING_PROTOCOL = 4


def versions() -> dict[str, str]:
    """Look up the releases of Python, bench and every recorded distribution; ``absent`` where missing."""
    ours = {"bench": __version__, "python": platform.python_version()}
    return ours | {name: _version(name) for name in RECORDED}


def scoring_environment(device: str, arithmetic: Mapping[str, Any]) -> dict[str, Any]:
    """Describe everything about the installation that can change a score, for every fingerprint.

    Args:
        device: Model of the GPU, or the CPU's vector instructions.
        arithmetic: What of the run's numerics can change a bit.
    """
    return {
        "protocol": SCORING_PROTOCOL,
        "bench": __version__,
        "libraries": {name: _version(name) for name in SCORING},
        "codecs": codec_versions(),
        "device": device,
        "machine": platform.machine(),
        **arithmetic,
    }


def git_state() -> dict[str, Any]:
    """Read commit and dirty flag of the checkout bench runs from; empty where it is not a checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return {}
    commit, status = (
        _git(root, *args) for args in (("rev-parse", "HEAD"), ("status", "--porcelain"))
    )
    return {} if commit is None else {"commit": commit, "dirty": bool(status)}


def fingerprint(payload: Any) -> str:
    """Digest a JSON-able value in canonical form: its sha256, 64 hex digits."""
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def source_digest(plugin: object) -> str:
    """Digest the code of an attack or corruption: its own module and what that imports of its own.

    Raises:
        BenchError: The code cannot be followed, so that nobody could tell whether it has changed.
    """
    return _class_digest(type(plugin))  # type: ignore[arg-type]  # classes are hashable


def file_digests(condition: Condition) -> list[str]:
    """Digest the files that a condition's steps name in their ``files``, in the order of the chain.

    Raises:
        BenchError: One of them is not there, or cannot be read.
    """
    try:
        return [
            hashlib.sha256(Path(path).read_bytes()).hexdigest()
            for step in condition.chain
            for path in getattr(step.plugin, "files", ())
        ]
    except (OSError, ValueError) as error:
        raise BenchError(f"condition {str(condition)!r}: {error}") from error


@functools.cache
def _class_digest(cls: type[Any]) -> str:
    bundled = cls.__module__.partition(".")[0] in BUNDLED
    # Releases that stand in the scoring environment already; our own use of OpenCV changes no pixel.
    releases = ("torch", "torchvision", "timm", "torchattacks", "numpy", "scipy", "PIL")
    try:
        return code_digest(cls.__mro__[:-1], stop_at=(*releases, "cv2") if bundled else releases)
    except SourceUnknownError as error:
        raise BenchError(f"plug-in {getattr(cls, 'name', cls.__name__)!r}: {error}") from error


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def _git(root: Path, *args: str) -> str | None:
    try:
        process = subprocess.run(  # noqa: S603  (fixed arguments, no shell)
            ["git", "-C", str(root), *args],  # noqa: S607  (whichever git the user has)
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return process.stdout.strip()
