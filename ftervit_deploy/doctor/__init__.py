"""What is missing on a machine, and the one command that mends it: pure functions over a `Machine`."""

from __future__ import annotations

from collections.abc import Callable

from .espidf import check_espidf
from .hub import check_hub, check_token
from .machine import Check, Machine, Target
from .python import check_accelerate, check_bokeh, check_engine, check_python, check_torch
from .serial import check_busybodies, check_ports
from .space import check_build_space, check_space
from .tools import check_cmake, check_compiler, check_esptool, check_pyserial

__all__ = ["CHECKS", "Check", "Machine", "Target", "examine", "nothing_required_is_missing"]

CHECKS: tuple[Callable[[Machine, Target], Check | None], ...] = (
    check_python,
    check_engine,
    check_space,
    check_token,
    check_hub,
    check_torch,
    check_accelerate,
    check_bokeh,
    check_compiler,
    check_cmake,
    check_espidf,
    check_build_space,
    check_esptool,
    check_pyserial,
    check_ports,
    check_busybodies,
)
"""In the order in which they are shown. One that has nothing to say about a machine returns None."""


def examine(machine: Machine, target: Target) -> list[Check]:
    """Every check that applies to the machine, in order; nothing is started and nothing written."""
    answers = (check(machine, target) for check in CHECKS)
    return [answer for answer in answers if answer is not None]


def nothing_required_is_missing(checks: list[Check]) -> bool:
    """True where all is well with what every use needs."""
    return all(check.status == "ok" for check in checks if check.required)
