"""An option that has no effect is an error that says why, instead of a silence that misleads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import typer

from bench.cli.panels import PanelCommand
from bench.errors import BenchError


def refuse_without_effect(context: typer.Context, *flags: str, when: bool, why: str) -> None:
    """Refuse flags on the command line that change nothing in this call.

    Environment variables and ``--config`` files are standing defaults for many calls: what they
    set may go unused.

    Args:
        context: The command being called.
        flags: The flags that would change nothing, as typed.
        when: Whether that is so in this call.
        why: The reason and the way out, to stand behind "--flag has no effect".

    Raises:
        BenchError: If one of the flags was typed.
    """
    for flag in flags:
        if when and was_typed(context, flag):
            raise BenchError(f"{flag} has no effect {why}")


def was_typed(context: typer.Context, flag: str) -> bool:
    """Say whether a flag stands on the command line itself."""
    names = [str(p.name) for p in context.command.params if flag in p.opts]
    if not names:
        raise ValueError(f"{context.command.name} has no flag {flag}")
    source = context.get_parameter_source(names[0])
    return source is not None and source.name == "COMMANDLINE"


def choose_format(context: typer.Context, form: str, *, as_json: bool) -> str:
    """Take ``--json`` as ``--format json``.

    Raises:
        BenchError: If ``--format`` asks for something else at the same time.
    """
    if not as_json:
        return form
    if form != "json" and was_typed(context, "--format"):
        raise BenchError(f"--format {form} and --json contradict each other: give one")
    return "json"


class Command(PanelCommand):
    """A command that refuses an option given twice where only the last one would count."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line.

        Raises:
            BenchError: An option that takes one value is given several times.
        """
        counts = Counter(_single_options(self.params, args))
        for name, count in counts.items():
            if count > 1:
                raise BenchError(f"{name} is given {count} times and takes one value: give it once")
        return super().parse_args(ctx, args)


def _single_options(parameters: Sequence[Any], args: Sequence[str]) -> Iterator[str]:
    """Name the options on a command line that take one value, each as often as it stands there."""
    by_flag = {flag: parameter for parameter in parameters for flag in parameter.opts}
    waiting = 0
    for argument in args:
        if waiting:
            waiting -= 1
            continue
        if argument == "--":
            return
        flag, equals, _ = argument.partition("=")
        if flag not in by_flag and not flag.startswith("--"):
            flag, equals = argument[:2], argument[2:]
        parameter = by_flag.get(flag)
        if (
            parameter is None
            or getattr(parameter, "is_flag", False)
            or not argument.startswith("-")
        ):
            continue
        waiting = 0 if equals else parameter.nargs
        if not getattr(parameter, "multiple", False):
            yield max(parameter.opts, key=len)
