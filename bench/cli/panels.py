"""``--help`` in panels: what an option is about, said once, so that a flag stands under one heading."""

from __future__ import annotations

from typing import Any, Final

from typer.core import TyperCommand

PANELS: Final = {
    "Data": (
        "--data", "--layout", "--columns", "--reals", "--split", "--limit", "--drop-duplicates",
        "--no-audit", "--against", "--cache", "--generators", "--domains", "--generator",
        "--domain", "--strip", "--refresh",
        "--no-hash", "--reference", "--citation", "--leaks", "--val", "--dataset", "--equalise",
    ),
    "Detector": (
        "--detector", "--weights", "--fake-logit", "--fake-label", "--ignore-label", "--processor", "--input",
        "--output", "--backbone", "--offline", "--allow-untrained", "--sha256", "--rename", "--licence",
        "--name", "--size", "--fit", "--outputs", "--init", "--from-scratch", "--half",
    ),
    "Protocol": (
        "--suite", "--threshold", "--calibrated", "--fpr", "--pairing", "--until", "--continue", "--seed",
        "--scores", "--allow-missing", "--baseline", "--rules", "--mode", "--metric", "--margin", "--min",
        "--sequential", "--recipe", "--budget", "--test-set", "--strict", "--method", "--patch",
        "--epochs", "--batch", "--lr", "--optimizer", "--schedule", "--weight-decay", "--label-smoothing",
        "--clip", "--early-stop", "--augment",
    ),
    "Output": (
        "--out", "--to", "--reason", "--force", "--store", "--format", "--json", "--write", "--table",
        "--width", "--sheet", "--images", "--no-images", "--adversarial", "--save-adversarial", "--digests",
        "--dataset-id", "--croissant", "--tensorboard", "--keys", "--by-condition", "--dry-run", "--profile",
        "--rate", "--config", "--quiet", "--verbose", "--comment", "--plot",
    ),
    "Speed": (
        "--device", "--devices", "--batch-size", "--precision", "--exact", "--compile", "--threads",
        "--workers",
    ),
    "Cluster": ("--cluster", "--tls-ca", "--tls-cert", "--tls-key", "--isolate", "--timeout"),
}  # fmt: skip
_OTHERS: Final = "Options"
_WORDS: Final = {"str": "TEXT", "int": "N", "float": "NUMBER", "path": "PATH"}
_FEW: Final = 6  # of so few options none needs a heading


def panel_of(flags: list[str]) -> str:
    """Name the panel of an option by its flags; those of no panel stand under "Options"."""
    return next((name for name, known in PANELS.items() if set(flags) & set(known)), _OTHERS)


class PanelCommand(TyperCommand):
    """A command whose help groups its options by what they are about."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, then each panel's options in the order of the command."""
        parts: dict[str, list[tuple[str, str]]] = {"Arguments": []}
        options = [p for p in self.get_params(ctx) if p.param_type_name == "option"]
        for name in (*PANELS, _OTHERS):
            parts[name] = []
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            record = (_plain(record[0]), record[1])
            if parameter.param_type_name == "argument":
                parts["Arguments"].append(record)
            else:
                panel = panel_of(parameter.opts) if len(options) > _FEW else _OTHERS
                parts[panel].append(record)
        for name, records in parts.items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)


def _plain(usage: str) -> str:
    """Say what a value is as people say it, not as Python does."""
    for kind, word in _WORDS.items():
        usage = usage.replace(f"<list[{kind}]>", word).replace(f"<{kind}>", word)
    return usage
