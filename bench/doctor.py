"""A check of this installation: packages, libraries, devices, embedded data, cache."""

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
from corruptions.jpeg import SUBSAMPLINGS, equals_pillow

# Names as common as these exist elsewhere; a stray folder or another distribution may hide ours.
PACKAGES = ("bench", "detectors", "attacks", "corruptions", "leaderboards")


@dataclass(slots=True)
class Diagnosis:
    """Facts and problems of an installation.

    Attributes:
        facts: Name of a fact to its value, for printing.
        problems: One sentence each, with the way out; empty where all is well.
    """

    facts: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def diagnose() -> Diagnosis:
    """Look at packages, libraries, devices, embedded data and the cache."""
    diagnosis = Diagnosis()
    _check_packages(diagnosis)
    _check_libraries(diagnosis)
    _list_devices(diagnosis)
    _check_embedded_data(diagnosis)
    _check_cache(diagnosis)
    return diagnosis


def _check_packages(diagnosis: Diagnosis) -> None:
    home = Path(__file__).resolve().parent.parent
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        origin = Path(spec.origin).resolve() if spec and spec.origin else None
        diagnosis.facts[f"package {name}"] = str(origin.parent) if origin else "missing"
        if origin is None or origin.parent.parent != home:
            diagnosis.problems.append(
                f"package {name!r} comes from {origin or 'nowhere'}, not from this installation "
                f"({home}): another folder or distribution of that name hides it; install bench into "
                "an environment of its own, or leave the folder that holds it"
            )


def _check_libraries(diagnosis: Diagnosis) -> None:
    versions = provenance.versions()
    diagnosis.facts |= versions
    diagnosis.problems += [
        f"{name} is not installed: pip install detector-bench"
        for name, version in versions.items()
        if version == "absent"
    ]
    diagnosis.facts["codecs"] = ", ".join(f"{k} {v}" for k, v in codec_versions().items())
    same = all(equals_pillow(75, subsampling) for subsampling in SUBSAMPLINGS)
    diagnosis.facts["jpeg of small images"] = (
        "in batches, with this libjpeg's bits"
        if same
        else "one by one: this libjpeg rounds otherwise"
    )


def _list_devices(diagnosis: Diagnosis) -> None:
    import torch  # noqa: PLC0415  (3 s: only when asked)

    diagnosis.facts["python executable"] = sys.executable
    diagnosis.facts["cpu"] = (
        f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads"
    )
    count = torch.cuda.device_count()
    diagnosis.facts["cuda devices"] = (
        ", ".join(torch.cuda.get_device_name(i) for i in range(count)) if count else "none"
    )


def _check_embedded_data(diagnosis: Diagnosis) -> None:
    files = sorted(pocket_root().glob("*.parquet"))
    diagnosis.facts["embedded data"] = f"{len(files)} files in {pocket_root()}"
    if not files:
        diagnosis.problems.append("the embedded data set is missing: install bench again")


def _check_cache(diagnosis: Diagnosis) -> None:
    cache = default_cache_dir()
    diagnosis.facts["cache"] = str(cache)
    try:
        ensure_writable(cache)
    except OutputError as error:
        diagnosis.facts["cache"] += f" (not used: {error})"
