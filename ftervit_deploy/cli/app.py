"""The `ftervit` command: commands loaded when called, every error caught here once."""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Sequence

import click

from .. import __version__
from ..errors import FtervitError
from .output import Output, output_options

COMMANDS = {
    "init": "Start a project: write ftervit.toml.",
    "models": "List published checkpoints and presets.",
    "boards": "List boards, or show all about one.",
    "schemes": "List quantisation schemes, rule by rule and byte by byte.",
    "train": "Train a ternary model on a folder of photos.",
    "compare": "Train several schemes on the same work and compare them.",
    "pack": "Pack a checkpoint into one .ftv image.",
    "inspect": "Show what an image holds, byte by byte.",
    "unpack": "Write an image's weights as safetensors.",
    "run": "Classify photos with the C engine.",
    "eval": "Measure accuracy on a folder of class folders.",
    "report": "Make one HTML page about a model.",
    "publish": "Push a model, its image, report and card to the hub.",
    "estimate": "Say if a model fits a board, and how fast it is.",
    "build": "Make firmware for a board, with ESP-IDF.",
    "flash": "Write a built project, or a model alone, to a board.",
    "deploy": "Pack, build, flash and watch, in one go.",
    "verify": "Compare a board with this computer, bit for bit.",
    "bench": "Time FP32, INT8 and ternary kernels side by side.",
    "monitor": "Watch a board's predictions and its log.",
    "virtual": "Run a board's application on this computer.",
    "doctor": "Say what is missing on this machine.",
    "demo": "Pack, inspect and run the bundled model.",
}
"""Summary of each command, so that `--help` imports none of them; `cli/<name>.py` holds the command."""

EXIT_USER = 2
EXIT_DEFECT = 1
_COMPLETION_VARIABLE = "_FTERVIT_COMPLETE"


class _LazyGroup(click.Group):
    """Imports a command's module only when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"{__package__}.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            raise click.UsageError(f"There is no command {name!r}.{_nearest(name)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _nearest(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, COMMANDS, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


@click.group(
    cls=_LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="ftervit", message="%(prog)s %(version)s")
@output_options
@click.pass_context
def ftervit(context: click.Context) -> None:
    """Fully ternary Vision Transformers, from a checkpoint to a microcontroller.

    Settings come from the flag, else FTERVIT_<NAME> in the environment, else ftervit.toml here or
    above, else the board's file, else the default.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit status.

    0: done. 2: a mistake in the input or the environment, or Ctrl-C. 1: a defect of ours.
    """
    if _COMPLETION_VARIABLE in os.environ:
        ftervit.main(prog_name="ftervit")
    output = Output()
    _accept_any_text()
    try:
        return _invoke(list(arguments), output)
    except FtervitError as error:
        output.error(error.what, error.hint)
        return error.exit_code
    except click.ClickException as error:
        output.error(_sentence(error.format_message()), _usage_hint(error))
        return EXIT_USER
    except (KeyboardInterrupt, EOFError, click.Abort):
        output.interrupted()
        return EXIT_USER
    except BrokenPipeError:
        _silence_stdout()
        return EXIT_USER
    except OSError as error:
        output.error(f"{_os_error_sentence(error)}")
        return EXIT_USER
    except MemoryError:
        output.error("There is not enough memory.", "Close other programs or take a smaller model.")
        return EXIT_USER
    except Exception as error:
        output.defect(error)
        return EXIT_DEFECT


def _invoke(arguments: list[str], output: Output) -> int:
    try:
        with ftervit.make_context("ftervit", arguments, obj=output) as context:
            ftervit.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as finished:
        sys.stdout.flush()
        return finished.exit_code
    return 0


def _accept_any_text() -> None:
    """A terminal that lacks a character gets a question mark, a closed stream nothing; no exception."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _usage_hint(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f"See '{context.command_path} --help'." if context is not None else ""


def _os_error_sentence(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {reason}." if error.filename else f"{reason}."


def _silence_stdout() -> None:
    """Keep Python from complaining, at exit, about a reader that went away."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
