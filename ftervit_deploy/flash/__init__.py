"""A built project, or a model alone, goes into a board's flash through esptool."""

from __future__ import annotations

from .descriptor import AppDescriptor
from .downloader import Downloader, connected
from .facts import ChipFacts, check_facts, untold
from .fit import Model, check_room, check_runs, check_shape, read_model
from .onboard import OnBoard, read_onboard
from .parts import Build, Part, model_part, read_build
from .writing import Planned, Written, plan_part, whole, write_parts

__all__ = [
    "AppDescriptor",
    "Build",
    "ChipFacts",
    "Downloader",
    "Model",
    "OnBoard",
    "Part",
    "Planned",
    "Written",
    "check_facts",
    "check_room",
    "check_runs",
    "check_shape",
    "connected",
    "model_part",
    "plan_part",
    "read_build",
    "read_model",
    "read_onboard",
    "untold",
    "whole",
    "write_parts",
]
