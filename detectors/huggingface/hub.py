"""Fetching a classifier's files from the Hugging Face Hub: JSON and safetensors, never a pickle or code."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from detectors.errors import DetectorError, described
from detectors.huggingface.network import transformers_library

_WANTED = (
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "model-*-of-*.safetensors",
)
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}(?:@[\w./-]{1,100})?", re.ASCII)


class Fetched(NamedTuple):
    """A snapshot on this machine.

    Attributes:
        folder: Where its files lie.
        revision: Commit of the hub that they are of.
        url: Where it is published.
    """

    folder: Path
    revision: str
    url: str


def is_hub_name(text: str) -> bool:
    """Tell whether a text is ``owner/name`` or ``owner/name@revision``."""
    return _NAME.fullmatch(text) is not None and ".." not in text


def fetch(text: str, name: str, *, offline: bool) -> Fetched:
    """Fetch a snapshot, or take it from the library's cache where the hub must not be asked.

    Args:
        text: ``owner/name``, or ``owner/name@revision``.
        name: The detector as typed.
        offline: Whether the user wants nothing to be asked for; environment variables of the libraries say
            so too.

    Raises:
        DetectorError: If it cannot be had; says why and the ways out.
    """
    transformers_library(name)
    import huggingface_hub  # noqa: PLC0415  (only where something is fetched)

    repository, _, revision = text.partition("@")
    quiet = offline or _said_offline()
    arguments: dict[str, Any] = {
        "revision": revision or None,
        "allow_patterns": list(_WANTED),
        "local_files_only": quiet,
    }
    try:
        folder = Path(huggingface_hub.snapshot_download(repository, **arguments))
    except Exception as error:  # networks fail in many ways, and none of them is a bug here
        if quiet:
            raise DetectorError(
                f"{name} is no folder and not in the cache of the hub, which is not asked (offline): fetch "
                "it first, or give the path of a folder"
            ) from error
        raise DetectorError(
            f"{name} is no folder and cannot be fetched from the hub ({described(error)[:200]}): check the "
            "name, or fetch it by other means and give the path of the folder"
        ) from error
    if (folder / "config.json").is_file() and not any(folder.glob("*.safetensors")):
        raise DetectorError(
            f"{name} has no model.safetensors on the hub, and a pickle is not fetched: download the folder "
            "yourself and pass its path, and its tensors are read without running code"
        )
    commit = folder.name
    return Fetched(folder, commit, f"https://huggingface.co/{repository}/tree/{commit}")


def _said_offline() -> bool:
    words = ("1", "on", "yes", "true")
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "BENCH_OFFLINE")
    return any(os.environ.get(name, "").strip().lower() in words for name in names)
