"""ESP-IDFs that Espressif's Installation Manager (EIM) put on a machine, as it wrote them down."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import PurePath

from .machine import Machine

_RECORD = "~/.espressif/tools/eim_idf.json"
_RECORD_WINDOWS = "C:/Espressif/tools/eim_idf.json"


@dataclass(frozen=True)
class Installation:
    """One of them.

    Attributes:
        path: the ESP-IDF.
        tools: folder of its tools.
        python: its interpreter.
        script: prints the environment when it is called with ``-e``.
    """

    path: PurePath
    tools: PurePath
    python: PurePath
    script: PurePath


def installations(machine: Machine) -> list[Installation]:
    """All of them; none where EIM was never here or its record is damaged."""
    record = machine.path(_RECORD_WINDOWS if machine.system == "windows" else _RECORD)
    try:
        entries = json.loads(machine.text(record))["idfInstalled"]
        return [_installation(machine, entry) for entry in entries]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []


def _installation(machine: Machine, entry: dict[str, str]) -> Installation:
    keys = ("path", "idfToolsPath", "python", "activationScript")
    return Installation(*(machine.path(entry[key]) for key in keys))
