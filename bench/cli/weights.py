"""``bench weights``: what is in a weights file, whether it is sound, and a file that needs no flags."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bench.cli import completion, options
from bench.cli.effect import Command
from bench.cli.examples import examples
from bench.cli.output import put, put_json, say, table
from bench.cli.values import parse_fake_logit, split_names
from bench.errors import EXIT_USAGE, BenchError
from bench.support.plain import one_line

app = typer.Typer(help="Look at weights files.", no_args_is_help=True, rich_markup_mode=None)
INSPECT_EXAMPLES = examples(
    "bench weights inspect checkpoint.pth",
    "bench weights inspect model.safetensors --keys",
    "bench weights inspect checkpoint.pth --json",
)
CONVERT_EXAMPLES = examples(
    "bench weights convert checkpoint.pth -d resnet50 --fake-logit z -o mine.safetensors",
    "bench weights convert old.pth -d genimage-cnn --fake-logit z1-z0 -o new.safetensors --rename fc.=head.",
    "bench weights convert best.ckpt::state_dict_ema -d timm/convnext_tiny --fake-logit z1-z0 "
    "-o mine.safetensors --input size=224 --input fit=crop --generators sd14,midjourney",
)
VERIFY_EXAMPLES = examples(
    "bench weights verify mine.safetensors",
    "bench weights verify checkpoint.pth --detector resnet50",
    "bench weights verify checkpoint.pth::state_dict_ema --detector resnet50 --json",
)
MOST_SHOWN = 30  # values that are no weights, by name

File = Annotated[Path, typer.Argument(help="A weights file of any kind.")]
Part = Annotated[
    Path, typer.Argument(help="A weights file, or FILE::PART for one of several sets in it.")
]
Keys = Annotated[bool, typer.Option("--keys", help="Every tensor: its key, shape and type.")]
Detector = Annotated[
    str,
    typer.Option(
        "--detector",
        "-d",
        help="The architecture whose weights they are.",
        autocompletion=completion.detectors,
    ),
]
Expected = Annotated[
    str,
    typer.Option("--detector", "-d", help="The architecture they must fit; the card's by default."),
]
Sha256 = Annotated[
    str, typer.Option(help="What the file must hash to, 64 hex digits; the card's by default.")
]
Out = Annotated[Path, typer.Option("--out", "-o", help="The new file, NAME.safetensors.")]
Name = Annotated[str, typer.Option(help="What boards call it; the new file's name by default.")]
Input = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        help="A field of the input rule that is not the architecture's: size=256, fit=crop, "
        "mean=0.5,0.5,0.5, ... Repeat it.",
    ),
]
Licence = Annotated[str, typer.Option(help="Licence of the weights, an SPDX name.")]
Reference = Annotated[str, typer.Option(help="Paper or code the weights come from.")]
Dataset = Annotated[str, typer.Option(help="Name of the data they were trained on.")]
Generators = Annotated[
    str, typer.Option(help="Generators they were trained on, separated by commas: these are seen.")
]
Domains = Annotated[str, typer.Option(help="Domains they were trained on, separated by commas.")]
Rename = Annotated[
    list[str] | None,
    typer.Option("--rename", help="OLD=NEW: a prefix of the file's keys and what replaces it."),
]


@app.callback()
def group() -> None:
    """Look at weights files."""


@app.command("inspect", cls=Command, epilog=INSPECT_EXAMPLES)
def inspect_command(*, file: File, keys: Keys = False, as_json: options.Json = False) -> None:
    """Say what a file is and holds, and which known detectors it fits; nothing in it is run.

    Ends with 2 where it is no form of weights, and says what to do with it.
    """
    from bench.weights.inspection import inspect_file

    facts = inspect_file(file)
    if as_json:
        put_json(facts)
    else:
        put("\n".join(one_line(line).replace("\n", " ") for line in _inspection(facts, keys=keys)))
    if not facts["readable"]:
        raise BenchError(facts["advice"])


@app.command("convert", cls=Command, epilog=CONVERT_EXAMPLES)
def convert_command(
    *,
    file: Part,
    detector: Detector,
    out: Out,
    fake_logit: options.FakeLogit = None,
    name: Name = "",
    input_fields: Input = None,
    dataset: Dataset = "",
    generators: Generators = "",
    domains: Domains = "",
    licence: Licence = "unknown",
    reference: Reference = "",
    rename: Rename = None,
    as_json: options.Json = False,
) -> None:
    """Write a file's weights as safetensors with a card, to be scored without any flag.

    Only tensors are taken, strictly; objects beside them are left behind and none is run. Nothing is
    overwritten. Without training data the card leaves them unknown, and no generator counts as unseen.
    """
    from bench.weights.conversion import Conversion, convert
    from detectors.card import TrainingData

    names = (tuple(split_names(generators) or ()), tuple(split_names(domains) or ()))
    data = TrainingData(dataset=dataset, generators=names[0], domains=names[1])
    request = Conversion(
        source=file, detector=detector, out=out, name=name, fake_logit=parse_fake_logit(fake_logit),
        input=_pairs("--input", input_fields or []), licence=licence, reference=reference,
        training_data=data if data != TrainingData() else None,
        key_map=_pairs("--rename", rename or []),
    )  # fmt: skip
    card = convert(request)
    if as_json:
        put_json(card.model_dump(mode="json"))
    else:
        put(str(out))
    say(f"written: {out} and its card; input: {card.input.describe()}, fake is {card.fake_logit}")
    if request.training_data is None:
        say("its training data are unknown: say them with --dataset and --generators")


@app.command("verify", cls=Command, epilog=VERIFY_EXAMPLES)
def verify_command(
    *,
    file: Part,
    sha256: Sha256 = "",
    detector: Expected = "",
    as_json: options.Json = False,
) -> None:
    """Check that a file is whole, safe, finite, the one that is meant, and fits its detector and card.

    Ends with 0 where nothing fails (what could not be asked is listed), with 2 where a check fails or
    the file is no form of weights.
    """
    from bench.weights.verification import verify

    checks = [
        {"check": each.check, "outcome": each.outcome, "detail": each.detail}
        for each in verify(file, sha256=sha256, detector=detector)
    ]
    failed = [each["check"] for each in checks if each["outcome"] == "failed"]
    if as_json:
        put_json({"file": str(file), "ok": not failed, "checks": checks})
    else:
        put(table(checks))
    if failed:
        say(f"{file}: {', '.join(failed)} failed")
        raise typer.Exit(EXIT_USAGE)


def _pairs(flag: str, items: list[str]) -> dict[str, str]:
    """Read ``NAME=VALUE`` texts.

    Raises:
        BenchError: If one has no name, or is given twice.
    """
    pairs: dict[str, str] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not equals or (not name and flag == "--input"):
            raise BenchError(f"{flag} {item}: write NAME=VALUE")
        if name in pairs:
            raise BenchError(f"{flag} {name} is given twice")
        pairs[name] = value
    return pairs


def _inspection(facts: dict[str, Any], *, keys: bool) -> list[str]:
    lines = [f"{name}: {facts[name]}" for name in ("file", "format", "bytes")]
    if not facts["readable"]:
        return lines
    lines.append(f"sha256: {facts['sha256']}")
    for each in facts["sets"]:
        dtypes = ", ".join(f"{count} {dtype}" for dtype, count in each["dtypes"].items())
        averaged = ", averaged" if each["averaged"] else ""
        title = each["name"] or "the top of the file"
        lines.append(
            f"weights: {title}: {each['tensors']} tensors, {each['values']} values ({dtypes}){averaged}"
        )
        if keys:
            rows = [
                {"key": key, "shape": "x".join(map(str, t["shape"])) or "-", "type": t["dtype"]}
                for key, t in each["keys"].items()
            ]
            lines += [f"  {line}" for line in table(rows).splitlines()]
    rest = [f"not weights: {name}: {text}" for name, text in facts["not weights"].items()]
    lines += rest[:MOST_SHOWN]
    if len(rest) > MOST_SHOWN:
        lines.append(f"not weights: {len(rest) - MOST_SHOWN} more (--json lists all)")
    code = facts["code"]
    lines.append(
        f"code: {code['verdict']}" + (f": {', '.join(code['names'])}" * bool(code["names"]))
    )
    for fit in facts["fits"]:
        remark = f"; {fit['remark']}" if "remark" in fit else ""
        lines.append(
            f"fits: {fit['detector']}: --detector {fit['detector']} --weights {fit['weights']} "
            f"--fake-logit {fit['fake_logit']}{remark}"
        )
    for near in facts["nearly"]:
        renames = "".join(f" --rename {old}={new}" for old, new in near.get("renames", {}).items())
        detail = f": {near['detail']}" if near["detail"] else ""
        lines.append(f"{near['verdict']}: {near['detector']}{detail}{renames}")
    return [*lines, f"next: {facts['advice']}"]
