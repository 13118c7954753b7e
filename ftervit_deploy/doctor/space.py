"""Room on the disk."""

from __future__ import annotations

from .machine import Check, Machine, Target

NEEDED_BYTES = 200_000_000
"""A DeiT-Small checkpoint of 88 MB, its image, and some air."""
BUILD_BYTES = 5_000_000_000
"""ESP-IDF with its tools for one chip, and a build folder."""


def check_space(machine: Machine, target: Target) -> Check | None:
    """Room for checkpoints and images."""
    return _room(machine, "space", True, NEEDED_BYTES, "checkpoints and images")


def check_build_space(machine: Machine, target: Target) -> Check | None:
    """Room for ESP-IDF and a build."""
    return _room(machine, "build-space", False, BUILD_BYTES, "ESP-IDF, its tools and a build")


def _room(machine: Machine, name: str, required: bool, needed: int, purpose: str) -> Check | None:
    if machine.free_bytes is None:
        return None
    free = f"{machine.free_bytes / 1e9:.1f} GB"
    if machine.free_bytes >= needed:
        return Check(name, "ok", required, f"{free} are free in this folder, for {purpose}.")
    what = f"Only {free} are free in this folder; {purpose} take {needed / 1e9:.1f} GB."
    fix = "pip cache purge"
    return Check(name, "wrong", required, what, fix)
