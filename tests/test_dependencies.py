"""What is installed agrees with itself and with what is asked for."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
# Made for other ends than running bench: building the embedded set, and fuzzing.
APART = {"pocket", "fuzz"}
OURS = "detector-bench"


def lowest():
    """The function of the script that CI's check of lowest versions uses."""
    path = ROOT / ".ci" / "lowest_versions.py"
    spec = importlib.util.spec_from_file_location("lowest_versions", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.lowest


def needed(name, extras, found):
    """All installed distributions that one needs."""
    for text in requires(name) or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker and not any(marker.evaluate({"extra": extra}) for extra in extras or [""]):
            continue
        key = canonicalize_name(requirement.name)
        if key == OURS or key in found:
            continue
        found.add(key)
        try:
            needed(requirement.name, sorted(requirement.extras), found)
        except PackageNotFoundError:  # an extra that is not installed here
            found.discard(key)
    return found


def test_pip_check_is_clean_with_every_extra_that_is_installed():
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = sorted(project["optional-dependencies"].keys() - APART)
    try:
        names = needed(OURS, extras, set())
    except PackageNotFoundError:
        pytest.skip("bench is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False
    )
    if "No module named pip" in done.stderr:
        pytest.skip("no pip here")
    ours = [
        line
        for line in done.stdout.splitlines()
        if canonicalize_name(line.split(" ")[0]) in names | {OURS}
    ]
    assert not ours, "\n".join(ours)
    assert done.returncode == 0 or done.stdout.strip()


def test_each_dependency_has_a_lowest_version_that_can_be_tested(tmp_path):
    bounds = lowest()(ROOT / "pyproject.toml")
    assert {"torch", "pyarrow", "pillow"} <= bounds.keys()
    assert all(re.fullmatch(r"\d+(\.\d+)*", version) for version in bounds.values())
    open_end = tmp_path / "pyproject.toml"
    open_end.write_text('[project]\ndependencies = ["numpy"]\n')
    with pytest.raises(SystemExit, match="numpy: write NAME>=VERSION"):
        lowest()(open_end)
