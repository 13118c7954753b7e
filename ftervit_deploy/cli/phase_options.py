"""Options of training that are settings of a phase, with the defaults that they have there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from ..train.settings import PHASE_NAMES, PHASES


def phase_option(
    name: str,
    kind: click.ParamType[Any] | None,
    text: str,
    phases: Sequence[str] = PHASE_NAMES,
    setting: str = "",
) -> Callable[[Any], Any]:
    """An option without a value of its own, whose help ends with the default, or with that of each phase.

    Args:
        name: as typed, e.g. ``--warmup-epochs``.
        kind: of its values; None for text.
        text: the help.
        phases: those that it is for.
        setting: attribute of `PhaseSettings`, if it is not the name.
    """
    attribute = setting or name.removeprefix("--").replace("-", "_")
    values = {phase: f"{getattr(PHASES[phase], attribute):g}" if kind else getattr(PHASES[phase], attribute)
              for phase in phases}  # fmt: skip
    told = ", ".join(f"{phase} {value}" for phase, value in values.items())
    default = told if len(set(values.values())) > 1 else values[phases[0]]
    return click.option(name, type=kind, help=f"{text}  [default: {default}]")
