"""``bench``: the root command. Commands import what they need when they are called, so help is instant."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable

import typer

from bench.cli import (
    audit,
    baseline,
    board,
    compare,
    data,
    doctor,
    explain,
    export,
    flips,
    gate,
    history,
    ls,
    new,
    plan,
    plot,
    predict,
    report,
    reproduce,
    run,
    schema,
    scores,
    show,
    store,
    train,
    verify,
    weights,
)
from bench.cli.effect import Command
from bench.cli.output import say, say_lines, writable_output
from bench.cli.panels import PanelCommand
from bench.cli.usage import is_usage_error, usage_sentence
from bench.errors import EXIT_INTERNAL, EXIT_USAGE, BenchError
from bench.version import __version__

EPILOG = (
    "Exit codes: 0 ok; 2 usage or bad input; 5 nothing selected; 10 regression; "
    "11 inconclusive or no baseline; 12 some cells have no result, or "
    "one class lost clearly more images than the other; 13 a board that is not what its scores give; "
    "70 internal error; 130 interrupted; 143 terminated."
)

# A system's ways to say that nothing more can be written.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)

app = typer.Typer(
    name="bench",
    help="The harness that tells the truth about detectors of AI-generated images.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain text: the boxes cost more time than all the rest of --help
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
app.command("run", cls=Command, epilog=run.EXAMPLES)(run.command)
app.command("plan", cls=Command, epilog=plan.EXAMPLES)(plan.command)
app.command("audit", cls=Command, epilog=audit.EXAMPLES)(audit.command)
app.command("board", cls=Command, epilog=board.EXAMPLES)(board.command)
app.command("compare", cls=Command, epilog=compare.EXAMPLES)(compare.command)
app.command("export", cls=Command, epilog=export.EXAMPLES)(export.command)
app.command("verify", cls=Command, epilog=verify.EXAMPLES)(verify.command)
app.command("report", cls=Command, epilog=report.EXAMPLES)(report.command)
app.command("plot", cls=Command, epilog=plot.EXAMPLES)(plot.command)
app.command("explain", cls=Command, epilog=explain.EXAMPLES)(explain.command)
app.command("flips", cls=Command, epilog=flips.EXAMPLES)(flips.command)
app.command("gate", cls=Command, epilog=gate.EXAMPLES)(gate.command)
app.command("history", cls=Command, epilog=history.EXAMPLES)(history.command)
app.add_typer(baseline.app, name="baseline")
app.command("ls", cls=Command, epilog=ls.EXAMPLES)(ls.command)
app.command("show", cls=Command, epilog=show.EXAMPLES)(show.command)
app.command("predict", cls=Command, epilog=predict.EXAMPLES)(predict.command)
# A later option of a training overrides an earlier one, as scripts rely on that add to a fixed list.
app.command("train", cls=PanelCommand, epilog=train.EXAMPLES)(train.command)
app.command("reproduce", cls=Command, epilog=reproduce.EXAMPLES)(reproduce.command)
app.command("new", cls=Command, epilog=new.EXAMPLES)(new.command)
app.command("schema", cls=Command, epilog=schema.EXAMPLES)(schema.command)
app.command("doctor", cls=Command, epilog=doctor.EXAMPLES)(doctor.command)
app.add_typer(data.app, name="data")
app.add_typer(scores.app, name="scores")
app.add_typer(store.app, name="store")
app.add_typer(weights.app, name="weights")


def _version(value: bool) -> None:
    if value:
        typer.echo(f"bench {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    """The harness that tells the truth about detectors of AI-generated images."""
    del version


def main() -> None:
    """Run the command line; every way out has its exit code."""
    try:
        code = _code_of(app)
        with writable_output():
            sys.stdout.flush()
    except BenchError as error:
        say(f"error: {error}")
        code = error.exit_code
    except BrokenPipeError:  # `bench ... | head` is no error of ours
        code = 0
    except Exception as error:
        code = _refused(error) if is_usage_error(error) else _unforeseen(error)
    _detach_unwritable()
    sys.exit(code)


def _code_of(command: Callable[..., object]) -> int | str | None:
    """Run a command that may end itself; gives its exit code."""
    try:
        code = command(standalone_mode=False, prog_name="bench")
    except SystemExit as stop:
        return stop.code
    return code if isinstance(code, int) else 0


def _refused(error: Exception) -> int:
    """Say what is wrong with the command line; gives the exit code."""
    sentence = usage_sentence(error, sys.argv[1:])
    if "\n" in sentence:  # the help of a group
        say_lines(sentence)
    else:
        say(f"error: {sentence}")
    return EXIT_USAGE


def _unforeseen(error: Exception) -> int:
    """Say what nobody foresaw; gives the exit code."""
    if os.environ.get("BENCH_DEBUG"):
        import traceback

        traceback.print_exc()
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        where = error.filename or "the standard output"
        say(f"error: cannot write {where} ({error.strerror}): free some space or send it elsewhere")
        return EXIT_USAGE
    from detectors.errors import described

    say(f"internal error: {described(error)} (BENCH_DEBUG=1 shows where; please report it)")
    return EXIT_INTERNAL


def _detach_unwritable() -> None:
    """Keep the interpreter from writing again, as it ends, what could not be written."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
