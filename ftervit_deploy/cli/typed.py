"""What the user typed, for records of how something was made."""

from __future__ import annotations

import shlex
from typing import Any

import click


def command_line(context: click.Context) -> str:
    """The command of `context` with what was typed, without defaults, in the order of its options."""
    words = context.command_path.split()
    for option in context.command.params:
        if context.get_parameter_source(option.name or "") != click.core.ParameterSource.COMMANDLINE:
            continue
        value = context.params.get(option.name or "")
        if isinstance(option, click.Argument):
            words.append(str(value))
        elif isinstance(option, click.Option) and option.expose_value:
            words += _typed(option, value)
    return shlex.join(words)


def _typed(option: click.Option, value: Any) -> list[str]:
    if option.is_flag:
        return [option.opts[0] if value else option.secondary_opts[0]]
    return [option.opts[0], ",".join(map(str, value)) if isinstance(value, tuple) else str(value)]
