"""What is wrong with a command line, in one sentence: the words of typer's errors, put as all others are."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench.results.formats import choices as listed


def is_usage_error(error: BaseException) -> bool:
    """Tell whether typer, or the click inside it, has refused the command line."""
    # typer brings a click of its own in some versions: its classes have no name that all versions share.
    return hasattr(error, "format_message") and hasattr(error, "exit_code")


def usage_sentence(error: Any, arguments: Sequence[str]) -> str:
    """Say what is wrong and the way out.

    Args:
        error: What typer raised.
        arguments: The command line without the program's name.

    Returns:
        One sentence with the offending value; of a bare group, its whole help.
    """
    kind, context = type(error).__name__, getattr(error, "ctx", None)
    if kind == "NoArgsIsHelpError":
        return str(error.format_message())
    path = context.command_path if context is not None else " ".join(["bench", *arguments[:1]])
    if getattr(error, "param", None) is not None:
        return _of_parameter(error, error.param, arguments, missing=kind == "MissingParameter")
    return _of_words(error, context, path, arguments)


def _of_parameter(error: Any, parameter: Any, arguments: Sequence[str], *, missing: bool) -> str:
    """Say what is wrong with the value of one option or argument."""
    if missing:
        return f"{_name(parameter)} is missing: {_meaning(parameter)}"
    named = [_name(parameter), _value(parameter, arguments)]
    return " ".join(filter(None, named)) + (": " if named[1] else " ") + _reason(error)


def _of_words(error: Any, context: Any, path: str, arguments: Sequence[str]) -> str:
    """Say which word of a command line is not understood."""
    way, option = f"`{path} --help` lists what there is", getattr(error, "option_name", "")
    if option and type(error).__name__ == "NoSuchOption":
        return f"{option} is no option of `{path}`: {_near(option, _flags(context)) or way}"
    if option:
        return f"{option} needs a value: `{path} --help` says which"
    if command := _unknown_command(error, context):
        near = _near(command, context.command.commands)
        return f"{path} {command}: there is no such command: {near or way}"
    if context is not None and "unexpected extra argument" in str(error.message):
        return _loose(path, context, arguments, str(error.message))
    return f"{error.format_message().rstrip('.')}: {way}"


def _loose(path: str, context: Any, arguments: Sequence[str], message: str) -> str:
    """Say what to write for a word that belongs to no option."""
    flags, word = _flags(context), message.rpartition("(")[2].partition(")")[0]
    for argument in arguments:
        if argument.startswith("-") and f"-{argument}" in flags:
            return f"{argument} is written with two dashes: -{argument}"
    wanted = "--data" if Path(word).exists() else "--detector"
    advice = f"did you mean {wanted} {word}?" if wanted in flags else "leave it out"
    return f"`{path}` knows nothing to do with {word!r}: {advice}"


def _flags(context: Any) -> list[str]:
    return [flag for each in context.command.params for flag in each.opts if flag.startswith("--")]


def _near(name: str, known: Iterable[str]) -> str:
    """Suggest the nearest names, first those that begin alike; "" where none is near."""
    names = list(known)
    begun = [each for each in names if len(name) > 3 and each.startswith(name)]
    close = begun or difflib.get_close_matches(name, names, n=2, cutoff=0.7)
    return "did you mean " + " or ".join(close) + "?" if close else ""


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name).upper()
    return str(max(parameter.opts, key=len))


def _meaning(parameter: Any) -> str:
    """What an option is for, as its help says, with the variable that may stand for it."""
    text = (parameter.help or "give it").rstrip(".")
    variable = f" (or set {parameter.envvar})" if getattr(parameter, "envvar", None) else ""
    return text[:1].lower() + text[1:] + variable if text[:2].istitle() else text + variable


def _value(parameter: Any, arguments: Sequence[str]) -> str:
    """Find what was given for a parameter; "" where it cannot be told."""
    for place, argument in enumerate(arguments):
        flag, equals, value = argument.partition("=")
        if flag in parameter.opts and flag.startswith("-"):
            return value if equals else " ".join(arguments[place + 1 : place + 1 + parameter.nargs])
    variable = getattr(parameter, "envvar", None)
    return os.environ.get(variable, "") if isinstance(variable, str) else ""


def _reason(error: Any) -> str:
    message = str(error.message).removeprefix("Value error, ").rstrip(".")
    if " is not one of " in message:
        wrong, *choices = re.findall(r"'([^']*)'", message)
        near = _near(wrong, choices)
        return " ".join(part for part in (wrong + ":", near, f"choose {listed(choices)}") if part)
    for words, wanted in (
        ("valid integer", "give a whole number"),
        ("valid number", "give a number"),
        ("not a valid int", "give a whole number"),
        ("not a valid float", "give a number"),
    ):
        if words in message:
            return wanted
    return message[:1].lower() + message[1:]


def _unknown_command(error: Any, context: Any) -> str:
    """The command that a group does not know; "" where it is another fault."""
    message = str(error.format_message())
    is_group = context is not None and hasattr(context.command, "commands")
    return message.split("'")[1] if is_group and message.startswith("No such command '") else ""
