"""Options that say what one of several detectors is, spelled ``[DETECTOR=]VALUE``, and what they mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from bench.cli.values import check_choice, parse_fake_logit, weights_by_detector
from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.inference.detector import DetectorRequest
    from detectors.adapters.base import Output

FakeLabels = Annotated[
    list[str],
    typer.Option(
        "--fake-label",
        metavar="[DETECTOR=]LABEL,...",
        help="Labels of a classifier that mean AI-generated, where its own words do not tell.",
    ),
]
IgnoreLabels = Annotated[
    list[str],
    typer.Option(
        "--ignore-label",
        metavar="[DETECTOR=]LABEL,...",
        help="Labels of a classifier that count for neither side.",
    ),
]
Processors = Annotated[
    list[str],
    typer.Option(
        "--processor",
        metavar="[DETECTOR=]DIR",
        help="Folder with the preprocessor_config.json of a network that comes without one.",
    ),
]
Inputs = Annotated[
    list[str],
    typer.Option(
        "--input",
        metavar="[DETECTOR=]RULE",
        help="Input rule where no card states one, as 'crop(256, padding=zero, mean=clip, std=clip)'.",
    ),
]
Outputs = Annotated[
    list[str],
    typer.Option(
        "--output",
        metavar="[DETECTOR=]KIND",
        help="What a network without a card gives: logit or probability.",
    ),
]

Offline = Annotated[
    bool,
    typer.Option(
        "--offline",
        envvar="BENCH_OFFLINE",
        help="Fetch no detector from a hub: only what is on this machine.",
    ),
]
Backbones = Annotated[
    list[str],
    typer.Option(
        "--backbone",
        metavar="[DETECTOR=]FILE",
        help="Weights of the backbone, where the detector's own file holds its head alone.",
    ),
]


def requests(
    detectors: Sequence[str],
    *,
    weights: Sequence[str],
    fake_logit: str | None,
    fake_label: Sequence[str],
    ignore_label: Sequence[str],
    processor: Sequence[str],
    input_rule: Sequence[str],
    output: Sequence[str],
    offline: bool = False,
    backbone: Sequence[str],
) -> tuple[DetectorRequest, ...]:
    """Put together every detector with what was said beside it.

    Raises:
        BenchError: If an option cannot be read, or it is not clear which detector it belongs to.
    """
    from bench.inference.detector import DetectorRequest
    from bench.protocol.input_rule import parse_input

    files = weights_by_detector(detectors, weights)
    direction = parse_fake_logit(fake_logit)
    fake = _labels("--fake-label", detectors, fake_label)
    ignored = _labels("--ignore-label", detectors, ignore_label)
    folders = _single("--processor", detectors, processor)
    rules = _single("--input", detectors, input_rule)
    kinds = _single("--output", detectors, output)
    bodies = _single("--backbone", detectors, backbone)
    for name, text in rules.items():
        _refuse_sizeless(name, text)
    for kind in kinds.values():
        check_choice("--output", kind, ("logit", "probability"))
    return tuple(
        DetectorRequest(
            name,
            files.get(name),
            direction,
            fake_labels=fake.get(name, ()),
            ignore_labels=ignored.get(name, ()),
            processor=Path(folders[name]) if name in folders else None,
            input=parse_input(rules[name]) if name in rules else None,
            output=cast("Output | None", kinds.get(name)),
            offline=offline,
            backbone=Path(bodies[name]) if name in bodies else None,
        )
        for name in detectors
    )


def _refuse_sizeless(name: str, text: str) -> None:
    """Refuse an input rule without a size, which only the graph of an ONNX file could state.

    Raises:
        BenchError: If the rule has none, or one that means nothing.
    """
    from bench.protocol.input_rule import parse_input

    rule = parse_input(text)
    sized = "size" in rule.model_fields_set and rule.size is not None
    if rule.fit == "native":
        if sized:
            raise BenchError(f"--input {text}: native keeps every image's size: leave the size out")
    elif not sized and not name.lower().endswith(".onnx"):
        raise BenchError(f"--input {text}: it has no size: say {rule.fit}(224, ...) in pixels")


def _by_detector(
    flag: str, detectors: Sequence[str], items: Sequence[str]
) -> list[tuple[str, str]]:
    """Pair every value with the detector it belongs to."""
    pairs = []
    for item in items:
        # The longest name first: one detector's name may begin another's.
        named = [d for d in sorted(detectors, key=len, reverse=True) if item.startswith(f"{d}=")]
        if named:
            pairs.append((named[0], item.removeprefix(f"{named[0]}=")))
        elif len(set(detectors)) == 1:
            pairs.append((detectors[0], item))
        else:
            raise BenchError(
                f"{flag} {item}: several detectors, write {flag} DETECTOR=VALUE with one of "
                f"{', '.join(detectors) or 'them'}"
            )
    return pairs


def _single(flag: str, detectors: Sequence[str], items: Sequence[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in _by_detector(flag, detectors, items):
        if name in values:
            raise BenchError(f"{flag} is given twice for {name!r}")
        values[name] = value
    return values


def _labels(
    flag: str, detectors: Sequence[str], items: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    labels: dict[str, tuple[str, ...]] = {}
    for name, text in _by_detector(flag, detectors, items):
        names = tuple(label.strip() for label in text.split(",") if label.strip())
        if not names:
            raise BenchError(f"{flag} {text!r}: give a label, or several with commas between")
        labels[name] = (*labels.get(name, ()), *(n for n in names if n not in labels.get(name, ())))
    return labels
