"""Whether this installation is what it should be."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass, field
from pathlib import Path

from bench.datasets import default_cache_dir, pocket_root
from bench.datasets.policy import codec_versions
from bench.errors import OutputError
from bench.store import provenance
from bench.support.files import ensure_writable

# Names as common as these exist elsewhere; a stray folder or another distribution may hide ours.
PACKAGES = ("bench", "detectors", "attacks", "corruptions", "leaderboards")


@dataclass(slots=True)
class Diagnosis:
    """What was found.

    Attributes:
        facts: Name to value, for printing.
        problems: One sentence each, with the way out; empty where all is well.
    """

    facts: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def diagnose() -> Diagnosis:
    """Look at packages, libraries, devices, embedded data and the cache."""
    found = Diagnosis()
    _packages(found)
    found.facts |= provenance.versions()
    found.problems += [
        f"{name} is not installed: pip install detector-bench"
        for name, version in found.facts.items()
        if version == "absent"
    ]
    found.facts["codecs"] = ", ".join(f"{k} {v}" for k, v in codec_versions().items())
    _devices(found)
    _data(found)
    return found


def _packages(found: Diagnosis) -> None:
    home = Path(__file__).resolve().parent.parent
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        origin = Path(spec.origin).resolve() if spec and spec.origin else None
        found.facts[f"package {name}"] = str(origin.parent) if origin else "missing"
        if origin is None or origin.parent.parent != home:
            found.problems.append(
                f"package {name!r} comes from {origin or 'nowhere'}, not from this installation "
                f"({home}): another folder or distribution of that name hides it; install bench into "
                "an environment of its own, or leave the folder that holds it"
            )


def _devices(found: Diagnosis) -> None:
    import torch  # noqa: PLC0415  (3 s: only when asked)

    found.facts["python executable"] = sys.executable
    found.facts["cpu"] = (
        f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads"
    )
    count = torch.cuda.device_count()
    found.facts["cuda devices"] = (
        ", ".join(torch.cuda.get_device_name(i) for i in range(count)) if count else "none"
    )


def _data(found: Diagnosis) -> None:
    files = sorted(pocket_root().glob("*.parquet"))
    found.facts["embedded data"] = f"{len(files)} files in {pocket_root()}"
    if not files:
        found.problems.append("the embedded data set is missing: install bench again")
    cache = default_cache_dir()
    found.facts["cache"] = str(cache)
    try:
        ensure_writable(cache)
    except OutputError as error:
        found.facts["cache"] += f" (not used: {error})"
