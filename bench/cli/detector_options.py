"""Options that say what one of several detectors is, spelled ``[DETECTOR=]VALUE``, and what they mean."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from bench.cli.values import check_choice, parse_fake_logit
from bench.errors import BenchError, nearest

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
    from bench.protocol.call import split_chain
    from bench.protocol.input_rule import parse_input

    names = [
        name.strip()
        for text in detectors
        for name in ([text] if Path(text).exists() else split_chain(text, ","))
    ]
    asked = [DetectorRequest.spelled(name) for name in names]
    direction = parse_fake_logit(fake_logit)
    files = _single("--weights", asked, weights)
    for place, file in files.items():
        if asked[place].weights is not None:
            raise BenchError(
                f"--weights {file}: {asked[place].key} has weights already, {asked[place].weights}: "
                "leave one of the two out"
            )
    fake = _labels("--fake-label", asked, fake_label)
    ignored = _labels("--ignore-label", asked, ignore_label)
    folders = _single("--processor", asked, processor)
    rules = _single("--input", asked, input_rule)
    kinds = _single("--output", asked, output)
    bodies = _single("--backbone", asked, backbone)
    for place, text in rules.items():
        _refuse_sizeless(asked[place].name, text)
    for kind in kinds.values():
        check_choice("--output", kind, ("logit", "probability"))
    return tuple(
        dataclasses.replace(
            request,
            weights=Path(files[place]) if place in files else request.weights,
            fake_logit=direction,
            fake_labels=fake.get(place, ()),
            ignore_labels=ignored.get(place, ()),
            processor=Path(folders[place]) if place in folders else None,
            input=parse_input(rules[place]) if place in rules else None,
            output=cast("Output | None", kinds.get(place)),
            offline=offline,
            backbone=Path(bodies[place]) if place in bodies else None,
        )
        for place, request in enumerate(asked)
    )


def one_request(detector: str, **said: Any) -> DetectorRequest:
    """Put together the one detector of a command that takes one.

    Raises:
        BenchError: If several are named, or as for :func:`requests`.
    """
    asked = requests([detector], **said)
    if len(asked) > 1:
        names = ", ".join(each.key for each in asked)
        raise BenchError(f"--detector {detector}: one at a time here, choose one of {names}")
    return asked[0]


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
    flag: str, detectors: Sequence[DetectorRequest], items: Sequence[str]
) -> list[tuple[int, str]]:
    """Pair every value with the place of the detector it belongs to, by any name that detector has."""
    names = sorted(
        {name for d in detectors for name in (d.key, d.name, d.label)}, key=len, reverse=True
    )
    pairs = []
    for item in items:
        # The longest name first: one detector's name may begin another's.
        named = next((name for name in names if item.startswith(f"{name}=")), None)
        if named is None or Path(item).exists():
            front, equals, _ = item.partition("=")
            if flag == "--weights" and equals and "/" not in front and not Path(item).exists():
                raise BenchError(
                    f"{flag} {item}: {front!r} is not among the detectors asked for, nor is this a file: "
                    f"{nearest(front, names)}"
                )
            if flag == "--weights" and not Path(item.partition("::")[0]).exists():
                raise BenchError(f"{flag} {item}: no weights file there: check the path")
            if len(detectors) != 1:
                known = ", ".join(d.key for d in detectors) or "them"
                raise BenchError(
                    f"{flag} {item}: several detectors, write {flag} DETECTOR=VALUE with one of {known}"
                )
            pairs.append((0, item))
            continue
        # A name that boards show is one detector's; a name as typed may be that of several.
        places = [i for i, d in enumerate(detectors) if named in (d.key, d.label)]
        places = places or [i for i, d in enumerate(detectors) if named == d.name]
        if len(places) > 1:
            raise BenchError(
                f"{flag} {item}: {named} is asked for more than once; name each with "
                f"--detector ALIAS={named}, and write {flag} ALIAS=VALUE"
            )
        pairs.append((places[0], item.removeprefix(f"{named}=")))
    return pairs


def _single(
    flag: str, detectors: Sequence[DetectorRequest], items: Sequence[str]
) -> dict[int, str]:
    values: dict[int, str] = {}
    for place, value in _by_detector(flag, detectors, items):
        if place in values:
            raise BenchError(f"{flag} is given twice for {detectors[place].key!r}")
        values[place] = value
    return values


def _labels(
    flag: str, detectors: Sequence[DetectorRequest], items: Sequence[str]
) -> dict[int, tuple[str, ...]]:
    labels: dict[int, tuple[str, ...]] = {}
    for place, text in _by_detector(flag, detectors, items):
        names = tuple(label.strip() for label in text.split(",") if label.strip())
        if not names:
            raise BenchError(f"{flag} {text!r}: give a label, or several with commas between")
        known = labels.get(place, ())
        labels[place] = (*known, *(n for n in names if n not in known))
    return labels
