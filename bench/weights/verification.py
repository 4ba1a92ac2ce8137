"""``bench weights verify``: whether a file is whole, safe, finite, and what it claims to be."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from bench.errors import BenchError
from bench.inference.detector import architecture
from bench.weights.inspection import user_errors
from detectors.card import DetectorCard, card_beside, read_card
from detectors.errors import DetectorError, WeightsError
from detectors.network import Architecture
from detectors.publication.facts import Publication
from detectors.weights import (
    file_sha256,
    load_strict,
    read_state_for,
    split_part,
    why_unusable,
)
from detectors.weights.listing.contents import Contents, read_contents
from detectors.weights.parts import weight_sets

Outcome = Literal["ok", "failed", "not asked"]
# A compressed archive that grows by more is no checkpoint: numbers hardly shrink.
_MOST_GROWTH = 16


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        check: Its name: whole, safe, sha256, finite, card or fits.
        outcome: How it went.
        detail: What was seen, or what to say so that it can be asked.
    """

    check: str
    outcome: Outcome
    detail: str


def verify(path: Path, *, sha256: str = "", detector: str = "") -> list[Check]:
    """Look at a file in every way that needs no image.

    Args:
        path: The file, or ``FILE::PART``.
        sha256: What it must hash to; "" takes what its card says.
        detector: Whose weights it must be; "" takes what its card says.

    Raises:
        BenchError: If it is no regular file or no form of weights, or an argument cannot be right.
    """
    expected = sha256.strip().lower()
    if expected and (len(expected) != 64 or set(expected) - set("0123456789abcdef")):
        raise BenchError(f"--sha256 {sha256}: give 64 hex digits")
    file, part = split_part(path)
    named = architecture(detector) if detector else None
    with user_errors():
        contents = read_contents(file)
    card_path = card_beside(file)
    card, card_check = _card(card_path, named)
    expected = expected or (card.weights.sha256 if card and card.weights else "")
    checks = [
        _asked("whole", lambda: _whole(contents)),
        _asked("safe", lambda: _safe(contents)),
        _asked("sha256", lambda: _hash(file, expected)) if expected else _no_hash(file),
        _asked("finite", lambda: _finite(contents, part)),
        card_check,
    ]
    if named is None and card is not None and card_check.outcome == "ok":
        named = architecture(card.arch)
    if named is None:
        return [*checks, Check("fits", "not asked", "name the detector: --detector NAME")]
    return [*checks, _asked("fits", lambda: _fits(named, file, part, card))]


def _asked(name: str, ask: Callable[[], str]) -> Check:
    try:
        return Check(name, "ok", ask())
    except (DetectorError, BenchError) as error:
        return Check(name, "failed", str(error))


def _whole(contents: Contents) -> str:
    path = contents.path
    if contents.kind.form == "safetensors":
        return "its header accounts for every byte; the format has no checksum, so pass --sha256"
    if contents.kind.form == "torch pickle":
        return "its storages account for every byte; the format has no checksum, so pass --sha256"
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            unpacked = sum(entry.file_size for entry in entries)
            if unpacked > _MOST_GROWTH * contents.size:
                raise WeightsError(
                    f"{path} unpacks to {unpacked >> 20} MiB from {contents.size >> 10} KiB: it is a "
                    "zip bomb or holds empty numbers"
                )
            damaged = archive.testzip()
    except WeightsError:
        raise
    except Exception as error:  # zipfile raises what its parser happens to meet
        raise WeightsError(f"{path} is a damaged archive ({error}): fetch it again") from error
    if damaged is not None:
        raise WeightsError(f"{path}: its entry {damaged!r} fails its checksum: fetch it again")
    return f"{len(entries)} entries, every checksum right"


def _safe(contents: Contents) -> str:
    if contents.acting:
        names = ", ".join(contents.acting[:3])
        raise WeightsError(f"another program that loads it would run {names}: delete it")
    if contents.foreign:
        names = ", ".join(contents.foreign[:3])
        raise WeightsError(
            f"it holds {names}, which only code could restore: `bench weights convert` takes its "
            "tensors alone"
        )
    return "tensors and plain values only"


def _hash(file: Path, expected: str) -> str:
    actual = file_sha256(file)
    if actual != expected:
        raise WeightsError(f"it is {actual}, not {expected}: it is damaged or another file")
    return actual


def _no_hash(file: Path) -> Check:
    return Check("sha256", "not asked", f"it is {file_sha256(file)}; nothing says what it must be")


def _finite(contents: Contents, part: str) -> str:
    sets = weight_sets(contents.tree)
    if part:
        sets = [each for each in sets if each.name == part or each.name.startswith(f"{part}.")]
    if not sets:
        raise WeightsError(f"it holds no weights{f' under {part!r}' if part else ''}")
    count = 0
    for each in sets:
        for key, leaf in each.leaves.items():
            value = leaf.read()
            real = value.is_floating_point() or value.is_complex()
            if reason := why_unusable(value, torch.zeros(()) if real else value):
                raise WeightsError(f"{key} {reason}")
            count += 1
    return f"{count} tensors, every value finite"


def _card(path: Path, named: Architecture | None) -> tuple[DetectorCard | None, Check]:
    if not path.is_file():
        return None, Check("card", "not asked", f"there is none at {path}")
    try:
        card = read_card(path)
        known = architecture(card.arch)
        if named is not None and named.name != card.arch:
            raise WeightsError(f"it is {card.arch}'s, not {named.name}'s")
    except (DetectorError, BenchError, OSError) as error:
        return None, Check("card", "failed", str(error))
    return card, Check("card", "ok", f"{card.name}, {known.name}, fake is {card.fake_logit}")


def _fits(named: Architecture, file: Path, part: str, card: DetectorCard | None) -> str:
    reference = card.weights if card else None
    part = part or (reference.part if reference else "")
    publication: Publication | None = getattr(named, "publication", None)
    published = {} if publication is None else publication.key_map
    key_map = (reference.key_map if reference else {}) or published
    side = (card.input if card else named.input).network_input
    errors: list[DetectorError] = []
    for outputs in (card.outputs,) if card else (1, 2):
        network = named.network(outputs, side)
        try:
            state = read_state_for(network, file, part=part, key_map=key_map)
            apart = _published_apart(publication, state)
            if apart:
                # Without it the network's keys are those of the published file.
                network.set_submodule(apart, nn.Identity())
                state = read_state_for(network, file, part=part, key_map=key_map)
            load_strict(network, state, file.name)
        except DetectorError as error:
            errors.append(error)
        else:
            rest = f"; its {apart} comes from other files, which were not asked" if apart else ""
            return f"{named.name} with {outputs} output{'s' if outputs > 1 else ''}, strictly{rest}"
    # A head of the other number of outputs always has another shape: what else does not fit says more.
    raise min(errors, key=lambda error: "the network needs" in str(error))


def _published_apart(publication: Publication | None, state: Mapping[str, Tensor]) -> str:
    """Name the part of a published network that its file leaves out; "" where it holds all."""
    inside = publication and (publication.backbone or publication.beside)
    if not inside or any(key.startswith(f"{inside.module}.") for key in state):
        return ""
    return inside.module
