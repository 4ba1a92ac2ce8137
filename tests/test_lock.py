"""The lock of the development environment is within bounds and hashed, and the SBOM lists the same."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCK = ROOT / ".ci" / "requirements-dev.lock"
SBOM = ROOT / ".ci" / "sbom.cdx.json"
AGAIN = "make both again with .ci/lock"


def locked() -> list[tuple[Requirement, list[str]]]:
    """Each requirement of the lock with its hashes."""
    text = LOCK.read_text(encoding="utf-8").replace("\\\n", " ")
    entries = []
    for line in text.splitlines():
        requirement, *hashes = re.split(r"\s+--hash=", line.strip())
        entries.append((Requirement(requirement), hashes))
    return entries


def version(requirement: Requirement) -> str:
    (only,) = requirement.specifier
    assert only.operator == "==", requirement
    return only.version


def direct() -> list[Requirement]:
    """What pyproject.toml asks for, with the extra `dev` and the extras that it names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    waiting, asked = [*project["dependencies"], *project["optional-dependencies"]["dev"]], []
    while waiting:
        requirement = Requirement(waiting.pop())
        if requirement.name == project["name"]:
            for extra in sorted(requirement.extras):
                waiting += project["optional-dependencies"][extra]
        else:
            asked.append(requirement)
    return asked


@pytest.mark.parametrize("requirement", direct(), ids=lambda requirement: requirement.name)
def test_each_direct_dependency_is_locked_within_its_bounds(requirement):
    name = canonicalize_name(requirement.name)
    versions = [version(entry) for entry, _ in locked() if canonicalize_name(entry.name) == name]
    assert versions, f"{name} is not locked: {AGAIN}"
    for found in versions:
        assert requirement.specifier.contains(found), f"{name} {found}: {AGAIN}"


def test_every_release_has_hashes():
    for requirement, hashes in locked():
        assert hashes, requirement
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in hashes), requirement


def test_lock_and_sbom_name_the_same_releases():
    components = json.loads(SBOM.read_text(encoding="utf-8"))["components"]
    listed = {(part["name"], part["version"]) for part in components}
    assert listed == {(entry.name, version(entry)) for entry, _ in locked()}, AGAIN
    assert {part["purl"] for part in components} == {f"pkg:pypi/{n}@{v}" for n, v in listed}


def test_neither_names_a_place_where_they_were_made():
    text = LOCK.read_text(encoding="utf-8") + SBOM.read_text(encoding="utf-8")
    assert re.findall(r"\w+://[^\s\"]+", text) == [
        "http://cyclonedx.org/schema/bom-1.6.schema.json"
    ]
    assert not re.findall(r"(?:^|[\s\"])/\w+", text)
    assert "index-url" not in text
