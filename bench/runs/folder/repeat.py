"""How a run is repeated: ``config.toml`` and the command line, kept beside its results."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.inference.detector import DetectorRequest
from bench.protocol.suite import Suite, load_suite
from bench.runs.request import RunRequest
from bench.store.rundir import COMMAND_NAME, CONFIG_NAME, SUITE_NAME
from bench.support.files import write_text

_HEAD = "# Repeats this run: bench run --config "
_ONLY_IN_PYTHON = "# --fake-logit differs from detector to detector: that only Python can repeat.\n"

_BUILT = "# A detector was an object of a Python program: that program alone can repeat it.\n"


def write_repeat(folder: Path, request: RunRequest) -> None:
    """Write ``config.toml``, the suite where no name stands for it, and the command line.

    Paths are absolute, so that the file works from any folder.

    Raises:
        OutputError: The folder cannot be written.
    """
    suite_file = folder.resolve() / SUITE_NAME
    suite = _suite_flags(request.suite)
    if not suite:
        write_text(suite_file, _toml(request.suite.model_dump(exclude_defaults=True)))
        suite = {"suite": str(suite_file)}
    config = folder.resolve() / CONFIG_NAME
    several = len({detector.fake_logit for detector in request.detectors}) > 1
    head = f"{_HEAD}{shlex.quote(str(config))}\n{_ONLY_IN_PYTHON if several else ''}"
    head += _BUILT if any(detector.built is not None for detector in request.detectors) else ""
    write_text(config, head + _toml({**suite, **_flags(request)}))
    if request.command:
        write_text(folder / COMMAND_NAME, shlex.join(request.command) + "\n")


def _suite_flags(suite: Suite) -> dict[str, Any]:
    """Flags that load the suite by its name; empty where none does."""
    try:
        named = load_suite(suite.name)
        if named == suite:
            return {"suite": suite.name}
        flags = {name: getattr(suite, name) for name in ("threshold", "equalise", "pairing")}
        if named.model_copy(update=flags) == suite:
            changed = {name: flag for name, flag in flags.items() if flag != getattr(named, name)}
            return {"suite": suite.name, **changed}
    except BenchError:
        pass  # a suite of the user's own
    return {}


def _flags(request: RunRequest) -> dict[str, Any]:
    """Flags of ``bench run`` that ask for the same, those with a value only."""
    detectors = [detector.absolute() for detector in request.detectors]
    fake_logits = {detector.fake_logit for detector in detectors} - {None}
    flags: dict[str, Any] = {
        "detector": [f"{d.alias}={d.name}" if d.alias else d.name for d in detectors],
        "weights": [f"{d.key}={d.weights}" for d in detectors if d.weights is not None],
        "fake-logit": fake_logits.pop() if len(fake_logits) == 1 else None,
        **_foreign(detectors),
        "offline": any(detector.offline for detector in detectors),
        "data": _absolute_if_file(request.data),
        "layout": request.layout,
        "columns": ",".join(f"{ours}={theirs}" for ours, theirs in request.columns.items()) or None,
        "reals": [str(place.resolve()) for place in request.reals],
        "split": "all" if request.split == "" else request.split,
        "out": _absolute(request.out),
        "store": _stores(request),
        "limit": request.limit,
        "until": None if request.until is None else str(request.until),
        "device": request.device,
        "batch-size": None if request.batch_size is None else str(request.batch_size),
        "precision": request.numerics.precision,
        "exact": request.numerics.exact,
        "compile": request.numerics.compile,
        "threads": request.numerics.threads,
        "seed": request.seed,
        "allow-untrained": request.allow_untrained,
        "isolate": request.isolate,
        "timeout": request.timeout,
        "no-audit": not request.audit,
        "drop-duplicates": request.drop_duplicates,
        "cache": _absolute(request.cache),
        "cluster": _absolute_if_file(request.cluster),
        "tls-ca": _absolute(request.tls.ca),
        "tls-cert": _absolute(request.tls.cert),
        "tls-key": _absolute(request.tls.key),
    }
    return {
        flag: value
        for flag, value in flags.items()
        if value is not None and value is not False and value != []
    }


def _foreign(detectors: Sequence[DetectorRequest]) -> dict[str, list[str]]:
    """Flags that say what a network without a card is, each with the detector it belongs to."""
    flags: dict[str, list[str]] = {}
    for detector in detectors:
        for flag, value in detector.foreign.items():
            flags.setdefault(flag.removeprefix("--"), []).append(f"{detector.key}={value}")
    return flags


def _absolute(path: Path | None) -> str | None:
    return None if path is None else str(path.resolve())


def _stores(request: RunRequest) -> str | None:
    if request.store is None:
        return None
    return os.pathsep.join(str(path.resolve()) for path in (request.store, *request.parents))


def _absolute_if_file(text: str | None) -> str | None:
    return str(Path(text).resolve()) if text is not None and Path(text).exists() else text


def _toml(values: Mapping[str, Any]) -> str:
    """Spell strings, numbers, booleans, lists and tables of them as TOML."""
    return "".join(f"{key} = {_spelled(value)}\n" for key, value in values.items())


def _spelled(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_spelled(item) for item in value)}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key} = {_spelled(item)}' for key, item in value.items())}}}"
    # JSON spells all of these as TOML does, but for one control character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
